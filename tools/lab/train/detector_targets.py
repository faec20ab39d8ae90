"""What the student detector shall answer, cell by cell: from the scene's truth and the teacher.

The scene knows where it put faces; the teacher, on the same pixels, knows how much of a face is
left after masks, blur and darkness, and judges what is only nearly one.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from device.vision.detector import LANDMARKS, SCORE, STRIDES, iou
from device.vision.inference import Floats
from tools.lab.train.scenes import PlacedFace, Scene
from tools.lab.train.scenes_paste import floats

COLUMNS: Final = 17
"""Columns of a cell: score, weight of the score, weight of box and points, 4 box, 10 points."""
SCORED, WEIGHT, PLACED, BOX, POINTS = 0, 1, 2, slice(3, 7), slice(7, 17)
SIZES: Final = ((0.0, 36.0), (26.0, 100.0), (72.0, 1e9))
"""Faces, by the root of their box's area in pixels, that each stride answers for."""
_NEARLY: Final = 1.3
_SAME: Final = 0.4
_TOUCHING: Final = 0.1
_HIDDEN: Final = 0.12
_FLIP: Final = np.array([-1, 1], np.float32)
_SWAPPED: Final = [1, 0, 2, 4, 3]
"""In a mirror the right eye is the left one."""


@dataclass(frozen=True, slots=True)
class Label:
    """One face to be found. score: what the student shall say of it, in [0, 1]."""

    box: Floats
    landmarks: Floats
    score: float


@dataclass(frozen=True, slots=True)
class Labels:
    """All that is known of one scene. ignored: (n, 4) boxes about which nothing is taught."""

    faces: list[Label]
    ignored: list[Floats]


def label(scene: Scene, rows: Floats) -> Labels:
    """Join the scene's truth with the teacher's detections, rows (n, 15) of `device.vision`."""
    labels = Labels([], [])
    taken = np.zeros(len(rows), bool)
    for face in scene.faces:
        if face.clarity < _HIDDEN:
            continue
        overlap = iou(face.box, rows) if len(rows) else np.zeros(0, np.float32)
        same = overlap > _SAME
        taken |= overlap > _TOUCHING
        best = int(np.argmax(np.where(same, rows[:, SCORE], 0))) if same.any() else -1
        _add(labels, face, rows[best] if best >= 0 else None)
    for row in rows[~taken]:
        if _inside(row, scene.doubtful):
            labels.faces.append(Label(row[:4], row[LANDMARKS].reshape(5, 2), float(row[SCORE])))
    return labels


def mirrored(labels: Labels, width: int) -> Labels:
    """Return the labels of a picture seen in a mirror; width: of the picture, in pixels."""
    faces = [
        Label(
            _mirrored_box(face.box, width),
            (face.landmarks * _FLIP + floats([width - 1, 0]))[_SWAPPED],
            face.score,
        )
        for face in labels.faces
    ]
    return Labels(faces, [_mirrored_box(box, width) for box in labels.ignored])


def _mirrored_box(box: Floats, width: int) -> Floats:
    return np.array([width - 1 - box[0] - box[2], *box[1:]], np.float32)


def _add(labels: Labels, face: PlacedFace, row: Floats | None) -> None:
    """Decide how sure the student shall be of a face, and whose box it shall draw."""
    seen = 0.0 if row is None else float(row[SCORE])
    score = max(seen, _expected(face, seen))
    sure = 0.7
    if score < 0.3:  # noqa: PLR2004 - neither a face nor none
        labels.ignored.append(face.box)
        return
    exact = row is not None and seen > sure and iou(face.box, row[None])[0] > 0.6  # noqa: PLR2004
    box = row[:4] if row is not None and exact else face.box
    labels.faces.append(Label(box, face.landmarks, score))


