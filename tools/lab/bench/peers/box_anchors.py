"""What RetinaFace and SCRFD say, decoded: both predict from two square anchors in every cell.

RetinaFace: Deng and others: "RetinaFace: Single-stage Dense Face Localisation in the Wild", 2020;
offsets are in anchors, after Ren and others: "Faster R-CNN", 2015. SCRFD: Guo and others: "Sample
and Computation Redistribution for Efficient Face Detection", 2021; distances are in strides.
The anchors and the constants are those of the published ncnn models (ncnn, examples/retinaface.cpp
and scrfd.cpp). Never run on the weights of either: they are in no package.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from device.vision.detector import COLUMNS, LANDMARKS, SCORE
from device.vision.inference import Floats

ANCHORS: Final = 2
STRIDES: Final = (8, 16, 32)
_BASE = 16
_RETINA_SCALES = {8: (2, 1), 16: (8, 4), 32: (32, 16)}


@dataclass(frozen=True, slots=True)
class Level:
    """One stride's outputs, channels first, of a picture of (height, width) cells.

    scores: (2, height, width) in [0, 1]. boxes: (8, height, width). points: (20, height, width).
    The first anchor's channels come first.
    """

    stride: int
    scores: Floats
    boxes: Floats
    points: Floats


def scrfd(level: Level, threshold: float) -> Floats:
    """Return the faces of one level as rows of `device.vision.detector`, in pixels.

    boxes are distances from the cell's corner to left, top, right and bottom, points likewise.
    """
    parts = [np.empty((0, COLUMNS), np.float32)]
    for anchor in range(ANCHORS):
        down, across, found = _found(level, anchor, threshold)
        stride = np.float32(level.stride)
        centre = np.stack([across, down], axis=1).astype(np.float32) * stride
        reach = found[:, :4] * stride
        points = found[:, 4:14].reshape(-1, 5, 2) * stride + centre[:, None]
        rows = _rows(centre - reach[:, :2], centre + reach[:, 2:], points)
        rows[:, SCORE] = level.scores[anchor, down, across]
        parts.append(rows)
    return np.concatenate(parts)


def retinaface(level: Level, threshold: float) -> Floats:
    """Return the faces of one level as rows of `device.vision.detector`, in pixels.

    boxes are the middle's offset in anchors and the logarithm of the size in anchors.
    """
    parts = [np.empty((0, COLUMNS), np.float32)]
    for anchor, scale in enumerate(_RETINA_SCALES[level.stride]):
        side = np.float32(_BASE * scale)
        down, across, found = _found(level, anchor, threshold)
        cells = np.stack([across, down], axis=1).astype(np.float32)
        middle = cells * np.float32(level.stride) + np.float32(_BASE / 2)
        centre = middle + side * found[:, :2]
        half = side / 2 * np.exp(found[:, 2:4])
        # One pixel more than the anchor's side, as in the code that the weights were trained with.
        points = found[:, 4:14].reshape(-1, 5, 2) * (side + 1) + middle[:, None]
        rows = _rows(centre - half, centre + half, points)
        rows[:, SCORE] = level.scores[anchor, down, across]
        parts.append(rows)
    return np.concatenate(parts)


Cells = np.ndarray[tuple[int], np.dtype[np.intp]]


def _found(level: Level, anchor: int, threshold: float) -> tuple[Cells, Cells, Floats]:
    """Return row, column and the fourteen numbers of the cells that reach the threshold."""
    down, across = np.nonzero(level.scores[anchor] >= threshold)
    boxes = level.boxes[4 * anchor : 4 * anchor + 4, down, across]
    points = level.points[10 * anchor : 10 * anchor + 10, down, across]
    return down, across, np.concatenate([boxes, points]).T


def _rows(low: Floats, high: Floats, points: Floats) -> Floats:
    rows = np.empty((len(low), COLUMNS), np.float32)
    rows[:, :2], rows[:, 2:4] = low, high - low
    rows[:, LANDMARKS] = points.reshape(len(low), 10)
    return rows
