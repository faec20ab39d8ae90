"""`Sample` and `Probe`: a face cut out, and its template. Both live for one frame (R13)."""

import numpy as np

from device.capture.frame import Ephemeral, Picture, Pixels
from device.opencv import cv2
from device.vision.geometry import similarity, template_points
from device.vision.inference import Floats


class Sample(Ephemeral):
    """An aligned face crop.

    pixels: (side, side, 3) uint8 BGR, a buffer that is used again for the next face.
    """

    __slots__ = ("pixels",)

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels

    def wipe(self) -> None:
        """Overwrite the pixels with zeros."""
        self.pixels.fill(0)


class Probe(Ephemeral):
    """The features of one face, submitted to a comparison.

    template: (dimension,) float32 of unit length.
    """

    __slots__ = ("template",)

    def __init__(self, template: Floats) -> None:
        self.template = template

    def wipe(self) -> None:
        """Overwrite the template with zeros."""
        self.template.fill(0)


class Aligner:
    """Cuts faces out of the main picture into one buffer, turned and scaled to the template."""

    def __init__(self, side: int) -> None:
        self._side = side
        self._target = template_points(side)
        self._buffer = np.zeros((side, side, 3), np.uint8)

    def align(self, main: Picture, landmarks: Floats) -> Sample:
        """Return the face as a `Sample`; what lies outside the picture is black.

        landmarks: (5, 2) float32, pixels of `main`. Raises ValueError when they make no face or lie
        wholly outside the picture.
        """
        if not np.all(np.isfinite(landmarks)):
            msg = "The landmarks are not finite."
            raise ValueError(msg)
        matrix = similarity(landmarks, self._target)
        left, top, right, bottom = self._region(matrix, main)
        region = main.region_bgr(left, top, right, bottom)
        owned = region.base is None or not np.shares_memory(region, main.pixels)
        matrix[:, 2] += matrix[:, :2] @ np.array([left, top], np.float32)
        scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
        shrunk: Pixels | None = None
        if scale < 0.5:  # noqa: PLR2004 - a linear warp skips pixels when it shrinks by over two
            factor = 2 * scale
            size = (
                max(1, round(region.shape[1] * factor)),
                max(1, round(region.shape[0] * factor)),
            )
            shrunk = np.asarray(cv2.resize(region, size, interpolation=cv2.INTER_AREA), np.uint8)
            # Pixel centres sit at half integers: map through them, not through the corners.
            ratio = np.array([region.shape[1] / size[0], region.shape[0] / size[1]], np.float32)
            matrix[:, 2] += matrix[:, :2] @ (ratio / 2 - 0.5)
            matrix[:, :2] *= ratio
        try:
            source = region if shrunk is None else shrunk
            side = (self._side, self._side)
            cv2.warpAffine(source, matrix, side, dst=self._buffer, flags=cv2.INTER_LINEAR)
        finally:
            for temporary in (shrunk, region if owned else None):
                if temporary is not None:
                    temporary.fill(0)
        return Sample(self._buffer)

    @property
    def wiped(self) -> bool:
        """True when no face is left in the buffer."""
        return not self._buffer.any()

    def _region(self, matrix: Floats, main: Picture) -> tuple[int, int, int, int]:
        """Return the part of the picture that the crop shows, two pixels wider, even corners."""
        linear = matrix[:, :2].astype(np.float64)
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float64) * self._side
        back = (corners - matrix[:, 2]) @ np.linalg.inv(linear).T
        low, high = np.floor(back.min(axis=0)) - 2, np.ceil(back.max(axis=0)) + 2
        left, top = (int(max(0, value)) // 2 * 2 for value in low)
        right = min(main.width, int(high[0]) + 1) // 2 * 2
        bottom = min(main.height, int(high[1]) + 1) // 2 * 2
        if right - left < 2 or bottom - top < 2:  # noqa: PLR2004 - no pixel of it is visible
            msg = "The face lies outside the picture."
            raise ValueError(msg)
        return left, top, right, bottom
