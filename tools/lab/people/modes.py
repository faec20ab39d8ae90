"""How heads differ: named modes, each a smooth displacement per standard deviation.

The amounts are in the order of the standard deviations that adult anthropometry reports for such
lengths (Farkas, "Anthropometry of the Head and Face", 1994), as one hand set them: they make
varied, plausible heads and claim nothing about any population.
"""

from functools import cache

import numpy as np

from tools.lab.people.features import Hill, front
from tools.lab.people.fields import Floats, bump, smooth
from tools.lab.people.grid import BOTTOM, CHIN, grid

# Mirrored modes: the same on both sides of the face.
_MIRRORED: dict[str, tuple[Hill, ...]] = {
    "brow_ridge": ((24, -16, 13, 6, 0, 0, 2.0), (0, -18, 9, 6, 0, 0, 1.0)),
    "brow_height": ((28, -18, 16, 9, 0, -2.6, 0),),
    "brow_inner": ((14, -17, 7, 8, 0, 2.2, 0),),
    "brow_outer": ((44, -16, 8, 9, 0, -2.6, 0),),
    "eye_spacing": ((31, 0, 16, 14, 1.9, 0, 0),),
    "eye_depth": ((31, 0, 14, 9, 0, 0, 1.7),),
    "eye_tilt": ((45, 0, 7, 8, 0, -1.1, 0), (18, 0, 6, 8, 0, 0.6, 0)),
    "eye_bags": ((29, 12, 11, 4, 0, 0, 1.2),),
    "cheekbones": ((50, 19, 12, 11, 2.4, 0, 3.0),),
    "cheekbone_height": ((48, 24, 15, 15, 0, -3.0, 0),),
    "cheek_fill": ((42, 58, 15, 19, 2.0, 0, 4.5),),
    "cheek_front": ((33, 33, 13, 12, 0, 0, 2.4),),
    "nasolabial": ((32, 55, 4, 14, 0, 0, -0.9), (37, 50, 6, 14, 0, 0, 1.0)),
    "nasion": ((0, -5, 8, 9, 0, 0, 2.0),),
    "nose_hump": ((0, 11, 6, 8, 0, 0, 2.0),),
    "nose_length": ((0, 36, 17, 13, 0, 2.8, 0),),
    "nose_tip_up": ((0, 39, 9, 5, 0, -2.2, 0.6),),
    "nose_tip_out": ((0, 38, 8, 7, 0, 0, 2.3),),
    "nose_wings": ((14, 41, 7, 8, 2.1, 0, 0.5),),
    "wing_height": ((14, 42, 5, 6, 0, -1.4, 0),),
    "columella": ((0, 47, 4, 4, 0, 1.4, 0.5),),
    "mouth_width": ((25, 68, 13, 12, 2.6, 0, 0),),
    "mouth_forward": ((0, 68, 22, 11, 0, 0, 2.2),),
    "upper_lip_length": ((0, 66, 30, 9, 0, 2.0, 0),),
    "mouth_corners": ((25, 68, 7, 6, 0, 1.3, 0),),
    "philtrum": ((0, 55, 2.2, 5, 0, 0, -0.8),),
    "lip_groove": ((0, 82, 16, 4, 0, 0, -1.5),),
    "chin_forward": ((0, 104, 18, 11, 0, 0, 3.4),),
    "chin_width": ((19, 107, 12, 11, 2.6, 0, 1.0),),
    "chin_point": ((0, 112, 12, 9, 0, 2.8, 0.6), (24, 110, 9, 9, -1.2, -1.2, 0)),
    "chin_cleft": ((0, 104, 2.2, 6, 0, 0, -0.9), (5, 103, 3, 6, 0, 0, 0.4)),
    "forehead_round": ((0, -52, 28, 17, 0, 0, 2.8),),
    "temples": ((66, -25, 15, 20, 2.0, 0, 2.0),),
}
# The same displacement on both sides: what makes a face lopsided.
_LOPSIDED: dict[str, Hill] = {
    "nose_bent": (0, 28, 12, 16, 1.2, 0, 0),
    "tip_aside": (0, 40, 10, 7, 1.0, 0, 0),
    "mouth_aside": (0, 68, 24, 14, 1.1, 0, 0),
    "chin_aside": (0, 106, 24, 16, 1.5, 0, 0),
    "left_eye_low": (31, 0, 14, 11, 0, 0.8, 0),
    "left_brow_high": (30, -18, 14, 8, 0, -1.1, 0),
    "left_corner_low": (25, 68, 9, 9, 0, 0.9, 0),
    "left_jaw_wide": (56, 90, 16, 24, 1.6, 0, 0.6),
    "left_cheek_full": (40, 40, 17, 18, 0.7, 0, 1.2),
}
_WHOLE = (
    "head_width", "head_depth", "face_length", "midface_length", "jaw_length", "forehead_height",
    "forehead_width", "face_width", "jaw_width", "jaw_drop", "neck_width", "weight", "profile",
    "eye_size", "eye_width",
)  # fmt: skip

