"""Shape: smooth distortions, a turned head, an inexact crop; all in one look-up of pixels.

A distortion makes another person of a face (as far as the teacher is concerned), a turn and an
inexact crop make another view of the same.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.opencv import cv2
from device.vision.geometry import TIGHT
from tools.lab.train.sources import SIDE, Pixels

Field = NDArray[np.float32]

CROP: Final = 112 / TIGHT
"""Pixels of a source that the crop shows: the device's alignment `tight`."""
CROP_SIDE: Final = 128
"""Pixels of the crop: what the teacher takes."""


def smooth_field(rng: np.random.Generator, side: int, knots: int, channels: int) -> Field:
    """Return smooth noise (side, side, channels) of unit strength, from knots x knots values."""
    coarse = rng.standard_normal((knots, knots, channels)).astype(np.float32)
    fine = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32).reshape(side, side, channels)


def _grid() -> tuple[Field, Field]:
    """Return x and y of the crop's pixels, in pixels of the source from its middle."""
    axis = ((np.arange(CROP_SIDE, dtype=np.float32) + 0.5) / CROP_SIDE - 0.5) * CROP
    x, y = np.meshgrid(axis, axis)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


_X, _Y = _grid()


def _depth() -> Field:
    """Return how far the face stands out at each pixel of a crop, in pixels: an egg with a nose."""
    egg = 1 - (_X / 62) ** 2 - ((_Y - 2) / 80) ** 2
    nose = np.exp(-((_X / 9) ** 2) - ((_Y - 14) / 16) ** 2)
    eyes = np.exp(-(((np.abs(_X) - 18) / 10) ** 2) - ((_Y + 4) / 7) ** 2)
    return np.asarray(48 * np.sqrt(np.clip(egg, 0, 1)) + 11 * nose - 4 * eyes, np.float32)


_DEPTH = _depth()


@dataclass(frozen=True)
class Shape:
    """What makes a person: kept for all views of one. field: (128, 128, 2), pixels."""

    field: Field
    stretch: tuple[float, float]

    @classmethod
    def random(cls, rng: np.random.Generator, strength: float) -> "Shape":
        """Draw one. strength: about how many pixels of the source features move."""
        field = smooth_field(rng, CROP_SIDE, int(rng.integers(3, 7)), 2)
        # Faces are nearly symmetric: most of what moves on one side moves on the other.
        mirrored = field[:, ::-1] * np.array([-1, 1], np.float32)
        field = 0.5 * (field + mirrored) + np.float32(0.15) * (field - mirrored)
        amount = np.float32(1.4 * strength * abs(rng.normal(0.8, 0.5)))
        wide, tall = np.exp(rng.normal(0, 0.05, 2))
        return cls(field * amount, (float(wide), float(tall)))


UNBENT: Final = Shape(np.zeros((CROP_SIDE, CROP_SIDE, 2), np.float32), (1.0, 1.0))
"""A face as it is."""


def view(rng: np.random.Generator, face: Pixels, shape: Shape, turn: float) -> Pixels:
    """Return a crop (128, 128, 3) of a source (160, 160, 3): one view of one person.

    turn: standard deviation of the head's turn, in radians; the nod is half of it.
    """
    yaw, pitch = rng.normal(0, turn), rng.normal(0, turn / 2)
    x = _X * shape.stretch[0] + shape.field[..., 0]
    y = _Y * shape.stretch[1] + shape.field[..., 1]
    # Where a pixel of the turned face was in the frontal one, for a face as deep as _DEPTH.
    x = (x - np.float32(np.sin(yaw)) * (_DEPTH - 24)) / np.float32(np.cos(yaw))
    y = (y - np.float32(np.sin(pitch)) * (_DEPTH - 24)) / np.float32(np.cos(pitch))
    # A detector's landmarks are never exact.
    roll, zoom = rng.normal(0, 0.03), float(np.exp(rng.normal(0, 0.04)))
    cos, sin = np.float32(np.cos(roll) * zoom), np.float32(np.sin(roll) * zoom)
    shift = rng.normal(0, 1.2, 2)
    middle = (SIDE - 1) / 2
    at_x = cos * x - sin * y + np.float32(middle + shift[0])
    at_y = sin * x + cos * y + np.float32(middle + shift[1])
    crop = cv2.remap(face, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(crop, np.uint8)
