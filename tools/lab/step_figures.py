"""TPIR at a wanted FPIR with intervals over people, and how much one way gains over another."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from device.vision.inference import Floats

WANTED = (0.01, 0.003)
"""False positive identification rates at which ways are compared."""
_RESAMPLES = 500
_SEED = 19795

Doubles = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Searches:
    """What the searches of one way returned.

    mated: (m,) the score where the right reference came first, else -inf. non_mated: (n,) the
    highest score. people, strangers: whose search each was, as numbers from 0.
    """

    mated: Doubles
    non_mated: Doubles
    people: Codes
    strangers: Codes


class Rate(Struct, frozen=True):
    """TPIR at one FPIR: the share, and its 95 % interval."""

    fpir: float
    tpir: float
    low: float
    high: float


class Gain(Struct, frozen=True):
    """How many points of TPIR more than another way, with the 95 % interval of the difference."""

    fpir: float
    points: float
    low: float
    high: float


def search(
    scores: Floats, non_mated: Floats, owner: Codes, people: Codes, strangers: Codes
) -> Searches:
    """Return what searches return. scores: (m, references); owner: (m,) the right column."""
    best = scores.argmax(axis=1)
    first = scores.max(axis=1).astype(np.float64)
    right = np.where(best == owner, first, -np.inf)
    return Searches(right, non_mated.max(axis=1).astype(np.float64), people, strangers)


def threshold_at(non_mated: Doubles, weights: Doubles, fpir: float) -> float:
    """Return the lowest threshold that so many of the weighted non-mated searches stay below.

    A score equal to the threshold counts as returned, so it lies just above a score.
    """
    order = np.argsort(-non_mated, kind="stable")
    above = np.cumsum(weights[order])
    allowed = int(np.searchsorted(above, fpir * weights.sum() + 1e-9, side="right"))
    if allowed == len(order):
        return -np.inf
    return float(np.nextafter(non_mated[order[allowed]], np.inf))


def tpir_at(found: Searches, fpir: float, mated: Doubles, non_mated: Doubles) -> float:
    """Return the weighted share of mated searches that reach the threshold of a wanted FPIR."""
    threshold = threshold_at(found.non_mated, non_mated, fpir)
    return float(mated[found.mated >= threshold].sum() / mated.sum())


def rates(found: Searches) -> list[Rate]:
    """Return TPIR at every wanted FPIR; each resample of people chooses its own threshold."""
    result = []
    for fpir in WANTED:
        first, *drawn = _over_people(found, fpir)
        low, high = np.quantile(drawn, (0.025, 0.975))
        result.append(Rate(fpir, first, float(low), float(high)))
    return result


def gains(found: Searches, before: Searches) -> list[Gain]:
    """Return how much better `found` is than `before`: the same people in every resample."""
    result = []
    for fpir in WANTED:
        difference = 100 * (np.array(_over_people(found, fpir)) - _over_people(before, fpir))
        low, high = np.quantile(difference[1:], (0.025, 0.975))
        result.append(Gain(fpir, float(difference[0]), float(low), float(high)))
    return result


def _over_people(found: Searches, fpir: float) -> list[float]:
    """Return TPIR as it is, then of each bootstrap resample of people and strangers."""
    random = np.random.default_rng(_SEED)
    ones = np.ones(len(found.mated)), np.ones(len(found.non_mated))
    result = [tpir_at(found, fpir, *ones)]
    for _ in range(_RESAMPLES):
        mated = _drawn(random, found.people)
        non_mated = _drawn(random, found.strangers)
        result.append(tpir_at(found, fpir, mated, non_mated))
    return result


def _drawn(random: np.random.Generator, whose: Codes) -> Doubles:
    """Return how often each search is in a resample: all searches of a person or none."""
    count = int(whose.max()) + 1
    times = np.bincount(random.integers(0, count, count), minlength=count)
    return times[whose].astype(np.float64)
