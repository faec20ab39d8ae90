"""Marks on a face: brows, beards, shadows, wrinkles, spots, drawn as soft blobs and smooth noise.

The generated faces are alike in what a barber or age changes; these marks move a face, as the
teacher sees it, in directions that blending them cannot reach.
"""

from typing import Final

import numpy as np

from device.opencv import cv2
from tools.lab.train.sources import SIDE, Pixels
from tools.lab.train.warp import Field, smooth_field

_KNOTS: Final = (5, 9, 16, 28, 48)
_GRAIN: Final = 64
_ROWS, _COLUMNS = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)


def painted(rng: np.random.Generator, face: Pixels) -> Pixels:
    """Return a face (160, 160, 3) with marks, mostly the same on both of its sides."""
    marked = face.astype(np.float32)
    for knots in _KNOTS:
        if rng.random() < 0.5:  # noqa: PLR2004 - how often, chosen by hand
            marked += _texture(rng, knots)
    for _ in range(int(rng.integers(0, 3))):
        marked = _patch(rng, marked)
    return np.clip(marked, 0, 255).astype(np.uint8)


def _texture(rng: np.random.Generator, knots: int) -> Field:
    """Return smooth noise of some strength around some place, (160, 160, 3)."""
    noise = smooth_field(rng, SIDE, knots, 1)
    noise = 0.6 * (noise + noise[:, ::-1]) + np.float32(0.15) * noise
    strength = np.float32(18 * abs(rng.normal()))
    tint = np.float32(1) + rng.normal(0, 0.15, 3).astype(np.float32)
    middle, reach = rng.uniform((30, 30), (80, 140)), rng.uniform(20, 70)
    far = _from_axis(middle[0]) ** 2 + (_ROWS - np.float32(middle[1])) ** 2
    mask = cv2.exp(far * np.float32(-0.5 / reach**2)).reshape(SIDE, SIDE, 1)
    return np.asarray(noise * mask * strength * tint, np.float32)


def _patch(rng: np.random.Generator, face: Field) -> Field:
    """Return a face with a soft-edged patch of one grainy colour: a beard, a brow, a shadow."""
    middle = rng.uniform((40, 40), (80, 140))
    size = rng.uniform((5, 4), (40, 25))
    far = (_from_axis(middle[0]) / np.float32(size[0])) ** 2
    far += ((_ROWS - np.float32(middle[1])) / np.float32(size[1])) ** 2
    edge = np.clip((1 - far) * np.float32(rng.uniform(0.5, 2)) + 0.5, 0, 1)[..., None]
    edge *= np.float32(rng.uniform(0, 0.7))
    grain = 1 + np.float32(0.25) * smooth_field(rng, SIDE, _GRAIN, 1)
    colour = (rng.uniform(0, 110) * np.exp(rng.normal(0, 0.15, 3))).astype(np.float32)
    return np.asarray(face * (1 - edge) + edge * colour * grain, np.float32)


def _from_axis(column: float) -> Field:
    """Return the distance of each pixel from a column or from its mirror image."""
    mirrored = np.float32(SIDE - 1 - column)
    return np.minimum(np.abs(_COLUMNS - np.float32(column)), np.abs(_COLUMNS - mirrored))
