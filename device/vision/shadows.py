"""A face that lies mostly in the dark: its shadows are raised before anybody looks at it.

Light from the side or a street at night leaves an 8-bit picture with the eyes in the lowest tenth
of its values: there, but not where a network trained on daylight looks. So each part of the face is
divided by a power of the mean around it (the idea of homomorphic filtering: Oppenheim, Schafer and
Stockham 1968). A face in ordinary light stays as it is, to the last bit.
"""

from typing import Final

import numpy as np

from device.capture.frame import Pixels
from device.opencv import cv2

_CELLS = 16
_INNER = slice(4, 12)
_DARK: Final = 45
"""A quarter of the inner face below this value of 255: it lies in the dark."""
_GOAL, _FLOOR, _POWER = 115.0, 5.0, 0.7
"""Surroundings of 110 stay as they are; those of nought are raised ninefold, noise and all."""
_REACH = 0.15
"""Standard deviation of the surroundings, as part of the side."""


def in_the_dark(face: Pixels) -> bool:
    """Return whether the face in the middle of (side, side, 3) uint8 lies mostly in the dark.

    Judged by the brightest channel, so that no skin and no coloured light counts as darkness.
    """
    cells = np.asarray(cv2.resize(face, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), np.uint8)
    try:
        return bool(np.quantile(cells[_INNER, _INNER].max(axis=2), 0.25) < _DARK)
    finally:
        cells.fill(0)


def raise_shadows(pixels: Pixels, reach: float = _REACH) -> None:
    """Even out the light of (h, w, 3) uint8 in place: dark parts brighter, glaring ones less so.

    reach: how far around a pixel is looked, as part of the shorter side.
    """
    height, width, _ = pixels.shape
    # The blur of a small copy is that of the whole, and many times as fast.
    quarter = (max(1, width // 4), max(1, height // 4))
    small = np.asarray(cv2.resize(pixels, quarter, interpolation=cv2.INTER_AREA), np.uint8)
    brightest = small.max(axis=2).astype(np.float32)
    around = cv2.GaussianBlur(brightest, (0, 0), reach * min(quarter))
    gain = np.asarray(cv2.resize(around, (width, height)), np.float32)
    # In place, so that nothing of a face is left in memory that nobody overwrites.
    gain += _FLOOR
    np.divide(_GOAL, gain, out=gain)
    np.power(gain, _POWER, out=gain)
    even = pixels * gain[..., np.newaxis]
    np.clip(even, 0, 255, out=even)
    pixels[...] = even
    for temporary in (small, brightest, around, gain, even):
        temporary.fill(0)
