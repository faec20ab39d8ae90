"""Score normalisation: how near a face stands to everybody, taken off its scores.

Some references resemble many people, and some probes (a blurred, a turned, an ordinary face) come
near many references. Their scores are high against everybody and say little. So each side has a
*level*, the mean of its highest scores against the others of the list, and half of what a side's
level has above the list's own is taken off the score:

    score = cosine - w/2 * (level of the reference - mean) - w/2 * (level of the probe - mean)

where "mean" is the mean level of all references: what is ordinary costs nothing, and the scale
stays that of the cosine. The list itself is the cohort: nothing else needs to be stored, and
nobody's face but theirs is used.

When references have left the list (revoked, expired, overdue) the cohort is smaller, and what a
level would have been is no longer known. The part of the reference was taken before, over the whole
list, and stays as it was. The part of the probe is estimated over those that are left, from
proportionally fewer of its highest scores, and counts only where it lowers a score: a probe gains
nothing from being unlike those who happen to be left. `tests/unit/test_cohort_shrunk.py` measures
that false alerts then stay at or below those of the whole list, whoever has left.

Source: cross-domain similarity local scaling, Conneau et al.,
"Word translation without parallel data", ICLR 2018; in biometrics, adaptive symmetric
normalisation.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

NEIGHBOURS: Final = 10
"""How many of the highest scores make a level."""
_AT_ONCE: Final = 256
"""How many references are compared with all others in one step."""


def weight_of(others: int) -> float:
    """Return w in [0, 1): how far to trust levels taken from so many other references.

    A list of one has nobody to take a level from; a short one knows it badly.
    """
    return others / (others + NEIGHBOURS)


def levels(cosines: Floats, gone: int = 0) -> Floats:
    """Return the level of each probe as each reference sees it, without itself.

    cosines: (n, references) float32, of n probes. gone: how many of the references have left; their
    cosines are -inf. Returns the same shape: in column j the mean of the highest `NEIGHBOURS` of
    the row's other cosines, or of all where there are fewer; of a list that has shrunk, of its
    share of them, at least one; 0 where only one is left.
    """
    whole = cosines.shape[1] - 1
    others = whole - gone
    if others <= 0:
        return np.zeros_like(cosines)
    count = max(1, min(NEIGHBOURS, whole) * others // whole)
    # The highest of all but one are among the highest one more of all.
    parted = np.partition(cosines, whole - count, axis=1)
    highest = parted[:, whole - count :]
    last = highest[:, :1]
    total = highest.sum(axis=1, keepdims=True)
    # A reference that is among them leaves; otherwise the lowest of them does.
    found = np.maximum(cosines, last)
    np.subtract(total, found, out=found)
    found /= np.float32(count)
    # Small arrays go round in a cache of NumPy's: what they hold would stay.
    for used in (parted, total):
        used.fill(0)
    return found


def levels_of_references(directions: Floats, matrix: Floats) -> Floats:
    """Return the level of every reference among the others, (n,) float32.

    directions: (n, dimension) float32, the references as probes. matrix: as references.
    """
    found = np.empty(len(matrix), np.float32)
    # All at once would be a square of the list: 16 MB at the cap, several times.
    for start in range(0, len(matrix), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        found[part] = np.diagonal(levels(directions[part] @ matrix.T), offset=start)
    return found
