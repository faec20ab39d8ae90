"""One probe against the whole list: `G @ p`, threshold, margin."""

from dataclasses import dataclass

import numpy as np

from device.matching.gallery import Gallery
from device.vision.sample import Probe


@dataclass(frozen=True, slots=True)
class Limits:
    """When a comparison returns a candidate.

    threshold: lowest score (cosine similarity, -1 to 1). margin: least lead over the best other
    reference. threshold_id: name of the statement that the threshold comes from.
    """

    threshold: float
    margin: float
    threshold_id: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A reference returned above the threshold. score and margin never leave the device (R47)."""

    reference_id: str
    score: float
    margin: float


def compare(gallery: Gallery, probe: Probe, limits: Limits) -> Candidate | None:
    """Compare one probe with all references.

    Several templates of one reference count as the best of them. Returns None below the threshold,
    or when another reference comes nearer than the margin: two look-alikes are no candidate.
    """
    products = gallery.matrix @ probe.template
    scores = np.maximum.reduceat(products, gallery.starts)
    products.fill(0)
    best = int(scores.argmax())
    score = float(scores[best])
    # A NaN must not pass: `not >=`, rather than `<`.
    if not score >= limits.threshold:
        scores.fill(0)
        return None
    scores[best] = -1.0
    margin = score - float(scores.max())
    scores.fill(0)
    if margin < limits.margin:
        return None
    return Candidate(gallery.ids[best], score, margin)
