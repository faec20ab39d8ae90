"""Figures of many samples: percentiles, how sure a percentile is, how fast something grows."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

_RESAMPLED: Final = 2000
_SEED: Final = 7
_BLOCKS: Final = 20
"""A process's memory is much the same from one second to the next: means of stretches count."""

Floats = npt.NDArray[np.float64]


class Spread(msgspec.Struct, frozen=True):
    """How samples spread. number: how many there are; without any the rest is 0."""

    number: int
    p50: float
    p95: float
    p99: float
    most: float


class Interval(msgspec.Struct, frozen=True):
    """A figure and its 95 % confidence interval."""

    value: float
    low: float
    high: float


def spread(samples: Sequence[float]) -> Spread:
    """Return percentiles of samples."""
    if not len(samples):
        return Spread(0, 0.0, 0.0, 0.0, 0.0)
    p50, p95, p99, most = np.quantile(np.asarray(samples, np.float64), [0.5, 0.95, 0.99, 1.0])
    return Spread(len(samples), float(p50), float(p95), float(p99), float(most))


def p99(samples: Sequence[float]) -> Interval:
    """Return the 99th percentile, and where it may lie by resampling (bootstrap percentiles).

    Raises ValueError without samples. The highest sample bounds it: with fewer than some 300 the
    upper end is that sample, mostly.
    """
    values = np.asarray(samples, np.float64)
    if not len(values):
        msg = "Without samples there is no percentile."
        raise ValueError(msg)
    rng = np.random.default_rng(_SEED)
    again = [
        np.quantile(values[rng.integers(0, len(values), len(values))], 0.99)
        for _ in range(_RESAMPLED)
    ]
    low, high = np.quantile(again, [0.025, 0.975])
    return Interval(float(np.quantile(values, 0.99)), float(low), float(high))


def growth(seconds: Sequence[float], values: Sequence[float]) -> Interval:
    """Return how much values grow per hour: a straight line through the means of 20 stretches.

    The interval is of the line's residuals, resampled. Raises ValueError for fewer than 20 samples.
    """
    if len(seconds) < _BLOCKS:
        msg = f"A slope needs at least {_BLOCKS} samples."
        raise ValueError(msg)
    hours = _means(np.asarray(seconds, np.float64)) / 3600
    means = _means(np.asarray(values, np.float64))
    slope, start = np.polyfit(hours, means, 1)
    line = slope * hours + start
    rng = np.random.default_rng(_SEED)
    # A line through two unknowns fits a little too well: residuals are that much too small.
    residuals = (means - line) * np.sqrt(len(means) / (len(means) - 2))
    again = [
        np.polyfit(hours, line + rng.choice(residuals, len(residuals)), 1)[0]
        for _ in range(_RESAMPLED)
    ]
    low, high = np.quantile(again, [0.025, 0.975])
    return Interval(float(slope), float(low), float(high))


def _means(values: Floats) -> Floats:
    return np.array([part.mean() for part in np.array_split(values, _BLOCKS)])
