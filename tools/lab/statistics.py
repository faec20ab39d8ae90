"""Confidence intervals of proportions."""

import math

_Z95 = 1.959963984540054


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
