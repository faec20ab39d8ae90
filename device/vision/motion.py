"""The motion gate: is it worth looking for faces at all?

The background is a luma picture of the whole scene, 32 pixels wide: memory of earlier frames, and
at first of one frame, but too coarse to hold a face. At 160 pixels width the project's own models
found and recognised people in it; at 32 none (tests/privacy/test_motion_background.py). It is wiped
with the other buffers.
"""

import numpy as np

from device.capture.frame import Picture
from device.opencv import cv2
from device.vision.inference import Floats

_WIDTH = 32
_LEARNING = 0.05
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

    def moved(self, lores: Picture) -> bool:
        """Compare with the background, then learn. The first frame always counts as motion."""
        small = self._small(lores)
        if self._background is None or self._background.shape != small.shape:
            self._background = small
            return True
        changed = float(np.mean(np.abs(small - self._background) > _DIFFERENCE))
        rate = 1.0 if changed > _UPHEAVAL else _LEARNING
        cv2.accumulateWeighted(small, self._background, rate)
        small.fill(0)
        return changed >= self._fraction

    def forget(self) -> None:
        """Wipe the background."""
        if self._background is not None:
            self._background.fill(0)
        self._background = None

    def _small(self, lores: Picture) -> Floats:
        gray = lores.luma()
        width = min(_WIDTH, lores.width)
        height = max(1, round(lores.height * width / lores.width))
        small = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
        try:
            return np.asarray(small, dtype=np.float32)
        finally:
            small.fill(0)
            if not np.shares_memory(gray, lores.pixels):
                gray.fill(0)
