"""A face that lies mostly in the dark: its shadows are raised before anybody looks at it.

Light from the side or a street at night leaves an 8-bit picture with the eyes in the lowest tenth
of its values: there, but not where a network trained on daylight looks. So each part of the face is
divided by a power of the mean around it (the idea of homomorphic filtering: Oppenheim, Schafer and
Stockham 1968). A face in ordinary light stays as it is, to the last bit.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from device.capture.frame import Pixels
from device.opencv import cv2

Plane = npt.NDArray[np.float32]

_CELLS = 16
_INNER = slice(4, 12)
_DARK: Final = 45
_DARK_SHARE: Final = 0.3
"""So much of the inner face below _DARK of 255: it lies in the dark. A black mask or dark glasses
cover a little less."""
_GOAL, _FLOOR, _POWER = 115.0, 5.0, 0.7
"""Surroundings of 110 stay as they are; those of nought are raised ninefold, noise and all."""
_REACH = 0.15
"""Standard deviation of the surroundings, as part of the shorter side."""
_COARSE = 32
"""Pixels of the shorter side of the copy whose blur is the light: light has no detail."""
_ROWS = 256


def in_the_dark(face: Pixels) -> bool:
    """Return whether the face in the middle of (side, side, 3) uint8 lies mostly in the dark.

    Judged by the brightest channel, so that no skin and no coloured light counts as darkness.
    """
    inner = np.empty((_INNER.stop - _INNER.start,) * 2, np.uint8)
    cells = np.asarray(cv2.resize(face, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), np.uint8)
    try:
        np.max(cells[_INNER, _INNER], axis=2, out=inner)
        return int(np.count_nonzero(inner < _DARK)) >= _DARK_SHARE * inner.size
    finally:
        cells.fill(0)
        inner.fill(0)


def raised(face: Pixels) -> bool:
    """Raise the shadows of a face that lies in the dark, in place; return whether it does."""
    dark = in_the_dark(face)
    if dark:
        raise_shadows(face)
    return dark


def raise_shadows(pixels: Pixels, reach: float = _REACH) -> None:
    """Even out the light of (h, w, 3) uint8 in place: dark parts brighter, glaring ones less so.

    reach: how far around a pixel is looked, as part of the shorter side.
    """
    height, width, _ = pixels.shape
    gain = _gain(pixels, reach)
    rows = np.empty((0, 0, 3), np.float32)
    try:
        for top in range(0, height, _ROWS):
            strip = pixels[top : top + _ROWS]
            rows.fill(0)
            rows = strip * _stretched(gain, width, height, top, len(strip))[..., np.newaxis]
            np.clip(rows, 0, 255, out=rows)
            strip[...] = rows
    finally:
        gain.fill(0)
        rows.fill(0)


def _gain(pixels: Pixels, reach: float) -> Plane:
    """Return by what each part of a picture is multiplied, as a coarse map (h, w) float32."""
    height, width, _ = pixels.shape
    scale = min(1.0, _COARSE / min(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    brightest = np.empty(small.shape[:2], np.float32)
    try:
        np.max(small, axis=2, out=brightest)
        gain = np.asarray(cv2.GaussianBlur(brightest, (0, 0), reach * min(size)), np.float32)
    finally:
        small.fill(0)
        brightest.fill(0)
    # In place: no copy of a face stays in memory that nobody overwrites.
    gain += _FLOOR
    np.divide(_GOAL, gain, out=gain)
    np.power(gain, _POWER, out=gain)
    return gain


def _stretched(gain: Plane, width: int, height: int, top: int, rows: int) -> Plane:
    """Return some rows of the map at the picture's size."""
    across, down = width / gain.shape[1], height / gain.shape[0]
    # Pixel centres sit at half integers.
    matrix = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5 - top]])
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(gain, matrix, (width, rows), borderMode=border), np.float32)
