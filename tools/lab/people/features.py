"""What turns the smooth mean head into a face: sockets, brow, nose, lips, chin, as displacements.

A displacement is (rows, columns, 3) float32 in millimetres, added to the mean head.
"""

from functools import cache

import numpy as np

from tools.lab.people.fields import Floats, bump, curve, smooth
from tools.lab.people.grid import LIP_LINE, Grid, grid

Hill = tuple[float, float, float, float, float, float, float]
"""Centre across and down, widths across and down, and displacement x, y, z at the top."""

_NOSE_HEIGHT = (
    (-16, 0.0), (-10, 1.0), (-3, 3.2), (6, 6.6), (16, 10.8), (25, 14.8), (32, 18.0), (37, 19.6),
    (40.5, 18.8), (44, 15.4), (47, 10.6), (50, 5.2), (53, 1.6), (57, 0.0),
)  # fmt: skip
_NOSE_HALF = (
    (-16, 7.0), (-4, 6.8), (8, 7.6), (20, 9.2), (30, 11.2), (37, 12.2), (43, 11.5), (53, 9.0),
)  # fmt: skip
# Mirrored hills of the mean face: what every face has.
_FACE: tuple[Hill, ...] = (
    (30, 1, 15, 9, 0, 0, -8.5),  # eye socket
    (17, 1, 5, 8, 0, 0, -3.5),  # its inner corner
    (31, 0.5, 10.5, 6.0, 0, 0, 5.6),  # the eyeball under its lids
    (24, -16, 13, 5.5, 0, 0, 3.0),  # brow ridge
    (0, -20, 9, 6, 0, 0, 1.2),  # glabella
    (50, 20, 13, 12, 2.0, 0, 4.5),  # cheekbone
    (34, 32, 15, 13, 0, 0, 4.0),  # front of the cheek
    (46, 62, 13, 17, -0.5, 0, -1.0),  # hollow of the cheek
    (14.0, 41.5, 4.8, 5.0, 1.0, 0, 5.6),  # wing of the nose
    (21.5, 42, 3.2, 6, 0, 0, -1.6),  # crease behind it
    (7.2, 46.5, 3.0, 1.9, 0, 0, -3.0),  # nostril
    (0, 46.5, 2.4, 4, 0, 0, 3.0),  # columella
    (0, 55, 2.2, 5, 0, 0, -1.3),  # philtrum
    (4.6, 55, 1.8, 5, 0, 0, 0.7),  # its ridges
    (28.5, 68, 4.0, 4.5, 0, -0.8, -1.2),  # corner of the mouth
    (0, 67, 30, 12, 0, -2.2, 0),  # height of the mouth
    (0, 82, 18, 4.5, 0, 0, -2.6),  # groove under the lower lip
    (0, 103, 15, 9, 0, 0, 3.0),  # chin
    (20, 106, 11, 10, 1.0, 0, 3.0),  # its sides
    (66, -22, 15, 17, 0, 0, -2.0),  # temple
)


@cache
def front(rows: int, columns: int) -> Floats:
    """Return 1 on the face, 0 on the back of the head, (rows, columns)."""
    return smooth(1.75, 1.25, np.abs(grid(rows, columns).angle))


def hills(where: Grid, table: tuple[Hill, ...]) -> Floats:
    """Return the sum of mirrored hills on the front of a head."""
    total = np.zeros((*where.shape, 3), np.float32)
    beside = np.abs(where.across)
    side = np.tanh(where.across / 4)
    for x, y, wide, high, *move in table:
        hill = bump(beside, where.down, (x, y), (wide, high))
        for axis, amount in enumerate(move):
            if amount:
                total[..., axis] += amount * hill * (side if axis == 0 else 1)
    return total * front(*where.shape)[..., None]


def nose(where: Grid, height: float, bridge: float, tip: float) -> Floats:
    """Return how far the nose stands out, (rows, columns) millimetres.

    height, bridge (width), tip (width): factors around 1.
    """
    down = where.down
    half = curve(_NOSE_HALF, down) * (bridge + (tip - bridge) * smooth(8, 32, down))
    profile = np.exp(-0.69 * (np.abs(where.across) / half) ** 2.1)
    skirt = np.exp(-0.5 * (where.across / (2.0 * half)) ** 2)
    shape = 0.76 * profile + 0.24 * skirt
    return np.asarray(height * curve(_NOSE_HEIGHT, down) * shape * front(*where.shape), np.float32)


def lips(where: Grid, upper: float, lower: float) -> Floats:
    """Return how far the lips stand out, (rows, columns) millimetres; thickness in millimetres."""
    across, down = where.across, where.down
    span = np.clip(1 - (across / 29) ** 2, 0, 1)
    above = np.where(down < LIP_LINE, LIP_LINE - down, 0) / np.maximum(upper * span, 0.6)
    below = np.where(down >= LIP_LINE, down - LIP_LINE, 0) / np.maximum(lower * span, 0.6)
    roll_up = np.sqrt(np.clip(1 - (above - 0.45) ** 2 / 0.6, 0, 1))
    roll_down = np.sqrt(np.clip(1 - (below - 0.5) ** 2 / 0.6, 0, 1))
    size = np.where(down < LIP_LINE, roll_up * upper, roll_down * lower)
    return np.asarray(0.38 * size * np.sqrt(span) * front(*where.shape), np.float32)


@cache
def mean_features(rows: int, columns: int) -> Floats:
    """Return the displacement that every face has, except nose ridge and lips."""
    return hills(grid(rows, columns), _FACE)
