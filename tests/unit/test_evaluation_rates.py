"""Rates with intervals over people: drawn again as a whole, never nought for what is unknown."""

import numpy as np
import pytest

from tools.lab.evaluate.figures import NotEvaluated, Rate, bare, percent, text_of, wanted
from tools.lab.evaluate.rates import rate, ratio
from tools.lab.evaluate.resampling import RESAMPLES, interval, weights


def people(count, pictures=1):
    return np.repeat(np.array([f"p{n:04}" for n in range(count)]), pictures)


def test_a_rate_is_events_over_trials_with_its_people():
    events = np.array([True, False, False, True, False, False])
    figure = rate(events, np.array(["a", "a", "b", "b", "c", "d"]))
    assert (figure.value, figure.events, figure.trials, figure.subjects) == (2 / 6, 2, 6, 4)
    assert figure.low <= figure.value <= figure.high
    assert figure.method == "bootstrap over subjects"


def test_ten_pictures_of_everybody_say_no_more_than_one():
    events = np.random.default_rng(1).random(80) < 0.2
    one = rate(events, people(80))
    ten = rate(np.repeat(events, 10), people(80, 10))
    assert (one.low, one.value, one.high) == (ten.low, ten.value, ten.high)
    assert ten.subjects == 80
    pictures = rate(np.repeat(events, 10), people(800))
    assert pictures.high - pictures.low < 0.5 * (one.high - one.low)


def test_the_interval_is_that_of_resampling_by_hand():
    events, names = np.array([1, 0, 2, 0, 3]), np.array(["a", "b", "c", "d", "e"])
    trials = np.array([2, 2, 3, 4, 5])
    figure = rate(events, names, trials=trials)
    drawn = weights(5).astype(int)
    by_hand = [
        sum(n * events[s] for s, n in enumerate(row))
        / sum(n * trials[s] for s, n in enumerate(row))
        for row in drawn.tolist()
    ]
    ordered = sorted(by_hand)
    assert figure.low == pytest.approx(ordered[24])
    assert figure.high == pytest.approx(ordered[974])
    assert figure.value == 6 / 16


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(7)
    truth, names, held = 0.1, people(150, 2), 0
    for _ in range(300):
        # Each person's own rate varies about the truth, so that their pictures are alike.
        own = generator.beta(1, 9, 150)
        events = generator.random((150, 2)) < own[:, None]
        figure = rate(events.reshape(-1), names)
        held += figure.low <= truth <= figure.high
    assert 0.90 <= held / 300 <= 0.98


def test_every_resample_draws_as_many_people_as_there_are():
    drawn = weights(40)
    assert drawn.shape == (RESAMPLES, 40)
    assert (drawn.sum(axis=1) == 40).all()
    assert (drawn == weights.__wrapped__(40)).all()


def test_an_interval_is_made_of_values_that_were_there():
    assert interval(np.arange(1000.0)) == (24.0, 974.0)


def test_what_never_happened_is_bounded_by_the_rule_of_three_over_people():
    figure = rate(np.zeros(1800, bool), people(900, 2))
    assert figure == Rate(0.0, 0.0, 3 / 900, 0, 1800, 900, "rule of three")
    assert text_of(figure) == "0 in 900: at most 0.33 % at 95 %"


def test_what_always_happened_is_bounded_from_below():
    figure = rate(np.ones(51, bool), people(51))
    assert (figure.value, figure.low) == (1.0, 1 - 3 / 51)
    assert text_of(figure) == "all of 51: at least 94.1 % at 95 %"


def test_nobody_is_not_evaluated_and_never_nought():
    figure = rate(np.zeros(0, bool), np.array([], str))
    assert isinstance(figure, NotEvaluated)
    assert text_of(figure).startswith("not evaluated")


def test_too_few_people_are_not_evaluated_however_many_pictures():
    figure = rate(np.zeros(290, bool), people(29, 10), fewest=30)
    assert figure == NotEvaluated("29 are too few, at least 30 are needed", 29)
    assert isinstance(rate(np.zeros(30, bool), people(30), fewest=30), Rate)


def test_a_group_as_bad_as_everybody_has_the_ratio_one():
    events = np.tile([True, False, False, False], 50)
    inside = np.arange(200) < 100
    figure = ratio(events, people(200), inside)
    assert figure.value == 1.0
    assert figure.low < 1 < figure.high


def test_a_group_twice_as_bad_shows_it():
    inside = np.arange(600) < 300
    events = np.where(inside, np.arange(600) % 5 == 0, np.arange(600) % 15 == 0)
    figure = ratio(events, people(600), inside)
    assert figure.value == pytest.approx(0.2 / (80 / 600))
    assert figure.low > 1


def test_a_group_without_errors_has_an_upper_bound():
    inside = np.arange(100) < 30
    events = np.arange(100) >= 90
    figure = ratio(events, people(100), inside)
    assert (figure.value, figure.low) == (0.0, 0.0)
    assert figure.high == pytest.approx((3 / 30) / 0.1)


def test_without_any_error_there_is_no_ratio():
    assert isinstance(ratio(np.zeros(9, bool), people(9), np.ones(9, bool)), NotEvaluated)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0 %"), (0.931, "93.1 %"), (0.0034, "0.34 %"), (0.00026, "0.026 %"), (1.0, "100.0 %")],
)
def test_small_shares_keep_the_digits_they_need(share, text):
    assert percent(share) == text
    assert bare(share) == text[:-2]


def test_a_wanted_share_is_written_as_it_was_chosen():
    assert [wanted(share) for share in (0.01, 0.003, 0.001)] == ["1 %", "0.3 %", "0.1 %"]
