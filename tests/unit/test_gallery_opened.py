"""An opened list in memory: what it refuses, that it ends in time, and what a wipe leaves."""

import numpy as np
import pytest
from msgspec.structs import replace

from device.errors import WatchlistError
from device.matching import Gallery, Limits, compare, scores_of
from device.matching.protection import Transformation, block_of
from device.protocol.identifiers import utc_ns
from device.protocol.sealed import OpenedList, open_list
from device.vision.sample import Probe
from tests.simulators.sealed import (
    DEPLOYMENT,
    DIMENSION,
    EXPIRES,
    KEY,
    LIST,
    REVIEW,
    SHA,
    ids,
    opened,
    plain,
    probes,
    sealed,
    templates,
)
from tools.desk.sealing import Validity

ROWS = templates(80)
LIMITS = Limits(0.6, 0.0, "test")
LATER = "2027-01-01T00:00:00.000Z"


def unlocked(content=None):
    content = sealed(ROWS).content if content is None else content
    return open_list(content, KEY, watchlist=LIST, deployment=DEPLOYMENT)


def best(gallery, row):
    return compare(gallery, Probe(probes(ROWS)[row].copy()), LIMITS)


def test_an_opened_list_finds_its_people():
    gallery = opened(ROWS)
    assert [best(gallery, row).reference_id for row in range(80)] == ids(80)
    assert len(gallery) == 80
    assert (gallery.list_id, gallery.version) == ("list-1", 1)


def test_it_names_the_same_candidates_with_the_same_scores_as_without_protection():
    seen = probes(ROWS, noise=0.15)
    one, other = scores_of(plain(ROWS), seen), scores_of(opened(ROWS), seen)
    assert np.abs(one - other).max() < 1e-5
    assert np.array_equal(one.argmax(axis=1), other.argmax(axis=1))


def test_one_probe_scores_as_among_many():
    gallery, seen = opened(ROWS), probes(ROWS)
    alone = np.concatenate([scores_of(gallery, each[np.newaxis]) for each in seen])
    assert alone == pytest.approx(scores_of(gallery, seen), abs=1e-5)


def test_the_seed_and_the_stored_rows_are_wiped_when_the_gallery_has_them():
    found = unlocked()
    Gallery.opened(found, SHA, DIMENSION)
    assert found.seed.wiped
    assert found.content.wiped


def test_the_opened_rows_are_neither_the_stored_ones_nor_templates():
    found = unlocked()
    stored = found.rows.copy()
    gallery = Gallery.opened(found, SHA, DIMENSION)
    assert gallery.matrix.shape == (80, DIMENSION)
    assert np.abs(gallery.matrix - stored[:, :DIMENSION]).max() > 0.1
    assert np.abs(gallery.matrix - plain(ROWS).matrix).max() > 0.1


def slowly(cosines, offsets, gallery):
    """Score by the formula of `device.matching.cohort`, each reference among those left."""
    left = np.flatnonzero(~gallery.gone)
    size = len(gallery)
    count = max(1, min(10, size - 1) * (len(left) - 1) // max(1, size - 1))
    scores = np.full(cosines.shape, -1.0)
    for row, found in zip(cosines, scores, strict=True):
        for j in left:
            others = np.sort(row[left[left != j]])[::-1][:count]
            level = others.mean() if others.size else 0.0
            if len(left) < size:
                level = max(level, gallery.level)
            found[j] = row[j] - gallery.weight / 2 * (level + offsets[j])
    return scores


@pytest.mark.parametrize(
    ("count", "leaving", "seen"),
    [(1, 0, 5), (1, 1, 5), (2, 0, 5), (2, 1, 5), (11, 0, 9), (11, 4, 9), (80, 79, 9), (2000, 0, 2),
     (2000, 5, 1), (2000, 1900, 9)],
)  # fmt: skip
def test_scores_are_those_of_the_stored_rows_whoever_has_left(count, leaving, seen):
    rows = templates(count, seed=count)
    content = sealed(rows).content
    found, gallery = unlocked(content), Gallery.opened(unlocked(content), SHA, DIMENSION)
    blocks = Transformation(found.seed.array.data, DIMENSION, count)
    size, probe = block_of(DIMENSION), probes(rows, noise=0.2)[:seen]
    cosines, offsets = np.empty((len(probe), count)), np.empty(count)
    for start, rotation in zip(range(0, count, size), blocks.rotations.astype(float), strict=True):
        part = found.rows[start : start + size].astype(float)
        cosines[:, start : start + size] = probe @ (part @ rotation[:DIMENSION].T).T
        offsets[start : start + size] = part @ rotation[DIMENSION]
    for place in np.random.default_rng(count).permutation(count)[:leaving]:
        gallery.revoke(gallery.ids[place])
    expected = slowly(cosines, offsets, gallery)
    assert np.abs(scores_of(gallery, probe) - expected).max() < 1e-5
    bare = plain(rows)
    for name in np.array(gallery.ids)[gallery.gone]:
        bare.revoke(str(name))
    assert np.abs(scores_of(bare, probe) - expected).max() < 1e-5


def test_a_revoked_reference_leaves_no_offset():
    gallery = opened(ROWS)
    session = gallery._transformation
    before = session.offsets.copy()
    gallery.revoke(ids(80)[3])
    assert before[3] != 0
    assert session.offsets[3] == 0
    assert np.array_equal(np.delete(session.offsets, 3), np.delete(before, 3))


def test_what_a_caller_overwrites_is_its_own():
    for gallery in (opened(ROWS), plain(ROWS)):
        before = gallery.offsets()
        assert before.any()
        gallery.offsets().fill(0)
        assert np.array_equal(gallery.offsets(), before)


@pytest.mark.parametrize(
    ("sha256", "dimension", "match"),
    [("cd" * 32, DIMENSION, "another embedder"), (SHA, 32, "templates of 64 numbers")],
)
def test_a_list_of_another_embedder_is_refused_and_wiped(sha256, dimension, match):
    found = unlocked()
    with pytest.raises(WatchlistError, match=match):
        Gallery.opened(found, sha256, dimension)
    assert found.content.wiped
    assert found.seed.wiped


# R55
def test_rows_of_another_key_are_refused_and_wiped():
    found = unlocked()
    found.seed.array[0] ^= 1
    with pytest.raises(WatchlistError, match="do not fit its key"):
        Gallery.opened(found, SHA, DIMENSION)
    assert found.content.wiped


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, 40.0])
def test_a_number_that_is_none_or_too_large_is_refused(value):
    found = unlocked()
    found.rows[7, 3] = value
    with pytest.raises(WatchlistError, match="do not fit its key"), np.errstate(all="ignore"):
        Gallery.opened(found, SHA, DIMENSION)


