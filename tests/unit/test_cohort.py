"""Levels and what they take off a score, by hand and against a slow, obvious version."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.matching import Gallery, scores_of
from device.matching.cohort import NEIGHBOURS, levels, levels_of_references, weight_of
from device.protocol.watchlist import DemonstrationList, Reference
from tests.simulators.street import SHA

# Three references: cosines 0.6 (one and two), 0 (one and three), 0 (two and three).
ONE, TWO, THREE = np.eye(8, dtype="f4")[0], np.zeros(8, "f4"), np.eye(8, dtype="f4")[2]
TWO[:2] = 0.6, 0.8


def _gallery(rows):
    references = [Reference(f"r{i}", [row.astype("<f4").tobytes()]) for i, row in enumerate(rows)]
    return Gallery(DemonstrationList("l", 1, "t", "e", SHA, rows[0].size, references), SHA)


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_level_is_the_mean_of_the_others_where_there_are_few():
    assert levels(np.array([[1.0, 0.6, 0.0]], np.float32))[0] == pytest.approx([0.3, 0.5, 0.8])


def test_a_level_is_the_mean_of_the_ten_highest_of_the_others():
    row = np.arange(12, dtype=np.float32)[np.newaxis] / 100
    # Who is not among the ten highest sees 2 … 11; who is, sees the eleven highest but itself.
    expected = [0.065, 0.065] + [(sum(range(1, 12)) - j) / 1000 for j in range(2, 12)]
    assert NEIGHBOURS == 10
    assert levels(row)[0] == pytest.approx(expected)


def test_who_is_alone_has_no_level():
    assert levels(np.array([[0.7]], np.float32)).tolist() == [[0.0]]
    assert weight_of(0) == 0


def test_levels_count_more_in_a_longer_list():
    assert weight_of(10) == pytest.approx(0.5)
    assert weight_of(990) == pytest.approx(0.99)


def test_the_levels_of_references_leave_each_one_out():
    matrix = np.stack([ONE, TWO, THREE])
    assert levels_of_references(matrix, matrix) == pytest.approx([0.3, 0.3, 0.0], abs=1e-6)


def test_scores_by_hand():
    gallery = _gallery([ONE, TWO, THREE])
    assert gallery.level == pytest.approx(0.2, abs=1e-6)
    assert gallery.surplus == pytest.approx([0.1, 0.1, -0.2], abs=1e-6)
    # weight 2/12; the probe is reference one itself: cosines 1, 0.6, 0, levels 0.3, 0.5, 0.8.
    expected = [1 - (0.1 + 0.1) / 12, 0.6 - (0.1 + 0.3) / 12, 0 - (-0.2 + 0.6) / 12]
    assert scores_of(gallery, ONE[np.newaxis])[0] == pytest.approx(expected, abs=1e-6)


def test_a_list_of_one_gives_the_cosine():
    assert scores_of(_gallery([ONE]), TWO[np.newaxis])[0] == pytest.approx([0.6], abs=1e-6)


def test_a_reference_that_resembles_everybody_loses_and_one_that_does_not_gains():
    rng = np.random.default_rng(5)
    common = rng.normal(size=64)
    rows = rng.normal(size=(40, 64))
    rows[:20] += common
    gallery = _gallery(list(_unit(rows)))
    plain = gallery.matrix @ _unit(common[np.newaxis])[0]
    changed = scores_of(gallery, _unit(common[np.newaxis]))[0] - plain
    assert changed[:20].max() < changed[20:].min()


def test_several_probes_score_as_each_alone():
    rng = np.random.default_rng(6)
    gallery = _gallery(list(_unit(rng.normal(size=(30, 16)))))
    probes = _unit(rng.normal(size=(5, 16)))
    alone = np.concatenate([scores_of(gallery, probe[np.newaxis]) for probe in probes])
    assert scores_of(gallery, probes) == pytest.approx(alone, abs=1e-6)


def test_the_order_of_the_list_changes_nothing():
    rng = np.random.default_rng(7)
    rows, probe = _unit(rng.normal(size=(30, 16))), _unit(rng.normal(size=(1, 16)))
    order = rng.permutation(30)
    shuffled = scores_of(_gallery(list(rows[order])), probe)[0]
    assert shuffled == pytest.approx(scores_of(_gallery(list(rows)), probe)[0][order], abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_levels_agree_with_sorting_the_others(seed, count):
    cosines = np.random.default_rng(seed).normal(size=(3, count)).astype(np.float32)
    for row, found in zip(cosines, levels(cosines), strict=True):
        for j in range(count):
            others = np.sort(np.delete(row, j))[::-1][:NEIGHBOURS]
            expected = others.mean() if others.size else 0.0
            assert found[j] == pytest.approx(expected, abs=1e-5)
