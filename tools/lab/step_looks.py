"""Whom the second look is spared, and what that loses: the grounds of `second_look_from`."""

from dataclasses import dataclass, replace
from math import inf

import numpy as np
import numpy.typing as npt

from device.matching import Gallery
from tools.lab.crops import Crops, Edges, device_scores
from tools.lab.step_figures import Codes


@dataclass(frozen=True, slots=True)
class Probed:
    """Probes, and which of them passed the quality gate, (n,) bool."""

    crops: Crops
    acquired: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class When:
    """From which scores on a probe is looked at again, and is a candidate."""

    edges: Edges
    threshold: float


@dataclass(frozen=True, slots=True)
class Spared:
    """Whom the device does not look at again.

    found: mated probes whose own reference comes first and reaches the threshold when everybody is
    looked at again; lost: those of them whose first score is too low for it.
    """

    strangers: int
    strangers_spared: int
    found: int
    lost: int

    def said(self, threshold: float) -> str:
        """Return one line."""
        return (
            f"second look: {self.strangers_spared} of {self.strangers} non-mated probes are spared "
            f"it; {self.lost} of {self.found} mated ones that reach {threshold} with a look at "
            "everybody do not come near enough to be looked at"
        )


def spared(gallery: Gallery, mated: Probed, others: Probed, owner: Codes, when: When) -> Spared:
    """Count the spared. owner: (n,) place of each mated probe's reference."""
    everybody = replace(mated.crops, first=mated.crops.exact)
    scores = device_scores(gallery, everybody, when.edges)
    right = (scores.argmax(axis=1) == owner) & mated.acquired
    found = right & (scores.max(axis=1) >= when.threshold)
    return Spared(
        strangers=int(np.count_nonzero(others.acquired)),
        strangers_spared=int(np.count_nonzero(_far(gallery, others, when) & others.acquired)),
        found=int(np.count_nonzero(found)),
        lost=int(np.count_nonzero(_far(gallery, mated, when) & found)),
    )


def _far(gallery: Gallery, probes: Probed, when: When) -> npt.NDArray[np.bool_]:
    first = device_scores(gallery, probes.crops, Edges(inf, inf))
    return np.asarray(first.max(axis=1) < when.edges.look)