def test_a_row_of_zeros_is_refused():
    found = unlocked()
    found.rows[7] = 0
    with pytest.raises(WatchlistError, match="do not fit its key"):
        Gallery.opened(found, SHA, DIMENSION)


def test_rows_of_another_version_of_the_scheme_are_refused():
    found = unlocked()
    odd = OpenedList(replace(found.header, dimension=DIMENSION - 1), found.content, found.seed)
    with pytest.raises(WatchlistError, match="another version of Passerby"):
        Gallery.opened(odd, SHA)


# R7
def test_a_reference_whose_expiry_has_come_is_overwritten_and_found_no_more():
    gallery = opened(ROWS, validity={ids(80)[3]: Validity(EXPIRES, LATER)})
    before = utc_ns(EXPIRES) - 1
    assert ids(80)[3] not in gallery.expire(before)
    assert best(gallery, 3).reference_id == ids(80)[3]
    assert gallery.expire(utc_ns(EXPIRES)) == [ids(80)[3]]
    assert not gallery.matrix[3].any()
    assert best(gallery, 3) is None


def test_a_reference_whose_review_is_due_is_overwritten_too():
    late = {name: Validity(LATER, LATER) for name in ids(80)}
    gallery = opened(ROWS, validity=late | {ids(80)[5]: Validity(LATER, REVIEW)})
    assert gallery.expire(utc_ns(REVIEW) - 1) == []
    assert gallery.expire(utc_ns(REVIEW)) == [ids(80)[5]]
    assert best(gallery, 5) is None
    assert best(gallery, 6).reference_id == ids(80)[6]


def test_an_expired_reference_is_told_once():
    gallery = opened(ROWS)
    assert gallery.expire(utc_ns(REVIEW)) == ids(80)
    assert gallery.expire(utc_ns(LATER)) == []
    assert not gallery.matrix.any()


def test_a_demonstration_list_does_not_expire():
    assert plain(ROWS).expire(2**62) == []


# R8
@pytest.mark.parametrize("make", [opened, plain])
def test_a_revoked_reference_is_below_every_threshold_and_leads_over_nobody(make):
    gallery = make(ROWS)
    assert gallery.revoke(ids(80)[3])
    assert not gallery.revoke("r-00000000dead")
    assert not gallery.matrix[3].any()
    far = np.zeros((1, DIMENSION), np.float32)
    far[0, 0] = -1
    scores = scores_of(gallery, np.concatenate([probes(ROWS), far]))
    assert (scores[:, 3] == -1).all()
    assert gallery.expire(utc_ns(REVIEW)) == ([] if make is plain else ids(80)[:3] + ids(80)[4:])


# R24, R49
def test_a_wiped_gallery_holds_nothing_and_finds_nobody():
    gallery = Gallery.opened(unlocked(), SHA, DIMENSION)
    session = gallery._transformation
    assert session.buffer.array.any()
    gallery.wipe()
    assert not gallery.matrix.any()
    assert session.buffer.wiped
    assert not session.rotations.any()
    assert not session.offsets.any()
    assert best(gallery, 0) is None
    assert gallery.gone.all()


def test_a_forgotten_gallery_is_wiped():
    gallery = Gallery.opened(unlocked(), SHA, DIMENSION)
    compared = gallery._transformation.buffer.array
    assert compared.any()
    del gallery
    assert not compared.any()


def test_memory_that_cannot_be_locked_is_told():
    gallery = opened(ROWS)
    assert gallery.fault is None
    gallery._transformation.buffer.fault = "not locked"
    assert gallery.fault == "not locked"
    assert plain(ROWS).fault is None


# R27
def test_both_sides_make_the_same_digests():
    made = sealed(ROWS)
    gallery = Gallery.opened(unlocked(made.content), SHA, DIMENSION)
    assert gallery.template_digests() == made.template_sha256
    assert len(set(made.template_sha256.values())) == 80
    gallery.revoke(gallery.ids[3])
    assert gallery.template_digests() == made.template_sha256
