"""Scores of a list from which references have left: they raise no more false alerts (R8, R29)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.matching import Gallery, scores_of
from device.matching.cohort import levels
from device.matching.comparison import GONE
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.sealed import open_list
from device.protocol.watchlist import DemonstrationList, Reference
from tests.simulators.repository import DEPLOYMENT
from tools.desk.sealing import Validity, seal_watchlist

SHA = "a" * 64
KEY = bytes(range(32))
FAR = "2027-06-01T00:00:00.000Z"
DIMENSION = 64


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


class Faces:
    """Templates like an embedder's: few directions matter, and some faces resemble everybody."""

    def __init__(self, seed, common):
        self.rng = np.random.default_rng(seed)
        turned = np.linalg.qr(self.rng.standard_normal((DIMENSION, DIMENSION)))[0]
        self.basis = turned * np.exp(-np.arange(DIMENSION) / 25)
        self.common = common * unit(self.rng.standard_normal(DIMENSION))

    def strangers(self, count):
        own = unit(self.rng.standard_normal((count, DIMENSION)) @ self.basis.T)
        return unit(own + self.common * self.rng.uniform(0.3, 1.5, (count, 1)))

    def again(self, rows):
        noise = unit(self.rng.standard_normal(rows.shape) @ self.basis.T)
        return unit(rows + 0.9 * noise + self.common * self.rng.uniform(0, 1.5, (len(rows), 1)))


def gallery(rows):
    references = [Reference(f"r-{i}", [row.tobytes()]) for i, row in enumerate(rows)]
    return Gallery(DemonstrationList("l", 1, "t", "e", SHA, rows.shape[1], references), SHA)


def without(rows, kept):
    """The gallery of all rows from which all but those have left."""
    shrunk = gallery(rows)
    for name in set(shrunk.ids) - {f"r-{i}" for i in kept}:
        shrunk.revoke(name)
    return shrunk


@pytest.mark.parametrize("common", [0.0, 0.25, 0.6])
def test_whoever_has_left_the_list_raises_no_more_false_alerts_than_the_whole_list(common):
    faces = Faces(3, common)
    rows, probes = faces.strangers(200), faces.strangers(2000)
    whole = gallery(rows)
    threshold = np.quantile(scores_of(whole, probes).max(axis=1), 0.99)
    by_surplus = np.argsort(-whole.surplus)
    near = np.argsort(-(rows @ rows[by_surplus[3]]))
    for count in (199, 150, 50, 10, 1):
        for order in (np.arange(200), by_surplus, by_surplus[::-1], near):
            best = scores_of(without(rows, order[:count]), probes).max(axis=1)
            assert np.mean(best >= threshold) <= 0.01, (count, order[:3])


def test_those_who_are_left_are_still_found():
    faces = Faces(5, 0.25)
    rows, probes = faces.strangers(200), faces.strangers(4000)
    mated = faces.again(rows)
    threshold = np.quantile(scores_of(gallery(rows), probes).max(axis=1), 0.99)

    def found(kept):
        scores = scores_of(without(rows, kept), mated[kept])
        return np.mean(scores[np.arange(len(kept)), kept] >= threshold)

    whole = np.mean(np.diagonal(scores_of(gallery(rows), mated)) >= threshold)
    assert whole > 0.5
    for count in (199, 150, 100):
        assert found(np.arange(count)) > whole - 0.08


@given(st.integers(0, 2**32), st.integers(2, 40), st.data())
def test_leaving_takes_no_more_off_than_before_and_never_adds(seed, size, data):
    rng = np.random.default_rng(seed)
    rows, probes = unit(rng.standard_normal((size, 8))), unit(rng.standard_normal((6, 8)))
    kept = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=size - 1)))
    whole, shrunk = gallery(rows), without(rows, kept)
    before, after = scores_of(whole, probes)[:, kept], scores_of(shrunk, probes)[:, kept]
    # What a reference has in common with everybody is taken off in full, and of a probe only more.
    bound = (probes @ rows.T)[:, kept] - whole.weight / 2 * whole.surplus[kept]
    assert np.all(after <= bound + 1e-5)
    # A score rises by no more than what the probe itself had lost.
    lost = whole.weight / 2 * np.maximum(levels(probes @ rows.T)[:, kept] - whole.level, 0)
    assert np.all(after <= before + lost + 1e-5)
    gone = sorted(set(range(size)) - set(kept))
    assert np.all(scores_of(shrunk, probes)[:, gone] == GONE)


@given(st.integers(0, 2**32), st.integers(3, 40), st.data())
def test_a_probe_whose_neighbours_are_left_scores_no_higher_than_with_the_whole_list(
    seed, size, data
):
    rng = np.random.default_rng(seed)
    rows, probes = unit(rng.standard_normal((size, 8))), unit(rng.standard_normal((6, 8)))
    leaving = data.draw(st.integers(1, size - 2))
    for probe in probes:
        kept = np.sort(np.argsort(-(rows @ probe))[: size - leaving])
        before = scores_of(gallery(rows), probe[np.newaxis])[0, kept]
        after = scores_of(without(rows, kept), probe[np.newaxis])[0, kept]
        assert np.all(after <= before + 1e-5)


def test_a_sealed_list_shrinks_as_a_plain_one_does():
    rows = Faces(7, 0.4).strangers(70)
    ids = [f"r-{i:012x}" for i in range(len(rows))]
    version, model = ListVersion("l", 1), ModelHash("embedder", "e", SHA)
    sealed = seal_watchlist(
        [Reference(name, [row.tobytes()]) for name, row in zip(ids, rows, strict=True)],
        dict.fromkeys(ids, Validity(FAR, FAR)),
        watchlist=version,
        deployment=DEPLOYMENT,
        created_at="2026-11-01T00:00:00.000Z",
        embedder=model,
        deployment_key=KEY,
    )
    opened = open_list(sealed.content, KEY, watchlist=version, deployment=DEPLOYMENT)
    protected = Gallery.opened(opened, SHA, DIMENSION)
    order = [ids.index(name) for name in protected.ids]
    assert protected.level == pytest.approx(gallery(rows).level, abs=1e-5)
    for place in range(5, len(ids)):
        protected.revoke(protected.ids[place])
    plain = scores_of(without(rows, order[:5]), rows)[:, order]
    assert scores_of(protected, rows) == pytest.approx(plain, abs=1e-4)
    protected.wipe()


def test_nobody_is_left_to_resemble():
    rows = Faces(1, 0.2).strangers(3)
    assert np.all(scores_of(without(rows, []), rows) == GONE)
