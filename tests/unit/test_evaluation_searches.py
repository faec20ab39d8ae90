"""Searches: the arithmetic of many is the device's comparison of one."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from device.matching import Limits, compare, scores_of
from device.settings import CameraSettings, DeviceSettings, Settings, WatchlistSettings
from device.vision.catalogue import ScoreScale
from device.vision.sample import Probe
from tests.simulators.street import SHA
from tools.lab.crops import Crops
from tools.lab.evaluate.lists import DrawnList
from tools.lab.evaluate.looks import matrix_of
from tools.lab.evaluate.pipeline import Hits, Pipeline
from tools.lab.evaluate.searches import Probes, Searcher
from tools.lab.evaluate.verification import comparisons_of

DIMENSION = 16
SCALE = ScoreScale(
    0.5, (0.6, 0.7), same=0.9, twin=0.95, second_crop_from=0.93, second_look_from=0.92
)


@dataclass
class Entry:
    """As much of a catalogue's entry as the arithmetic asks for."""

    collection: str = "operational"
    sha256: str = SHA
    name: str = "stand-in"
    scores: ScoreScale = SCALE


@dataclass
class Embedder:
    dimension: int = DIMENSION


@dataclass
class Eye:
    """An eye that is never opened: the arithmetic needs its numbers only."""

    embedder: Embedder = field(default_factory=Embedder)
    embedder_entry: Entry = field(default_factory=Entry)
    attack: None = None
    limits: None = None


@pytest.fixture
def pipeline(monkeypatch):
    monkeypatch.setattr("tools.lab.evaluate.pipeline.replace", lambda eye, **_: eye)
    settings = Settings(
        DeviceSettings("lab", "lab"), CameraSettings("stills"), WatchlistSettings("")
    )
    return Pipeline(Eye(), settings)


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def crowd(count, seed, spread=1.0):
    """Templates about one direction, so that scores are high and margins are thin."""
    generator = np.random.default_rng(seed)
    return unit(np.ones(DIMENSION) + spread * generator.normal(size=(count, DIMENSION)))


@pytest.mark.parametrize("templates", [1, 3])
def test_it_returns_what_the_device_would_return(pipeline, templates):
    people = [crowd(templates, 100 + n, 0.4 * templates**0.5) for n in range(40)]
    references = [[row.tobytes() for row in rows] for rows in people]
    probes, spread = crowd(60, 5, 0.4), crowd(60, 6, 0.7)
    # Each second crop is drawn towards one of the references, so that some of them lead.
    second = unit(spread + 8 * np.stack([people[n % 40].mean(axis=0) for n in range(60)]))
    exact = unit(probes + 0.3 * crowd(60, 9, 1.0))
    gallery = pipeline.gallery(references)
    margin = pipeline.settings.matching.margin
    hits = pipeline.search(gallery, Crops(probes, exact, unit(exact + second)))
    nearest = scores_of(gallery, probes).max(axis=1)
    edge, look = SCALE.second_crop_from, SCALE.look_from
    near = nearest >= look
    closer = near & (scores_of(gallery, exact).max(axis=1) >= edge)
    assert 0 < np.count_nonzero(closer) < np.count_nonzero(near) < len(probes)
    returned = 0
    for row, probe in enumerate(probes):
        for threshold in (0.3, 0.5, 0.7, 0.8, 0.9):
            limits = Limits(threshold, margin, "test", edge, look)
            looking = Probe(probe.copy(), second[row].copy, exact[row].copy)
            candidate = compare(gallery, looking, limits)
            ours = hits.scores[row] >= threshold
            assert ours == (candidate is not None)
            if candidate is not None:
                returned += 1
                assert candidate.reference_id == str(hits.best[row])
                assert candidate.score == pytest.approx(hits.scores[row], abs=1e-6)
    assert 0 < returned < 300


def test_one_reference_alone_always_leads(pipeline):
    row = crowd(1, 1)
    hits = pipeline.search(pipeline.gallery([[row[0].tobytes()]]), Crops(row, row, row))
    assert hits.scores[0] == pytest.approx(1.0)


def test_who_is_on_the_list_twice_is_refused_as_enrolment_refuses_them(pipeline, monkeypatch):
    scale = ScoreScale(threshold=0.1, bands=(0.2, 0.3), same=0.9, twin=0.95, second_crop_from=0.05)
    monkeypatch.setattr("tools.lab.evaluate.pipeline.scale_of", lambda _: scale)
    rows = unit(np.eye(DIMENSION)[:4] + 0.3)
    rows[1] = rows[0]
    listed = {name: [row.tobytes()] for name, row in zip("abcd", rows, strict=True)}
    assert pipeline.conflicting(listed) == {"a", "b"}
    listed["c"].append(listed["d"][0])
    assert pipeline.conflicting(listed) >= {"a", "b", "c"}


