"""What is true of a painted face: where its landmarks and its box lie."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from device.opencv import cv2
from tools.lab.people.fields import Floats
from tools.lab.people.grid import CHIN, EYE, LIP_CORNER, LIP_LINE, NOSE_TIP, grid, row_of
from tools.lab.people.shape import COLUMNS, ROWS
from tools.lab.people.splat import Lens

Box = tuple[float, float, float, float]
"""x, y of the top left corner, width, height, in pixels."""

Indices = npt.NDArray[np.int64]

# The subject's right side first: it is on the left of the picture.
_PLACES = (
    (-EYE[0], EYE[1]),
    (EYE[0], EYE[1]),
    (0.0, NOSE_TIP),
    (-LIP_CORNER, LIP_LINE),
    (LIP_CORNER, LIP_LINE),
)
_FOREHEAD = -58.0
_SIDES = 1.3
"""A detector's box reaches this far down from the hairline and round to the sides (radians)."""


def landmarks_of(head: Floats, lens: Lens) -> Floats:
    """Return right eye, left eye, nose tip, right and left corner of the mouth, (5, 2) pixels."""
    points = cv2.remap(head, *_cells(), cv2.INTER_LINEAR)[0]
    return np.asarray(lens.project(np.asarray(points, np.float32))[:, :2], np.float32)


@lru_cache(maxsize=1)
def _cells() -> tuple[Floats, Floats]:
    """Return column and row of each landmark on the head's grid, (1, 5) each."""
    where = grid(ROWS, COLUMNS)
    middle = np.arange(COLUMNS // 6, COLUMNS - COLUMNS // 6)
    rows = [float(row_of(down, ROWS)) for _, down in _PLACES]
    columns = [
        float(np.interp(across, where.across[round(row), middle], middle))
        for (across, _), row in zip(_PLACES, rows, strict=True)
    ]
    return np.array([columns], np.float32), np.array([rows], np.float32)


def face_box(head: Floats, lens: Lens) -> Box:
    """Return the box round the face, from the hairline to below the chin."""
    flat = lens.project(head[_face()])[:, :2]
    low, high = flat.min(axis=0), flat.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


@lru_cache(maxsize=1)
def _face() -> tuple[Indices, Indices]:
    where = grid(ROWS, COLUMNS)
    inside = (where.down > _FOREHEAD) & (where.down < CHIN + 3) & (np.abs(where.angle) < _SIDES)
    rows, columns = np.nonzero(inside)
    return rows[::3].astype(np.int64), columns[::3].astype(np.int64)
