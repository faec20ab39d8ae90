"""One probe against the whole list: `G @ p`, normalised, threshold, margin."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from device.matching.cohort import levels
from device.matching.gallery import Floats, Gallery
from device.vision.sample import Probe

GONE: Final = np.float32(-1)
"""Lower than any threshold."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a comparison returns a candidate.

    threshold: lowest score, on the scale of `scores_of`. margin: least lead over the best other
    reference. threshold_id: name of the statement that the threshold comes from. second_crop_from:
    from this score on a probe gets a second crop, and its score is that of the mean.
    second_look_from: from this score on its landmarks are looked for again before that, where this
    has not been done, and its score is that of the template there.
    """

    threshold: float
    margin: float
    threshold_id: str
    second_crop_from: float = np.inf
    second_look_from: float = -np.inf


@dataclass(frozen=True, slots=True)
class Candidate:
    """A reference returned above the threshold. score and margin never leave the device (R47)."""

    reference_id: str
    score: float
    margin: float


def scores_of(gallery: Gallery, templates: Floats) -> Floats:
    """Return the comparison scores of n probes with all references, (n, references) float32.

    templates: (n, dimension) float32, rows of unit length. A score is the cosine similarity, less
    what the probe and the reference have in common with everybody (`device.matching.cohort`);
    mostly between -0.5 and 1, and `GONE` for a reference that is revoked or expired. The one scale
    of thresholds, margins and bands, also of a list that has shrunk.
    """
    scores = gallery.cosines(templates)
    try:
        offsets = gallery.offsets()
        gone = int(np.count_nonzero(gallery.gone))
        if gone:
            # Rows of zeros would count among those near a probe that is far from everybody.
            np.copyto(scores, -np.inf, where=gallery.gone)
        taken = levels(scores, gone)
        if gone:
            # Of a list that has shrunk a probe's level counts only where it lowers a score.
            np.maximum(taken, np.float32(gallery.level), out=taken)
        taken += offsets
        taken *= np.float32(gallery.weight / 2)
        scores -= taken
        for used in (taken, offsets):
            used.fill(0)
        if gone:
            np.copyto(scores, GONE, where=gallery.gone)
    except BaseException:
        # How near a face is to everybody on a list nearly tells its template.
        scores.fill(0)
        raise
    return scores


def compare(gallery: Gallery, probe: Probe, limits: Limits) -> Candidate | None:
    """Compare one probe with all references.

    Returns None below the threshold, or when another reference comes nearer than the margin: two
    look-alikes are no candidate. A probe that comes near a reference is looked at again: first for
    exacter landmarks, and where it is still near there, cut out another way.
    """
    closer = (
        (limits.second_look_from, probe.look_again),
        (limits.second_crop_from, probe.look_closer),
    )
    (scores,) = scores_of(gallery, probe.template[np.newaxis])
    try:
        for near, look in closer:
            if float(scores.max()) >= near and look():
                scores.fill(0)
                (scores,) = scores_of(gallery, probe.template[np.newaxis])
        best = int(scores.argmax())
        score = float(scores[best])
        # A NaN must not pass: `not >=`, rather than `<`.
        if not score >= limits.threshold:
            return None
        scores[best] = -1.0
        margin = score - float(scores.max())
    finally:
        scores.fill(0)
    if margin < limits.margin:
        return None
    return Candidate(gallery.ids[best], score, margin)
