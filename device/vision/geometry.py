"""Similarity transforms between a face in a picture and the embedder's template."""

from typing import Final

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


def template_points(side: int) -> Floats:
    """Return the five template points in a crop of `side` pixels, (5, 2) float32."""
    return ARCFACE_112 * np.float32(side / 112)


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
