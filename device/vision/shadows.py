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
from device.capture.workspace import Workspace
from device.opencv import cv2

Plane = npt.NDArray[np.float32]

_ACROSS, _INNER = 16, 8
"""A face is so many cells wide and high, and its inner part so many."""
_MIDDLE: Final = slice((_ACROSS - _INNER) // 2, (_ACROSS + _INNER) // 2)
_ALL: Final = slice(None)
_DARK: Final = 45
_DARK_SHARE: Final = 0.3
"""So much of the inner face below _DARK of 255: it lies in the dark. A black mask or dark glasses
cover a little less."""
_SURELY_LIT: Final = 70
"""A cell that is so bright in a quick look is not below _DARK in the true one."""
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
    inner = np.empty((_INNER, _INNER), np.uint8)
    try:
        if len(face) % _ACROSS and _surely_lit(face, inner):
            return False
        _look(face, _ACROSS, _MIDDLE, inner)
        return _mostly_below(_DARK, inner)
    finally:
        inner.fill(0)


def _surely_lit(face: Pixels, inner: Pixels) -> bool:
    """Look at cells of whole pixels, of which OpenCV makes means ten times as quickly as of parts.

    They are cut a little otherwise: where these do not tell for sure, the true ones must.
    """
    half = len(face) // _ACROSS * _INNER // 2
    middle = slice(len(face) // 2 - half, len(face) // 2 + half)
    if half == 0:
        return False
    _look(face[middle, middle], _INNER, _ALL, inner)
    return not _mostly_below(_SURELY_LIT, inner)


def _look(face: Pixels, across: int, part: slice, inner: Pixels) -> None:
    """Write the brightest channel's means into `inner`: a part of so many cells each way."""
    size = (across, across)
    cells = np.asarray(cv2.resize(face, size, interpolation=cv2.INTER_AREA), np.uint8)
    try:
        np.max(cells[part, part], axis=2, out=inner)
    finally:
        cells.fill(0)


def _mostly_below(level: int, inner: Pixels) -> bool:
    return int(np.count_nonzero(inner < level)) >= _DARK_SHARE * inner.size


def raised(face: Pixels, work: Workspace | None = None) -> bool:
    """Raise the shadows of a face that lies in the dark, in place; return whether it does.

    work: lends memory on the way.
    """
    dark = in_the_dark(face)
    if dark:
        raise_shadows(face, work=work)
    return dark


def raise_shadows(pixels: Pixels, reach: float = _REACH, work: Workspace | None = None) -> None:
    """Even out the light of (h, w, 3) uint8 in place: dark parts brighter, glaring ones less so.

    reach: how far around a pixel is looked, as part of the shorter side. work: see `raised`.
    """
    work = Workspace() if work is None else work
    gain = _gain(pixels, reach)
    try:
        for top in range(0, len(pixels), _ROWS):
            _multiply(pixels, gain, top, work)
    finally:
        gain.fill(0)


def _multiply(pixels: Pixels, gain: Plane, top: int, work: Workspace) -> None:
    """Multiply some rows of a picture in place by their part of the map."""
    height, width, _ = pixels.shape
    strip = pixels[top : top + _ROWS]
    product = work.take(len(strip), width, 12).view(np.float32)
    try:
        factor = work.take(len(strip), width, 4).view(np.float32)[..., 0]
        try:
            _stretch(gain, factor, height, top)
            np.multiply(strip, factor[..., np.newaxis], out=product)
        finally:
            work.give_back()
        np.clip(product, 0, 255, out=product)
        strip[...] = product
    finally:
        work.give_back()


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


def _stretch(gain: Plane, target: Plane, height: int, top: int) -> None:
    """Write some rows (n, width) of the map at the size of a picture with so many in all."""
    rows, width = target.shape
    across, down = width / gain.shape[1], height / gain.shape[0]
    # Pixel centres sit at half integers.
    matrix = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5 - top]])
    border = cv2.BORDER_REPLICATE
    cv2.warpAffine(gain, matrix, (width, rows), dst=target, borderMode=border)
