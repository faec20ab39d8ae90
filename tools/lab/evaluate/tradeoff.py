"""What a threshold makes of scores: errors of both kinds, and the threshold of a wanted rate."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tools.lab.evaluate.figures import Rate
from tools.lab.evaluate.rates import Names, coded, rate
from tools.lab.evaluate.resampling import Codes, Doubles, interval, per_subject, weights
from tools.lab.statistics import upper_bound

DECIMALS = 4
"""Thresholds are written with so many decimals, and rounded up: that errs on the safe side."""
_COARSE_DECIMALS = 3
_FINE_SHARE = 0.03
_LARGEST_SHARE = 0.35


@dataclass(frozen=True)
class Trials:
    """Searches, or comparisons, as scores.

    scores: (n,) float64; -inf where no threshold could return a candidate. names: whose trial each
    is, (n,). A candidate is returned when the score is at or above the threshold.
    """

    scores: Doubles
    names: Names

    @cached_property
    def _codes(self) -> tuple[Codes, int]:
        return coded(self.names)

    @property
    def subjects(self) -> int:
        """How many different people there are."""
        return self._codes[1]

    @cached_property
    def per_subject(self) -> Doubles:
        """How many trials each subject has, (subjects,)."""
        codes, count = self._codes
        return per_subject(np.ones(len(codes)), codes, count)

    def reached(self, thresholds: Doubles) -> Doubles:
        """Return, per subject and ascending threshold, how many scores reach it."""
        codes, count = self._codes
        width = len(thresholds) + 1
        steps = np.searchsorted(thresholds, self.scores, side="right")
        table = np.bincount(codes * width + steps, minlength=count * width)
        from_above = table.reshape(count, width)[:, ::-1].cumsum(axis=1)[:, ::-1]
        return from_above[:, 1:].astype(np.float64)

    def rate_at(self, threshold: float, *, missed: bool = False) -> Rate:
        """Return the share of trials at or above a threshold, or of those that miss it."""
        hits = self.scores >= threshold
        figure = rate(~hits if missed else hits, self.names)
        if not isinstance(figure, Rate):
            raise TypeError("There are no trials to take a rate of.")
        return figure

    def erring_subjects(self, threshold: float) -> float:
        """Return how many subjects reach a threshold; one with several trials by their share."""
        codes, count = self._codes
        hits = per_subject((self.scores >= threshold).astype(np.float64), codes, count)
        return float((hits / self.per_subject).sum())


@dataclass(frozen=True, slots=True)
class Point:
    """Where a rate of false positives is wanted.

    threshold: the lowest at which no more than `target` of the non-mated trials reach it. low,
    high: its 95 % interval. false_negative: at this threshold, the threshold drawn anew with the
    subjects. proven: the lowest threshold at which the exact 95 % bound of the rate over subjects
    is at most `target`; None when there are too few subjects to show that of any threshold.
    """

    target: float
    threshold: float
    low: float
    high: float
    false_positive: Rate
    false_negative: Rate
    proven: float | None
    bound: float
    """Upper 95 % bound, exact and over subjects, of the false positives at `threshold`."""


def thresholds_of(scores: Doubles) -> Doubles:
    """Return the thresholds worth trying: just above each of the higher non-mated scores.

    The last is above them all. Above 3 % of the trials they have four decimals, below three, down
    to where a third of the trials pass.
    """
    finite = np.sort(scores[np.isfinite(scores)])[::-1]
    fine = finite[: int(np.ceil(_FINE_SHARE * len(scores))) + 1]
    coarse = finite[: int(np.ceil(_LARGEST_SHARE * len(scores))) + 1]
    if len(finite) == 0:
        return np.array([0.0])
    above, below = _just_above(fine, DECIMALS), _just_above(coarse, _COARSE_DECIMALS)
    return np.unique(np.concatenate([above, below[below < above.min()]]))


def _just_above(scores: Doubles, decimals: int) -> Doubles:
    """Return, for each score, the lowest number of so many decimals that is above it."""
    unit = 10.0**decimals
    steps = np.floor(scores * unit) + 1
    # A score such as 0.57 may come out a step too low: 0.57 × 10,000 is 5,699.999….
    return np.where(steps / unit > scores, steps, steps + 1) / unit


class Tradeoff:
    """Mated and non-mated trials over all thresholds worth trying, resampled once."""

    def __init__(self, mated: Trials, non_mated: Trials) -> None:
        self.mated = mated
        self.non_mated = non_mated
        self.thresholds = thresholds_of(non_mated.scores)
        """Ascending, (t,)."""
        found = mated.reached(self.thresholds)
        false = non_mated.reached(self.thresholds)
        self.false_negative = 1 - found.sum(axis=0) / len(mated.scores)
        """Share of mated trials below each threshold, (t,)."""
        self.false_positive = false.sum(axis=0) / len(non_mated.scores)
        """Share of non-mated trials at or above each threshold, (t,)."""
        drawn = weights(mated.subjects)
        self._negative = 1 - (drawn @ found) / (drawn @ mated.per_subject)[:, None]
        drawn = weights(non_mated.subjects)
        self._positive = (drawn @ false) / (drawn @ non_mated.per_subject)[:, None]

    def _first(self, shares: Doubles, target: float) -> int:
        """Return the lowest threshold's place at which a falling share is at most `target`."""
        # Where even the lowest threshold of the table passes no more, it is that one.
        return min(int((shares > target).sum()), len(self.thresholds) - 1)

    def _drawn(self, target: float) -> Codes:
        """Return the place of the threshold in each resample."""
        places = np.count_nonzero(self._positive > target, axis=1)
        last: Codes = np.minimum(places, len(self.thresholds) - 1)
        return last

    def at(self, target: float) -> Point:
        """Return the operating point of a wanted rate of false positives."""
        place = self._first(self.false_positive, target)
        threshold = float(self.thresholds[place])
        drawn = self._drawn(target)
        low, high = interval(self.thresholds[drawn])
        negative = self.mated.rate_at(threshold, missed=True)
        if negative.method != "rule of three":
            below, above = interval(self._negative[np.arange(len(drawn)), drawn])
            negative = Rate(
                negative.value,
                min(below, negative.value),
                max(above, negative.value),
                negative.events,
                negative.trials,
                negative.subjects,
                negative.method,
            )
        return Point(
            target,
            threshold,
            min(low, threshold),
            max(high, threshold),
            self.non_mated.rate_at(threshold),
            negative,
            self._proven(target),
            self.bound(threshold),
        )

    def bound(self, threshold: float) -> float:
        """Return the upper 95 % bound, over subjects, of the false positives at a threshold."""
        return upper_bound(self.non_mated.erring_subjects(threshold), self.non_mated.subjects)

    def _proven(self, target: float) -> float | None:
        if upper_bound(0, self.non_mated.subjects) > target:
            return None
        # The bound falls with the threshold, and above all scores it is that of no error: halve.
        low, high = 0, len(self.thresholds) - 1
        while low < high:
            middle = (low + high) // 2
            if self.bound(float(self.thresholds[middle])) <= target:
                high = middle
            else:
                low = middle + 1
        return float(self.thresholds[low])

    def curve(self, shares: Doubles) -> list[tuple[float, float, float, float]]:
        """Return false negatives with their band at the wanted false positives.

        shares: wanted rates. Each row: the rate of false positives that is reached, the false
        negatives there, their 95 % interval.
        """
        rows = []
        for share in shares:
            place, drawn = self._first(self.false_positive, float(share)), self._drawn(float(share))
            low, high = interval(self._negative[np.arange(len(drawn)), drawn])
            value = float(self.false_negative[place])
            rows.append((float(share), value, min(low, value), max(high, value)))
        return rows