SHAPE_NAMES: tuple[str, ...] = (*_WHOLE, *_MIRRORED, *_LOPSIDED)
"""The order of `Person.shape`."""


@cache
def modes(rows: int, columns: int) -> Floats:
    """Return all modes, (len(SHAPE_NAMES), rows * columns * 3) float32, millimetres per unit."""
    fields = [_whole(name, rows, columns) for name in _WHOLE]
    where = grid(rows, columns)
    side = np.tanh(where.across / 4)
    fields += [_sum(table, np.abs(where.across), side, rows) for table in _MIRRORED.values()]
    fields += [_sum((hill,), where.across, None, rows) for hill in _LOPSIDED.values()]
    stacked = np.stack(fields)
    stacked[len(_WHOLE) :] *= front(rows, columns)[None, ..., None]
    return stacked.reshape(len(fields), -1)


def _sum(table: tuple[Hill, ...], across: Floats, side: Floats | None, rows: int) -> Floats:
    where = grid(rows, across.shape[1])
    total = np.zeros((*across.shape, 3), np.float32)
    for x, y, wide, high, *move in table:
        hill = bump(across, where.down, (x, y), (wide, high))
        for axis, amount in enumerate(move):
            total[..., axis] += amount * hill * (side if axis == 0 and side is not None else 1)
    return total


def _whole(name: str, rows: int, columns: int) -> Floats:
    """Return one of the modes that move large parts of the head."""
    where = grid(rows, columns)
    x, y, z = (where.mean[..., axis] for axis in range(3))
    down = where.down
    behind = z + 90
    zero = np.zeros_like(x)
    neck = smooth(CHIN, BOTTOM - 60, down)
    eyes = bump(np.abs(where.across), down, (31, 0), (15, 11)) * front(rows, columns)
    moves: dict[str, tuple[Floats, Floats, Floats]] = {
        "head_width": (0.034 * x * (1 - neck), zero, zero),
        "head_depth": (zero, zero, 0.03 * behind * (1 - neck)),
        "face_length": (zero, 4.6 * smooth(-10, CHIN, down), zero),
        "midface_length": (zero, 2.4 * smooth(0, 48, down), zero),
        "jaw_length": (zero, 3.4 * smooth(60, 108, down), zero),
        "forehead_height": (zero, -5.0 * smooth(-15, -85, down), zero),
        "forehead_width": (0.035 * x * smooth(-5, -40, down), zero, zero),
        "face_width": (0.03 * x * smooth(-40, 10, down) * smooth(70, 40, down), zero, zero),
        "jaw_width": (0.055 * x * smooth(45, 95, down) * smooth(135, 110, down), zero, zero),
        "jaw_drop": (
            zero,
            4.0 * smooth(0.4, 1.2, np.abs(where.angle)) * bump(x * 0, down, (0, 108), (1, 22)),
            zero,
        ),
        "neck_width": (0.08 * x * neck, zero, 0.05 * behind * neck),
        "weight": (
            0.045 * x * smooth(20, 95, down),
            2.0 * bump(x, down, (0, 118), (30, 10)),
            5.0 * bump(np.abs(x), down, (20, 120), (24, 12)) + 0.04 * behind * neck,
        ),
        "profile": (zero, zero, 2.6 * smooth(-20, -90, down) - 2.6 * smooth(40, 110, down)),
        "eye_size": (zero, 0.075 * y * eyes, zero),
        "eye_width": (0.045 * (np.abs(x) - 31) * np.sign(x) * eyes, zero, zero),
    }
    return np.stack(moves[name], axis=-1).astype(np.float32)
