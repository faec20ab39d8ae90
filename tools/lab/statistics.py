"""Confidence intervals and bounds of proportions."""

import math

_Z95 = 1.959963984540054
_HALVINGS = 60
"""Steps of a bisection that ends below the spacing of floating-point numbers."""
_MOST_TERMS = 10_000
_TERM_TOLERANCE = 1e-15
_TINY = 1e-300


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion after Wilson (JASA 22, 1927); (0, 1) for none."""
    if total == 0:
        return 0.0, 1.0
    share = hits / total
    z2 = _Z95 * _Z95
    centre = share + z2 / (2 * total)
    half = _Z95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    low, high = (centre - half) / (1 + z2 / total), (centre + half) / (1 + z2 / total)
    # Rounding must not print a proportion below nought.
    return max(0.0, low), min(1.0, high)


def proportion(hits: int, total: int) -> str:
    """Return "51 of 51 (100.0 %, 95 % interval 93.0–100.0 %)"."""
    if total == 0:
        return "none evaluated"
    low, high = wilson(hits, total)
    return (
        f"{hits} of {total} ({hits / total:.1%}, 95 % interval {100 * low:.1f}–{100 * high:.1f} %)"
    )


def rule_of_three(trials: int) -> float:
    """Return the upper 95 % bound of a rate when none of `trials` independent ones failed.

    Source: Hanley and Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249,
    1983; 1 for fewer than three trials.
    """
    return min(1.0, 3 / trials) if trials else 1.0


def upper_bound(events: float, trials: int, confidence: float = 0.95) -> float:
    """Return the one-sided upper bound of a rate, exact (Clopper and Pearson, Biometrika 26, 1934).

    events of `trials` independent ones happened. It is the rate at which so few would be seen with
    probability 1 - confidence, a quantile of the beta distribution, which lets a trial count as a
    fraction of an event, too; 1 when all happened or there was none.
    """
    if events >= trials:
        return 1.0
    low, high = events / trials, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if beta_share(events + 1, trials - events, middle) < confidence:
            low = middle
        else:
            high = middle
    return high


def needed_trials(rate: float, confidence: float = 0.95) -> int:
    """Return how many trials without an event it takes to show a rate of at most `rate`."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate))


def beta_share(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), 0 <= x <= 1, a and b above 0.

    Source: its continued fraction (NIST Digital Library of Mathematical Functions, 8.17.22), after
    Lentz, on the side where it converges fast.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front += a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) / a * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of I_x(a, b) by Lentz's method."""
    c, d = 1.0, _away(1 - (a + b) * x / (a + 1))
    d = 1 / d
    result = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            result *= d * c
        if abs(d * c - 1) < _TERM_TOLERANCE:
            break
    return result


def _away(value: float) -> float:
    """Keep a divisor away from nought."""
    return value if abs(value) > _TINY else _TINY
