"""Thresholds: ties, wanted rates, what is seen and what is shown; and the words for it."""

import numpy as np
import pytest

from tools.lab.evaluate.statement import stated
from tools.lab.evaluate.tradeoff import Tradeoff, Trials, thresholds_of


def trials(scores, prefix="p"):
    return Trials(
        np.asarray(scores, np.float64), np.array([f"{prefix}{n}" for n in range(len(scores))])
    )


def spread(count, highest, lowest=0.1):
    return np.linspace(highest, lowest, count)


def test_the_threshold_lets_no_more_strangers_pass_than_wanted():
    # Ten strangers; the wanted tenth is one of them, so the threshold lies just above the second.
    strangers = [0.9, 0.6, 0.5, 0.4, 0.35, 0.3, 0.3, 0.2, 0.1, 0.05]
    point = Tradeoff(trials([0.95, 0.7, 0.55], "m"), trials(strangers)).at(0.1)
    assert point.threshold == 0.6001
    assert point.false_positive.events == 1
    assert point.false_negative.events == 1


def test_strangers_with_one_score_pass_or_fail_together():
    strangers = [0.6, 0.6, 0.6, *spread(97, 0.5)]
    point = Tradeoff(trials([0.7, 0.65], "m"), trials(strangers)).at(0.02)
    assert point.threshold == 0.6001
    assert point.false_positive.events == 0
    allowed = Tradeoff(trials([0.7, 0.65], "m"), trials(strangers)).at(0.03)
    assert allowed.false_positive.events == 3
    assert allowed.threshold == 0.5001


def test_a_score_at_the_threshold_is_a_candidate():
    found = trials([0.6001, 0.6], "m")
    assert found.rate_at(0.6001).events == 1
    assert found.rate_at(0.6001, missed=True).events == 1


def test_no_threshold_returns_what_was_not_acquired():
    tradeoff = Tradeoff(trials([0.8, -np.inf, -np.inf], "m"), trials(spread(50, 0.5)))
    assert tradeoff.at(0.3).false_negative.events == 2


def test_thresholds_lie_just_above_the_scores_of_strangers_and_above_all():
    tried = thresholds_of(np.array([0.12345, 0.5, 0.3]))
    assert tried[-1] == 0.5001
    assert (np.diff(tried) > 0).all()


@pytest.mark.parametrize("score", [n / 100 for n in range(1, 100)])
def test_a_threshold_is_above_the_score_that_it_is_to_keep_out(score):
    tradeoff = Tradeoff(trials([0.99], "m"), trials([score, 0.001]))
    assert tradeoff.at(0.4).threshold > score
    assert tradeoff.at(0.4).threshold < score + 0.0002
    assert tradeoff.at(0.4).false_positive.events == 0


def test_strangers_who_could_never_be_named_leave_one_threshold():
    tradeoff = Tradeoff(trials([0.8], "m"), trials([-np.inf] * 5))
    assert tradeoff.at(0.01).false_positive.events == 0


def test_the_rates_are_those_of_counting():
    generator = np.random.default_rng(3)
    mated, strangers = generator.normal(0.6, 0.1, 400), generator.normal(0.3, 0.1, 700)
    tradeoff = Tradeoff(trials(mated, "m"), trials(strangers))
    for place in range(0, len(tradeoff.thresholds), 20):
        threshold = tradeoff.thresholds[place]
        assert tradeoff.false_positive[place] == np.mean(strangers >= threshold)
        assert tradeoff.false_negative[place] == pytest.approx(np.mean(mated < threshold))


def test_the_interval_counts_that_the_threshold_was_drawn_too():
    generator = np.random.default_rng(4)
    mated, strangers = generator.normal(0.6, 0.1, 500), generator.normal(0.3, 0.1, 300)
    tradeoff = Tradeoff(trials(mated, "m"), trials(strangers))
    point = tradeoff.at(0.01)
    fixed = tradeoff.mated.rate_at(point.threshold, missed=True)
    assert point.low < point.threshold < point.high
    assert point.false_negative.value == fixed.value
    both = point.false_negative.high - point.false_negative.low
    assert both > fixed.high - fixed.low


def test_a_person_with_many_pictures_errs_by_their_share():
    scores = np.array([0.9, 0.1, 0.1, 0.1, 0.8])
    several = Trials(scores, np.array(["a", "a", "a", "a", "b"]))
    assert several.subjects == 2
    assert several.erring_subjects(0.5) == 1.25


def test_what_is_shown_needs_a_higher_threshold_than_what_is_seen():
    strangers = trials(np.linspace(0.0, 0.8, 1600))
    tradeoff = Tradeoff(trials([0.9] * 50, "m"), strangers)
    point = tradeoff.at(0.01)
    assert point.bound > 0.01
    assert point.proven > point.threshold
    assert tradeoff.bound(point.proven) <= 0.01
    # One step lower it would not be shown any more.
    below = tradeoff.thresholds[np.searchsorted(tradeoff.thresholds, point.proven) - 1]
    assert tradeoff.bound(float(below)) > 0.01


@pytest.mark.parametrize(("people", "supported"), [(298, False), (299, True)])
def test_too_few_strangers_show_nothing(people, supported):
    # 0.95 = 1 - 0.99^299: without an error 299 passes show one in a hundred, 298 do not.
    tradeoff = Tradeoff(trials([0.9] * 9, "m"), trials(spread(people, 0.5)))
    assert (tradeoff.at(0.01).proven is not None) is supported


def test_the_statement_says_plainly_what_cannot_be_signed():
    tradeoff = Tradeoff(trials([0.9] * 9, "m"), trials(spread(900, 0.5)))
    loose, strict = stated(40, tradeoff, (0.01, 0.001), whole=True)
    assert loose.supported
    assert loose.threshold_upper_bound > loose.threshold
    assert loose.independent_non_mated_passes == loose.non_mated_passes == 900
    assert not strict.supported
    assert strict.threshold_upper_bound is None
    assert strict.fnir_at_upper_bound is None
    assert "0.1 % cannot be shown with 900 people" in strict.words
    assert "no better than 0.33 % (rule of three)" in strict.words
    assert "2,995 are needed" in strict.words


def test_independent_passes_are_people_not_pictures():
    names = np.repeat(np.array([f"s{n}" for n in range(100)]), 30)
    scores = np.repeat(spread(100, 0.5), 30)
    tradeoff = Tradeoff(trials([0.9] * 9, "m"), Trials(scores, names))
    (only,) = stated(40, tradeoff, (0.01,), whole=True)
    assert (only.non_mated_passes, only.independent_non_mated_passes) == (3000, 100)
    assert not only.supported


def test_the_curve_falls_within_its_band():
    generator = np.random.default_rng(5)
    tradeoff = Tradeoff(
        trials(generator.normal(0.6, 0.1, 300), "m"), trials(generator.normal(0.3, 0.1, 300))
    )
    rows = tradeoff.curve(np.geomspace(1 / 300, 0.3, 20))
    missed = [row[1] for row in rows]
    assert missed == sorted(missed, reverse=True)
    assert all(low <= value <= high for _, value, low, high in rows)
