"""The face detector: YuNet's outputs decoded in NumPy.

YuNet (Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", 2023) predicts, for every cell
of three grids with strides 8, 16 and 32: class, objectness, box and five landmarks.
"""

import math
from typing import NamedTuple

import numpy as np

from device.capture.frame import Picture, PixelFormat, Pixels
from device.capture.workspace import Workspace, is_black
from device.errors import ModelError
from device.opencv import cv2
from device.vision.inference import Floats, Network
from device.vision.output import Output

STRIDES = (8, 16, 32)
_IOU_SAME_FACE = 0.3
_BOX, _POINTS = 4, 10

# Columns of a row of detections.
X, Y, WIDTH, HEIGHT = 0, 1, 2, 3
LANDMARKS = slice(4, 14)
SCORE = 14
COLUMNS = 15


class Detector:
    """Finds faces in the small stream; answers in pixels of the main stream."""

    def __init__(self, network: Network, threshold: float) -> None:
        """threshold: lowest score, sqrt(class * objectness), in [0, 1]."""
        self._network = network
        self._threshold = threshold
        _, self._height, self._width, _ = network.input_shape
        self._lowest = _lowest(threshold)
        self._canvas = np.zeros((self._height, self._width, 3), np.uint8)
        self._work = Workspace()
        self._known_wiped = False
        self._grids = {
            (self._height // stride) * (self._width // stride): _grid(
                self._height, self._width, stride
            )
            for stride in STRIDES
        }

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of the network's input in pixels."""
        return self._width, self._height

    def detect(self, lores: Picture, main_width: int) -> Floats:
        """Return faces as (n, 15) float32, best first.

        Columns: x, y, width, height of the box; x, y of right eye, left eye, nose, right and left
        mouth corner; score. All in pixels of a main picture `main_width` pixels wide that shows the
        same view as `lores`.
        """
        self._known_wiped = False
        try:
            image, scale = self._letterbox(lores)
            with self._network.outputs(image) as outputs:
                found = self._decode(outputs)
        finally:
            self._canvas.fill(0)
            self._work.wipe()
        found[:, :SCORE] *= main_width / (lores.width * scale)
        return found

    def _letterbox(self, picture: Picture) -> tuple[Pixels, float]:
        """Fit the picture into the top left of the canvas; return that and the scale applied.

        A picture that is as the network wants it is taken as it is.
        """
        size = (picture.width, picture.height)
        scale = min(self._width / picture.width, self._height / picture.height)
        width = min(self._width, max(1, round(picture.width * scale)))
        height = min(self._height, max(1, round(picture.height * scale)))
        if size == self.input_size and picture.format is PixelFormat.BGR:
            return picture.pixels, scale
        target = self._canvas[:height, :width]
        if size == (width, height):
            picture.write_bgr(target, self._work)
        else:
            whole = picture.region_bgr(0, 0, *size, self._work)
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            cv2.resize(whole, (width, height), dst=target, interpolation=method)
        return self._canvas, scale

    @property
    def wiped(self) -> bool:
        """True when nothing of a frame is left in the canvas and in the network."""
        if not self._known_wiped:
            self._known_wiped = is_black(self._canvas) and self._work.wiped
        return self._known_wiped and self._network.wiped

    def wipe(self) -> bool:
        """See `Network.wipe`."""
        return self._network.wipe()

    def _decode(self, outputs: list[Output]) -> Floats:
        candidates = []
        for cells, (grid, stride) in self._grids.items():
            found = _by_meaning([each for each in outputs if each.stored.shape[1] == cells])
            # Few cells can reach the threshold: only they are made numbers of.
            able = np.flatnonzero(
                found.one.reaches(self._lowest) & found.other.reaches(self._lowest)
            )
            if not able.size:
                continue
            scores = _scores(found.one.rows(able), found.other.rows(able))
            enough = scores >= self._threshold
            keep = able[enough]
            if keep.size:
                boxes, points = found.boxes.rows(keep), found.points.rows(keep)
                candidates.append(_rows(grid[keep], stride, scores[enough], boxes, points))
        if not candidates:
            return np.empty((0, COLUMNS), np.float32)
        return suppress(np.concatenate(candidates))


