"""Many probes' scores as the device comes by them: each looked at again where it comes near.

A test holds this to `device.matching.compare`, which does it for one probe.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.matching import Gallery, scores_of
from device.vision.inference import Floats

_BLOCK = 256
"""Probes at once: their scores with a long list fill memory."""


@dataclass(frozen=True, slots=True)
class Crops:
    """Probes, a row each, by all that a device may see of them.

    Each (n, dimension) float32 of unit length. first: what is compared first. exact: at exacter
    landmarks; the same where the device looks for those before it compares. closer: the mean of
    exact and a second crop.
    """

    first: Floats
    exact: Floats
    closer: Floats

    def __getitem__(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> "Crops":
        """Return some of the probes."""
        return Crops(self.first[rows], self.exact[rows], self.closer[rows])

    def __len__(self) -> int:
        """Return how many probes there are."""
        return len(self.first)


@dataclass(frozen=True, slots=True)
class Edges:
    """From which scores on a probe is looked at again, and gets a second crop."""

    look: float
    crop: float


def device_scores(gallery: Gallery, crops: Crops, edges: Edges) -> Floats:
    """Return the scores that count, (n, references) float32."""
    parts = [_scores(gallery, crops[k : k + _BLOCK], edges) for k in range(0, len(crops), _BLOCK)]
    return np.concatenate(parts) if parts else np.empty((0, len(gallery)), np.float32)


def _scores(gallery: Gallery, crops: Crops, edges: Edges) -> Floats:
    scores = scores_of(gallery, crops.first)
    for edge, better in ((edges.look, crops.exact), (edges.crop, crops.closer)):
        near = scores.max(axis=1) >= edge
        if near.any():
            scores[near] = scores_of(gallery, better[near])
    return scores
