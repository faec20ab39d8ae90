"""The motion gate: is it worth looking for faces at all?

The background is a luma picture of the whole scene, 32 pixels wide: memory of earlier frames, and
at first of one frame, but too coarse to hold a face. At 160 pixels width the project's own models
found and recognised people in it; at 32 none (tests/privacy/test_motion_background.py). It is wiped
with the other buffers.
"""

import numpy as np

from device.capture.frame import Picture, Pixels
from device.capture.workspace import Workspace
from device.opencv import cv2
from device.vision.inference import Floats

_WIDTH = 32
_LEARNING = 0.05
_MANY_ROWS = 16
"""Rows of the small stream in a cell from which on every other one is enough."""
_COARSE = 4
"""Pixels of a halved picture on each side of a cell, at least: a cell's mean must stay one."""
_DIFFERENCE = 6.0
"""Grey levels by which a pixel must differ from the background."""
_UPHEAVAL = 0.6
"""When this part of the picture changes at once, the light changed: learn the scene anew."""


class MotionGate:
    """Tells whether a frame differs from the background."""

    def __init__(self, fraction: float) -> None:
        """fraction: part of the picture, 0 to 1, that must differ."""
        self._fraction = fraction
        self._background: Floats | None = None
        self._work = Workspace()

    def moved(self, lores: Picture) -> bool:
        """Compare with the background, then learn. The first frame always counts as motion."""
        small = self._small(lores)
        try:
            if self._background is None or self._background.shape != small.shape:
                self._background = small.astype(np.float32)
                return True
            difference = np.subtract(small, self._background)
            np.abs(difference, out=difference)
            changed = int(np.count_nonzero(difference > _DIFFERENCE)) / difference.size
            difference.fill(0)
            rate = 1.0 if changed > _UPHEAVAL else _LEARNING
            cv2.accumulateWeighted(small, self._background, rate)
        finally:
            small.fill(0)
        return changed >= self._fraction

    def forget(self) -> None:
        """Wipe the background."""
        if self._background is not None:
            self._background.fill(0)
        self._background = None

    @property
    def wiped(self) -> bool:
        """True when nothing of a frame is left but the coarse background."""
        return self._work.wiped

    def _small(self, lores: Picture) -> Pixels:
        """Return the street, `_WIDTH` pixels wide, uint8."""
        width = min(_WIDTH, lores.width)
        height = max(1, round(lores.height * width / lores.width))
        # A cell is the mean of hundreds of pixels, and of every other row's as good a one.
        step = 2 if lores.height >= _MANY_ROWS * height else 1
        small: Pixels = np.empty((height, width), np.uint8)
        try:
            grey = self._halved(lores.luma(self._work, step), small)
            cv2.resize(grey, (width, height), dst=small, interpolation=cv2.INTER_AREA)
        finally:
            self._work.wipe()
        return small

    def _halved(self, grey: Pixels, small: Pixels) -> Pixels:
        """Return means of two by two, in the workspace, where that is a step on the way to `small`.

        OpenCV has a quick way to halve a picture, and a slow one to any other size.
        """
        rows, columns = (side // 2 for side in grey.shape)
        even = grey.shape == (2 * rows, 2 * columns)
        if not even or rows < _COARSE * len(small) or columns < _COARSE * small.shape[1]:
            return grey
        half = self._work.take(rows, columns)
        cv2.resize(grey, (columns, rows), dst=half, interpolation=cv2.INTER_AREA)
        return half
