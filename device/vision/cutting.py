"""Cuts the part of a picture that a crop shows, so that only it is converted, and wiped after use.

A face may be larger than the crop that is made of it; then the part is shrunk first, since a linear
warp skips pixels when it shrinks by over two.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from device.capture.frame import Picture, Pixels
from device.capture.workspace import Workspace
from device.opencv import cv2
from device.vision.inference import Floats

_SHRINK_BELOW = 0.5


class View(NamedTuple):
    """What is looked at.

    side: of the crop, in pixels. margin: how much more than the crop, on every side, as part of it.
    """

    side: int
    margin: float = 0.0


@contextmanager
def region_of(
    main: Picture, matrix: Floats, view: View, work: Workspace
) -> Iterator[tuple[Pixels, Floats]]:
    """Yield pixels (h, w, 3) uint8 BGR and the (2, 3) transform from them to the crop.

    matrix: (2, 3) similarity from `main` to a crop. work: where copies are put; they are
    overwritten at the end. Raises ValueError when no pixel of it lies inside the picture.
    """
    left, top, right, bottom = _corners(matrix, main, view)
    try:
        region = main.region_bgr(left, top, right, bottom, work)
        local = matrix.copy()
        # Not `@`: its last bit depends on where the numbers lie in memory, and with it the crop.
        local[:, 2] += local[:, 0] * np.float32(left) + local[:, 1] * np.float32(top)
        scale = float(np.hypot(local[0, 0], local[1, 0]))
        if scale < _SHRINK_BELOW:
            region, local = _shrink(region, local, 2 * scale, work)
        yield region, local
    finally:
        work.wipe()


def _shrink(
    region: Pixels, matrix: Floats, factor: float, work: Workspace
) -> tuple[Pixels, Floats]:
    """Return the region times `factor`, and the transform from it."""
    height, width = region.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    shrunk = work.take(size[1], size[0], 3)
    cv2.resize(region, size, dst=shrunk, interpolation=cv2.INTER_AREA)
    # Pixel centres sit at half integers: map through them, not through the corners.
    ratio = np.array([width / size[0], height / size[1]], np.float32)
    result = matrix.copy()
    across, down = ratio / 2 - 0.5
    result[:, 2] += result[:, 0] * across + result[:, 1] * down
    result[:, :2] *= ratio
    return shrunk, result


def _corners(matrix: Floats, main: Picture, view: View) -> tuple[int, int, int, int]:
    """Return the part of the picture that the crop shows, two pixels wider, even corners."""
    side, margin = view
    linear = matrix[:, :2].astype(np.float64)
    low, high = -margin * side, (1 + margin) * side
    corners = np.array([[low, low], [high, low], [low, high], [high, high]], np.float64)
    back = (corners - matrix[:, 2]) @ np.linalg.inv(linear).T
    first, last = np.floor(back.min(axis=0)) - 2, np.ceil(back.max(axis=0)) + 2
    left, top = (int(max(0, value)) // 2 * 2 for value in first)
    right = min(main.width, int(last[0]) + 1) // 2 * 2
    bottom = min(main.height, int(last[1]) + 1) // 2 * 2
    if right - left < 2 or bottom - top < 2:  # noqa: PLR2004 - no pixel of it is visible
        msg = "The face lies outside the picture."
        raise ValueError(msg)
    return left, top, right, bottom
