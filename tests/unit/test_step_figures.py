"""The arithmetic behind the table of steps, by hand."""

import numpy as np
import pytest

from tools.lab.step_figures import Searches, gains, rates, search, threshold_at, tpir_at
from tools.lab.step_tracks import TRACK_RULES, searches_of_tracks

STRANGERS = np.array([0.9, 0.1, 0.5, 0.3])


def _searches(mated, non_mated):
    return Searches(
        np.asarray(mated, float),
        np.asarray(non_mated, float),
        np.arange(len(mated)),
        np.arange(len(non_mated)),
    )


@pytest.mark.parametrize(
    ("fpir", "score"), [(0.0, 0.9), (0.24, 0.9), (0.25, 0.5), (0.5, 0.3), (0.75, 0.1)]
)
def test_a_threshold_lies_just_above_the_first_stranger_too_many(fpir, score):
    threshold = threshold_at(STRANGERS, np.ones(4), fpir)
    assert score < threshold < score + 1e-9


def test_every_threshold_will_do_where_all_strangers_may_pass():
    assert threshold_at(STRANGERS, np.ones(4), 1.0) == -np.inf


def test_a_stranger_drawn_twice_counts_twice_and_one_not_drawn_not():
    weights = np.array([0.0, 1.0, 2.0, 1.0])
    assert threshold_at(STRANGERS, weights, 0.25) == pytest.approx(0.5)
    assert threshold_at(STRANGERS, weights, 0.5) == pytest.approx(0.3)


def test_tpir_counts_what_reaches_the_threshold():
    found = _searches([0.95, 0.6, 0.4, -np.inf], STRANGERS)
    assert tpir_at(found, 0.25, np.ones(4), np.ones(4)) == 0.5
    assert tpir_at(found, 0.0, np.ones(4), np.ones(4)) == 0.25
    assert tpir_at(found, 0.25, np.array([0.0, 3.0, 1.0, 0.0]), np.ones(4)) == 0.75


def test_a_wrong_reference_first_is_missed_whatever_its_score():
    scores = np.array([[0.9, 0.2], [0.3, 0.8]], np.float32)
    others = np.array([[0.1, 0.4]], np.float32)
    found = search(scores, others, np.array([0, 0]), np.array([0, 0]), np.array([0]))
    assert found.mated.tolist() == [pytest.approx(0.9), -np.inf]
    assert found.non_mated == pytest.approx([0.4])


def test_rates_and_gains_are_the_same_again_and_hold_the_figure():
    random = np.random.default_rng(1)
    worse = _searches(random.normal(1.0, 1, 200), random.normal(-2, 1, 300))
    better = _searches(worse.mated + 1, worse.non_mated)
    for rate in rates(worse):
        assert rate.low <= rate.tpir <= rate.high
    assert rates(worse) == rates(worse)
    for gain, one, other in zip(gains(better, worse), rates(better), rates(worse), strict=True):
        assert gain.points == pytest.approx(100 * (one.tpir - other.tpir))
        assert 0 < gain.low <= gain.points <= gain.high
    assert [gain.points for gain in gains(worse, worse)] == [0, 0]


def test_rules_over_shots():
    shots = np.array([[0.9, 0.1], [0.5, 0.2], [0.1, 0.6]], np.float32)
    qualities = np.array([1.0, 1.0, 2.0], np.float32)
    by_hand = {
        "the best shot": [0.9, 0.6],
        "two shots that agree: the device": [0.5, 0.2],
        "the mean of the shots": [0.5, 0.3],
        "their mean weighed by quality": [0.4, 0.375],
    }
    assert set(by_hand) == set(TRACK_RULES)
    for name, expected in by_hand.items():
        assert TRACK_RULES[name](shots, qualities) == pytest.approx(expected)


def test_only_people_with_three_shots_make_tracks_and_strangers_lack_their_reference():
    owner = np.array([0, 0, 0, 1, 1])
    scores = np.tile(np.array([[0.8, 0.3]], np.float32), (5, 1))
    found = searches_of_tracks(scores, np.ones(5, np.float32), owner)
    assert set(found) == set(TRACK_RULES)
    for each in found.values():
        assert each.mated == pytest.approx([0.8])
        assert each.non_mated == pytest.approx([0.3])


def test_no_tracks_without_enough_shots():
    assert searches_of_tracks(np.ones((2, 2), np.float32), np.ones(2), np.array([0, 1])) == {}
