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
    """

    threshold: float
    margin: float
    threshold_id: str
    second_crop_from: float = np.inf


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
    cosines = gallery.cosines(templates)
    try:
        offsets = gallery.offsets()
        if gallery.gone.any():
            _take_off_what_is_known(cosines, offsets, gallery)
        else:
            of_probe = levels(cosines)
            of_probe += offsets
            of_probe *= np.float32(gallery.weight / 2)
            cosines -= of_probe
            of_probe.fill(0)
        offsets.fill(0)
        # Rows of zeros would score above nought for a probe that is far from everybody.
        cosines[:, gallery.gone] = GONE
    except BaseException:
        # How near a face is to everybody on a list nearly tells its template.
        cosines.fill(0)
        raise
    return cosines


def _take_off_what_is_known(cosines: Floats, offsets: Floats, gallery: Gallery) -> None:
    """Normalise in place when references are gone; see `device.matching.cohort`."""
    left = ~gallery.gone
    if not left.any():
        return
    level = np.float32(gallery.level)
    kept = cosines[:, left]
    of_probe = levels(kept, of=len(gallery))
    of_probe -= level
    np.maximum(of_probe, 0, out=of_probe)
    of_probe += offsets[left] + level
    of_probe *= np.float32(gallery.weight / 2)
    kept -= of_probe
    cosines[:, left] = kept
    for used in (kept, of_probe):
        used.fill(0)


def compare(gallery: Gallery, probe: Probe, limits: Limits) -> Candidate | None:
    """Compare one probe with all references.

    Returns None below the threshold, or when another reference comes nearer than the margin: two
    look-alikes are no candidate. A probe that comes near a reference is looked at once more, cut
    out another way.
    """
    (scores,) = scores_of(gallery, probe.template[np.newaxis])
    try:
        if float(scores.max()) >= limits.second_crop_from and probe.look_closer():
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