class Plain:
    """Searches by the product alone, so that a test can write down the scores it wants.

    Reference k is the unit vector k, so that a probe's template is the row of its scores.
    """

    def gallery(self, references):
        return [int.from_bytes(template) for (template,) in references]

    def search(self, gallery, crops):
        assert np.array_equal(crops.closer, crops.first / 2)
        assert np.array_equal(crops.exact, crops.first / 4)
        scores = crops.first[:, gallery].astype(float)
        best, second = scores.argmax(axis=1), np.sort(scores, axis=1)[:, -2]
        return Hits(
            best, np.where(scores.max(axis=1) - second >= 0.03, scores.max(axis=1), -np.inf)
        )


@pytest.fixture
def searcher():
    return Searcher(Plain(), [[bytes([place])] for place in range(3)])


def probes_of(scores, owner, comparable=None):
    scores = np.asarray(scores, np.float32)
    count = len(scores)
    return Probes(
        crops=Crops(scores, scores / 4, scores / 2),
        comparable=np.ones(count, np.bool_) if comparable is None else np.asarray(comparable),
        owner=np.asarray(owner, np.intp),
        names=np.array([f"n{place}" for place in owner]),
        counted=np.ones(count, np.bool_),
    )


WHOLE = [DrawnList(np.arange(3), np.ones(2, np.bool_))]


def test_a_mated_search_counts_only_the_right_reference(searcher):
    probes = probes_of([[0.9, 0.2, 0.1], [0.9, 0.2, 0.1]], [0, 1])
    found = searcher.mated(probes, WHOLE)
    assert found.scores.tolist() == [pytest.approx(0.9), -np.inf]
    assert found.first.tolist() == [True, False]


def test_a_failure_to_acquire_is_missed_whatever_its_score(searcher):
    for comparable in ([False, True], [False, False]):
        found = searcher.mated(probes_of([[0.9, 0, 0], [0.9, 0, 0]], [0, 0], comparable), WHOLE)
        assert found.scores[0] == -np.inf
        assert found.first.tolist() == comparable


def test_two_look_alikes_are_no_candidate_but_the_right_one_came_first(searcher):
    found = searcher.mated(probes_of([[0.9, 0.89, 0.1]], [0]), WHOLE)
    assert found.scores.tolist() == [-np.inf]
    assert found.first.tolist() == [True]


def test_a_stranger_errs_with_any_reference(searcher):
    false = searcher.non_mated(probes_of([[0.1, 0.2, 0.6], [0.3, 0.1, 0.1]], [0, 1]), WHOLE)
    assert false.scores == pytest.approx([0.6, 0.3])


def test_only_lists_that_hold_the_person_are_mated_searches(searcher):
    lists = [
        DrawnList(np.array([0, 1]), np.ones(1, np.bool_)),
        DrawnList(np.array([1, 2]), np.ones(1, np.bool_)),
    ]
    probes = probes_of([[0.9, 0.1, 0.95], [0.1, 0.8, 0.2]], [0, 1])
    found = searcher.mated(probes, lists)
    # The first is not on the second list, so that the higher score there is no search of it.
    assert found.rows.tolist() == [0, 1, 1]
    assert found.scores == pytest.approx([0.9, 0.8, 0.8])


def test_a_stranger_is_not_searched_for_where_others_are(searcher):
    lists = [
        DrawnList(np.array([0, 2]), np.array([True, False])),
        DrawnList(np.array([0, 1]), np.array([False, True])),
    ]
    # References 1 and 2 are the strangers' own, imposed on the list in which they are not searched.
    probes = probes_of([[0.2, 1.0, 0.3], [0.25, 0.35, 1.0]], [0, 1])
    false = searcher.non_mated(probes, lists)
    assert false.scores == pytest.approx([0.3, 0.35])


def test_only_the_probes_that_count_become_trials(searcher):
    probes = probes_of([[0.9, 0.2, 0.1], [0.1, 0.7, 0.1]], [0, 1])
    found = searcher.mated(probes, WHOLE)
    trials = found.trials(probes, np.array([False, True]))
    assert trials.scores == pytest.approx([0.7])
    assert trials.names.tolist() == ["n1"]


def test_single_comparisons_leave_out_who_was_not_acquired():
    references = np.eye(3, dtype=np.float32)
    mated = probes_of([[0.9, 0.2, 0.1], [0.3, 0.8, 0.1]], [0, 1], [True, False])
    others = probes_of([[0.2, 0.4, 0.6], [0.5, 0.1, 0.0]], [0, 1])
    compared = comparisons_of(mated, others, references)
    assert compared.own == pytest.approx([0.9 / 4])
    assert compared.others == pytest.approx(np.array([[0.2, 0.4, 0.6], [0.5, 0.1, 0.0]]) / 4)


def test_templates_become_rows():
    rows = crowd(3, 2)
    assert (matrix_of([row.tobytes() for row in rows], DIMENSION) == rows).all()