class _Level(NamedTuple):
    """One stride's outputs: class and objectness, which commute, boxes and landmarks."""

    one: Output
    other: Output
    boxes: Output
    points: Output


def _lowest(threshold: float) -> float:
    """Return what class and objectness must reach each if their score is to reach the threshold.

    Neither counts for more than 1, so each is at least the score's square; a little less, since
    float32 rounds. The score itself then decides.
    """
    return threshold**2 * (1 - 1e-5) if threshold > 0 else -math.inf


def _grid(height: int, width: int, stride: int) -> tuple[Floats, int]:
    """Return the x, y of every cell of one stride's grid, in cells, row by row."""
    rows, columns = np.mgrid[0 : height // stride, 0 : width // stride]
    return np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32), stride


def _by_meaning(outputs: list[Output]) -> _Level:
    """Tell scores, boxes and landmarks of one stride apart by their widths."""
    by_width: dict[int, list[Output]] = {}
    for output in outputs:
        by_width.setdefault(output.stored.shape[2], []).append(output)
    try:
        (one, other), (boxes,), (points,) = by_width[1], by_width[_BOX], by_width[_POINTS]
    except (KeyError, ValueError) as error:
        msg = "The detector's outputs are not those of YuNet."
        raise ModelError(msg) from error
    return _Level(one, other, boxes, points)


def _scores(one: Floats, other: Floats) -> Floats:
    """Return the scores (n,) of class and objectness, each (n, 1)."""
    return np.asarray(np.sqrt(np.clip(one[:, 0], 0, 1) * np.clip(other[:, 0], 0, 1)), np.float32)


def _rows(grid: Floats, stride: int, scores: Floats, boxes: Floats, points: Floats) -> Floats:
    """Decode offsets to pixels.

    Source of the formulas: OpenCV, modules/objdetect/src/face_detect.cpp.
    """
    rows = np.empty((len(grid), COLUMNS), np.float32)
    centre = (grid + boxes[:, :2]) * stride
    size = np.exp(boxes[:, 2:]) * stride
    rows[:, :2] = centre - size / 2
    rows[:, 2:4] = size
    rows[:, LANDMARKS] = (points.reshape(-1, 5, 2) + grid[:, None]).reshape(-1, _POINTS) * stride
    rows[:, SCORE] = scores
    return rows


def suppress(rows: Floats, overlap: float = _IOU_SAME_FACE) -> Floats:
    """Non-maximum suppression: keep the best of boxes that overlap by more than `overlap` (IoU).

    rows: (n, 15) detections. Returns the kept rows, best first.
    """
    rows = rows[np.argsort(-rows[:, SCORE], kind="stable")]
    kept: list[int] = []
    alive = np.ones(len(rows), bool)
    for index in range(len(rows)):
        if alive[index]:
            kept.append(index)
            alive &= iou(rows[index], rows) <= overlap
    return rows[kept]


def iou(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one box with (n, >=4) boxes, each x, y, width, height."""
    left = np.maximum(box[X], boxes[:, X])
    top = np.maximum(box[Y], boxes[:, Y])
    right = np.minimum(box[X] + box[WIDTH], boxes[:, X] + boxes[:, WIDTH])
    bottom = np.minimum(box[Y] + box[HEIGHT], boxes[:, Y] + boxes[:, HEIGHT])
    shared = np.clip(right - left, 0, None) * np.clip(bottom - top, 0, None)
    union = box[WIDTH] * box[HEIGHT] + boxes[:, WIDTH] * boxes[:, HEIGHT] - shared
    return np.asarray(shared / np.maximum(union, 1e-6), dtype=np.float32)
