"""The bootstrap over subjects: people are drawn again, never pictures.

Two pictures of one person are no independent trials, so a resample takes a person with all searches
of them or not at all (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8).
Mated and non-mated subjects are resampled apart. Everything is a product of whole numbers held in
float64, so that the order in which a library adds them cannot change a digit.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

RESAMPLES = 1000
SEED = 20_260_101
_TAIL = 0.025


@lru_cache(maxsize=16)
def weights(subjects: int) -> Doubles:
    """Return how often each of `subjects` is drawn, (RESAMPLES, subjects); rows sum to `subjects`.

    The draw depends on nothing but the number of subjects, so that the order in which figures are
    computed does not matter.
    """
    generator = np.random.Generator(np.random.PCG64([SEED, subjects]))
    drawn = generator.multinomial(subjects, np.full(subjects, 1 / subjects), size=RESAMPLES)
    return drawn.astype(np.float64)


def interval(values: Doubles) -> tuple[float, float]:
    """Return the 95 % percentile interval of resampled values, themselves values of the sample."""
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL], method="inverted_cdf")
    return float(low), float(high)


def per_subject(values: Doubles, subjects: Codes, count: int) -> Doubles:
    """Return the sum of `values` of each subject, (count,)."""
    return np.bincount(subjects, weights=values, minlength=count).astype(np.float64)