def _expected(face: PlacedFace, seen: float) -> float:
    """Return the score a face deserves by its size and by what is visible of it.

    The smaller the face, the more the teacher's word counts.
    """
    if face.clarity < 0.5:  # noqa: PLR2004 - less than a half: only the teacher knows
        return seen
    best = 0.95 if face.plain else 0.9
    deserved = best * (0.75 + 0.25 * min(1.0, (face.clarity - 0.5) / 0.3))
    trust = float(np.clip((float(face.box[2]) - 6) / 16, 0.2, 0.9))
    return trust * deserved + (1 - trust) * seen


def _inside(row: Floats, boxes: Floats) -> bool:
    if not len(boxes):
        return False
    x, y = row[0] + row[2] / 2, row[1] + row[3] / 2
    within_x = (boxes[:, 0] <= x) & (x <= boxes[:, 0] + boxes[:, 2])
    within_y = (boxes[:, 1] <= y) & (y <= boxes[:, 1] + boxes[:, 3])
    return bool((within_x & within_y).any())


def encode(labels: Labels, height: int, width: int) -> Floats:
    """Return the answer wanted of each cell, (cells, 17) float32, strides 8, 16, 32 in turn."""
    return np.concatenate(
        [
            _level(labels, height // stride, width // stride, stride, sizes)
            for stride, sizes in zip(STRIDES, SIZES, strict=True)
        ]
    )


def _level(
    labels: Labels, rows: int, columns: int, stride: int, sizes: tuple[float, float]
) -> Floats:
    wanted = np.zeros((rows, columns, COLUMNS), np.float32)
    wanted[..., WEIGHT] = 1
    # Padding on the right and below moves what a cell sees by nearly a stride.
    seen = (stride - 1) / stride
    y, x = np.ogrid[0:rows, 0:columns]
    for box in labels.ignored:
        _ignore(wanted, box, stride, seen)
    for face in labels.faces:
        size = float(np.sqrt(face.box[2] * face.box[3]))
        if not sizes[0] / _NEARLY <= size <= sizes[1] * _NEARLY:
            continue
        if not sizes[0] <= size <= sizes[1]:
            _ignore(wanted, face.box, stride, seen)
            continue
        centre = floats((face.box[:2] + face.box[2:] / 2) / stride)
        # Cells that are nearly as near as the nearest one are nearly as right.
        distance = (x - centre[0] + seen) ** 2 + (y - centre[1] + seen) ** 2
        distance -= distance.min()
        sigma = max(0.5, 0.11 * size / stride)
        score = np.float32(face.score) * np.exp(-distance / (2 * sigma**2)).astype(np.float32)
        score[score < 0.02] = 0  # noqa: PLR2004 - the tail of the bell
        ahead = score > wanted[..., SCORED]
        wanted[ahead] = _answers(face, centre, stride, score, ahead)
    return wanted.reshape(-1, COLUMNS)


def _answers(face: Label, centre: Floats, stride: int, score: Floats, where: np.ndarray) -> Floats:
    """Return rows of `wanted` for the cells (bool map) that answer for a face."""
    cells = np.argwhere(where)[:, ::-1].astype(np.float32)
    found = np.empty((len(cells), COLUMNS), np.float32)
    found[:, SCORED] = score[where]
    found[:, WEIGHT] = 1
    found[:, PLACED] = np.where(score[where] > 0.25 * face.score, score[where], 0)
    found[:, 3:5] = centre - cells
    found[:, 5:7] = np.log(np.maximum(face.box[2:], 1) / stride)
    points = face.landmarks / stride
    found[:, POINTS] = (points[None] - cells[:, None]).reshape(-1, 10)
    return found


def _ignore(wanted: Floats, box: Floats, stride: int, seen: float) -> None:
    rows, columns = wanted.shape[:2]
    start = np.floor((box[:2] + 0.2 * box[2:]) / stride - seen).astype(int)
    end = np.ceil((box[:2] + 0.8 * box[2:]) / stride - seen).astype(int) + 1
    left, top = np.clip(start, 0, [columns, rows])
    right, bottom = np.clip(end, 0, [columns, rows])
    area = wanted[top:bottom, left:right]
    area[..., WEIGHT] = np.where(area[..., SCORED] > 0, area[..., WEIGHT], 0)
