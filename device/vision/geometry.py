"""Similarity transforms between a face in a picture and the embedder's template."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from device.vision.inference import Floats

# Eyes, nose and mouth corners in a 112 x 112 crop, as x, y. The subject's right eye comes first
# (it is on the left of the picture). Source: ArcFace, insightface/utils/face_align.py.
ARCFACE_112: Final[Floats] = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    np.float32,
)


Alignment = Literal["arcface", "tight", "open-model-zoo"]
"""Which template an embedder was trained on.

arcface: `ARCFACE_112`. tight: the same, 8 % larger about the crop's middle: what the built-in
embedder is trained on (tools/lab/train/warp.py, `CROP`). open-model-zoo: its narrow form, 96 pixels
wide without the 8 on either side, stretched to a square: the face is larger in the crop. Source:
Open Model Zoo, face recognition demo, reference landmarks of face-reidentification-retail-0095.
"""


TIGHT: Final = 1.08
"""How much larger the face is in the alignment `tight`."""


def template_points(side: int, alignment: Alignment = "arcface") -> Floats:
    """Return the five template points in a crop of `side` pixels, (5, 2) float32."""
    if alignment == "arcface":
        return ARCFACE_112 * np.float32(side / 112)
    if alignment == "tight":
        return nudged(ARCFACE_112 * np.float32(side / 112), side, Nudge(size=TIGHT))
    narrow = ARCFACE_112 - np.array([8, 0], np.float32)
    return np.asarray(narrow * np.array([side / 96, side / 112], np.float32), np.float32)


@dataclass(frozen=True, slots=True)
class Nudge:
    """A small error of alignment. size: factor. right, down: shift as part of the crop's side."""

    size: float = 1.0
    degrees: float = 0.0
    right: float = 0.0
    down: float = 0.0


NUDGES: Final = (
    Nudge(),
    *(Nudge(size=size) for size in (0.90, 0.95, 1.05)),
    *(Nudge(degrees=degrees) for degrees in (-4.0, 4.0)),
    *(Nudge(right=right) for right in (-0.025, 0.025)),
    *(Nudge(down=down) for down in (-0.025, 0.025)),
)
"""Alignments of which a reference is the mean."""


def nudged(points: Floats, side: int, nudge: Nudge) -> Floats:
    """Return template points (5, 2) turned and sized about the crop's middle, then shifted."""
    angle = np.radians(nudge.degrees)
    turn = nudge.size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, (side - 1) / 2)
    shift = side * np.array([nudge.right, nudge.down])
    return np.asarray((points - middle) @ turn.T + middle + shift, np.float32)


def similarity(source: Floats, target: Floats) -> Floats:
    """Return the (2, 3) transform (scale, turn, shift) that best maps source to target points.

    source, target: (n, 2) float32. Least squares after Umeyama, "Least-squares estimation of
    transformation parameters between two point patterns", IEEE PAMI 13(4), 1991, in its closed form
    for two dimensions. Raises ValueError when all source points coincide.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    s, t = source - source_mean, target - target_mean
    spread = float((s * s).sum())
    if spread < 1e-6:  # noqa: PLR2004 - squared pixels; nothing to fit below
        msg = "The landmarks coincide."
        raise ValueError(msg)
    a = float((s * t).sum()) / spread
    b = float((s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum()) / spread
    linear = np.array([[a, -b], [b, a]], np.float64)
    shift = target_mean - linear @ source_mean
    return np.column_stack([linear, shift]).astype(np.float32)
