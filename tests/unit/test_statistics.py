"""Wilson's interval against published values."""

import pytest

from tools.lab.statistics import proportion, wilson

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
