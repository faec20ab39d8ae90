"""Intervals and bounds of proportions against published values."""

import math

import pytest

from tools.lab.statistics import (
    beta_share,
    needed_trials,
    proportion,
    rule_of_three,
    upper_bound,
    wilson,
)

# The last four: R. G. Newcombe, "Two-sided confidence intervals for the single proportion",
# Statistics in Medicine 17 (1998), table I, method 3 (Wilson's score, no continuity correction).
PUBLISHED = [
    (0, 10, 0.0, 0.2775),
    (5, 10, 0.2366, 0.7634),
    (10, 10, 0.7225, 1.0),
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
]
PROPORTIONS = [(hits, total) for total in (1, 2, 7, 51, 130, 1999) for hits in (0, 1, total)]


@pytest.mark.parametrize(("hits", "total", "low", "high"), PUBLISHED)
def test_the_interval_is_the_published_one(hits, total, low, high):
    assert wilson(hits, total) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("hits", "total"), PROPORTIONS)
def test_the_interval_holds_the_proportion_and_stays_between_nought_and_one(hits, total):
    low, high = wilson(hits, total)
    rounding = 1e-12
    assert -rounding <= low <= hits / total + rounding
    assert hits / total - rounding <= high <= 1.0 + rounding


def test_an_interval_is_never_printed_with_a_negative_nought():
    assert not [total for total in range(1, 500) if "-" in proportion(0, total)]


@pytest.mark.parametrize(("hits", "total"), PROPORTIONS)
def test_misses_mirror_hits(hits, total):
    low, high = wilson(hits, total)
    assert wilson(total - hits, total) == pytest.approx((1 - high, 1 - low))


def test_more_of_the_same_narrows_the_interval():
    widths = [high - low for low, high in (wilson(n // 2, n) for n in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


def test_of_nothing_nothing_is_known():
    assert wilson(0, 0) == (0.0, 1.0)
    assert proportion(0, 0) == "none evaluated"


@pytest.mark.parametrize(
    ("hits", "total", "text"),
    [
        (51, 51, "51 of 51 (100.0%, 95 % interval 93.0–100.0 %)"),
        (0, 10, "0 of 10 (0.0%, 95 % interval 0.0–27.8 %)"),
    ],
)
def test_a_proportion_is_said_with_its_interval(hits, total, text):
    assert proportion(hits, total) == text


def test_nothing_seen_in_nine_hundred_is_at_most_a_third_of_a_per_cent():
    assert rule_of_three(900) == pytest.approx(0.0033, abs=4e-5)
    assert rule_of_three(2) == rule_of_three(0) == 1.0


# Clopper and Pearson's one-sided 95 % limits, which are those of the two-sided 90 % interval: the
# first by hand, 1 - 0.05**(1/n); the others from the binomial tail, summed term by term below.
@pytest.mark.parametrize(
    ("events", "trials", "bound"),
    [(0, 10, 0.258866), (0, 1000, 0.002991), (1, 10, 0.394163), (5, 10, 0.777559), (10, 10, 1.0)],
)
def test_the_exact_bound_is_the_published_one(events, trials, bound):
    assert upper_bound(events, trials) == pytest.approx(bound, abs=2e-6)


@pytest.mark.parametrize(("events", "trials"), [(0, 30), (3, 50), (17, 400), (160, 1800)])
def test_at_the_bound_so_few_events_have_a_chance_of_five_per_cent(events, trials):
    rate = upper_bound(events, trials)
    tail = sum(
        math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(events + 1)
    )
    assert tail == pytest.approx(0.05, abs=1e-9)


def test_a_fraction_of_an_event_lies_between_whole_ones():
    bounds = [upper_bound(events, 500) for events in (1, 1.25, 1.5, 2)]
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[1] < bounds[2] < bounds[3]


def test_the_rule_of_three_is_the_exact_bound_of_nothing():
    for trials in (100, 1000, 10_000):
        assert upper_bound(0, trials) == pytest.approx(rule_of_three(trials), rel=0.02)
        assert upper_bound(0, trials) <= rule_of_three(trials)


def test_three_thousand_passes_without_an_error_show_one_in_a_thousand():
    needed = needed_trials(0.001)
    assert needed == 2995
    assert upper_bound(0, needed) <= 0.001 < upper_bound(0, needed - 1)


# I_x(1, b) = 1 - (1 - x)^b, I_x(a, 1) = x^a, I_1/2(a, a) = 1/2, and a polynomial for whole numbers.
@pytest.mark.parametrize(
    ("a", "b", "x", "share"),
    [(1, 7, 0.2, 1 - 0.8**7), (4, 1, 0.7, 0.7**4), (9.5, 9.5, 0.5, 0.5), (2, 3, 0.5, 0.6875)],
)
def test_the_beta_function_is_known_in_places(a, b, x, share):
    assert beta_share(a, b, x) == pytest.approx(share, abs=1e-12)
    assert beta_share(b, a, 1 - x) == pytest.approx(1 - share, abs=1e-12)


def test_the_beta_function_ends_at_its_ends():
    assert beta_share(3, 4, 0.0) == 0.0
    assert beta_share(3, 4, 1.0) == 1.0
