"""The face detector: YuNet's outputs decoded in NumPy.

YuNet (Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", 2023) predicts, for every cell
of three grids with strides 8, 16 and 32: class, objectness, box and five landmarks.
"""

import numpy as np

from device.capture.frame import Picture, Pixels
from device.errors import ModelError
from device.opencv import cv2
from device.vision.inference import Floats, Network

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
        self._canvas = np.zeros((self._height, self._width, 3), np.uint8)
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
        outputs: list[Floats] = []
        try:
            scale = self._letterbox(lores)
            outputs = self._network.run(self._canvas)
            found = self._decode(outputs)
        finally:
            self._canvas.fill(0)
            for output in outputs:
                output.fill(0)
        found[:, :SCORE] *= main_width / (lores.width * scale)
        return found

    def _letterbox(self, picture: Picture) -> float:
        """Fit the picture into the top left of the canvas; return the scale that was applied."""
        scale = min(self._width / picture.width, self._height / picture.height)
        width = min(self._width, max(1, round(picture.width * scale)))
        height = min(self._height, max(1, round(picture.height * scale)))
        pixels: Pixels = picture.region_bgr(0, 0, picture.width, picture.height)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        try:
            fitted = cv2.resize(pixels, (width, height), interpolation=method)
            self._canvas[:height, :width] = fitted
            fitted.fill(0)
        finally:
            if not np.shares_memory(pixels, picture.pixels):
                pixels.fill(0)
        return scale

    @property
    def wiped(self) -> bool:
        """True when nothing of a frame is left in the canvas and in the network."""
        return not self._canvas.any() and self._network.wiped

    def wipe(self) -> None:
        """See `Network.wipe`."""
        self._network.wipe()

    def _decode(self, outputs: list[Floats]) -> Floats:
        candidates = []
        for cells, (grid, stride) in self._grids.items():
            per_cell = [output[0] for output in outputs if output.shape[1] == cells]
            scores, boxes, points = _by_meaning(per_cell)
            keep = np.flatnonzero(scores >= self._threshold)
            if keep.size:
                candidates.append(
                    _rows(grid[keep], stride, scores[keep], boxes[keep], points[keep])
                )
        if not candidates:
            return np.empty((0, COLUMNS), np.float32)
        return suppress(np.concatenate(candidates))


def _grid(height: int, width: int, stride: int) -> tuple[Floats, int]:
    """Return the x, y of every cell of one stride's grid, in cells, row by row."""
    rows, columns = np.mgrid[0 : height // stride, 0 : width // stride]
    return np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32), stride


def _by_meaning(per_cell: list[Floats]) -> tuple[Floats, Floats, Floats]:
    """Tell scores, boxes and landmarks apart by their widths; class and objectness commute."""
    by_width: dict[int, list[Floats]] = {}
    for output in per_cell:
        by_width.setdefault(output.shape[1], []).append(output)
    try:
        (one, other), (boxes,), (points,) = by_width[1], by_width[_BOX], by_width[_POINTS]
    except (KeyError, ValueError) as error:
        msg = "The detector's outputs are not those of YuNet."
        raise ModelError(msg) from error
    scores = np.sqrt(np.clip(one[:, 0], 0, 1) * np.clip(other[:, 0], 0, 1))
    return scores, boxes, points


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
