"""The map of a head: where on every head, whoever it is, each cell of a grid lies.

Rows run from the crown to the base of the neck, columns round the head from behind the right ear
over the nose to behind the left. On this map the eyes, the nose and the lips of all people lie in
the same places (`across`, `down`: millimetres on the mean face, origin between the pupils, the
subject's left and down positive); what tells people apart bends the surface, not the map.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from tools.lab.people.fields import Floats, curve, smooth

TOP, BOTTOM = -118.0, 215.0
EYE = (31.0, 0.0)
NOSE_TIP = 37.0
LIP_LINE = 68.0
LIP_CORNER = 26.0
CHIN = 113.0
# Rows per millimetre along the midline: many where a head bends sharply or a mouth opens.
_DENSITY = (
    (-118, 6.0), (-112, 3.0), (-100, 1.6), (-70, 1.0), (-20, 1.0), (-14, 1.3), (12, 1.3),
    (20, 1.0), (32, 1.2), (37, 2.2), (50, 2.2), (56, 1.2), (66.5, 1.2), (67, 8.0), (69, 8.0),
    (69.5, 1.2), (95, 1.2), (104, 1.8), (121, 1.8), (130, 1.0), (215, 0.8),
)  # fmt: skip
_HALF_WIDTH = (
    (-118, 0), (-116.5, 19), (-113, 33), (-106, 46), (-94, 58), (-78, 67), (-60, 73), (-40, 75.5),
    (-20, 75), (0, 73), (20, 71.5), (40, 69.5), (60, 67), (80, 63.5), (100, 59), (113, 55),
    (119, 50), (128, 47.5), (160, 48), (215, 58),
)  # fmt: skip
_FRONT = (
    (-118, -95), (-116.5, -72), (-113, -55), (-106, -38), (-94, -19), (-78, -5), (-60, 4),
    (-45, 8.5), (-30, 11), (-18, 11.5), (-8, 8), (0, 6), (15, 7), (30, 10.5), (45, 14), (55, 15.5),
    (68, 14.5), (80, 10.5), (92, 11), (102, 9.5), (109, 4), (113, -4), (117, -20), (122, -36),
    (130, -42), (160, -44), (215, -38),
)  # fmt: skip
_MIDDLE = ((-118, -95), (0, -95), (40, -90), (80, -78), (113, -76), (122, -92), (215, -96))
_BACK = (
    (-118, -95), (-116.5, -118), (-113, -134), (-106, -150), (-94, -166), (-78, -179), (-60, -187),
    (-30, -191), (0, -186), (40, -168), (80, -152), (113, -148), (215, -152),
)  # fmt: skip
# How box-like (positive) or wedge-like (negative) the front of a horizontal section is.
_SQUARE = (
    (-118, 0.0), (-60, 0.14), (-30, 0.18), (0, 0.16), (40, 0.14), (70, 0.08), (90, 0.0),
    (104, -0.09), (113, -0.15), (120, -0.1), (130, 0.05), (215, 0.0),
)  # fmt: skip
# The jaw's edge rises from the chin to below the ear by this much.
_JAW_RISE = 40.0


@dataclass(frozen=True)
class Grid:
    """One resolution of the map; all arrays (rows, columns) float32.

    angle: round the head, radians, 0 at the nose, positive to the subject's left.
    down: millimetres down the midline of the mean face. across: sideways on its surface.
    pitch: (rows, 1) millimetres from row to row.
    mean: (rows, columns, 3) the mean head without features: x to the subject's left, y down,
    z forward, in millimetres.
    """

    angle: Floats
    down: Floats
    across: Floats
    mean: Floats
    pitch: Floats

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.down.shape[0], self.down.shape[1]


@cache
def grid(rows: int, columns: int) -> Grid:
    """Return the map in a resolution; the same one is handed to everyone: do not write to it."""
    down = np.repeat(row_places(rows)[:, None], columns, axis=1)
    turn = np.linspace(-1, 1, columns, dtype=np.float32)
    angle = np.repeat((turn * np.pi * (0.45 + 0.55 * turn * turn))[None], rows, axis=0)
    mean = _mean_head(angle.astype(np.float32), down)
    pitch = np.gradient(row_places(rows)).astype(np.float32)[:, None]
    made = Grid(angle.astype(np.float32), down, np.ascontiguousarray(mean[..., 0]), mean, pitch)
    for array in (made.angle, made.down, made.across, made.mean):
        array.flags.writeable = False
    return made


@cache
def _density_integral() -> tuple[Floats, Floats]:
    fine = np.linspace(TOP, BOTTOM, 4000, dtype=np.float32)
    xs, ys = np.array(_DENSITY, np.float64).T
    total = np.cumsum(np.interp(fine, xs, ys))
    total -= total[0]
    return fine, np.asarray(total / total[-1], np.float32)


def row_places(rows: int) -> Floats:
    """Return where each row lies on the midline, millimetres, (rows,) float32."""
    fine, total = _density_integral()
    return np.interp(np.linspace(0, 1, rows), total, fine).astype(np.float32)


def row_of(down: Floats | float, rows: int) -> Floats:
    """Return the row, a fraction, of a place on the midline."""
    fine, total = _density_integral()
    return np.asarray(np.interp(down, fine, total) * (rows - 1), np.float32)


def _mean_head(angle: Floats, down: Floats) -> Floats:
    half, front = curve(_HALF_WIDTH, down), curve(_FRONT, down)
    middle, back = curve(_MIDDLE, down), curve(_BACK, down)
    sine, cosine = np.sin(angle), np.cos(angle)
    ahead = np.clip(cosine, 0, 1)
    x = half * sine * (1 + curve(_SQUARE, down) * ahead * ahead)
    z = middle + cosine * np.where(cosine > 0, front - middle, middle - back)
    rise = smooth(0.3, 1.7, np.abs(angle)) * smooth(20, CHIN, down) * smooth(200, 125, down)
    return np.stack([x, down - _JAW_RISE * rise, z], axis=-1).astype(np.float32)
