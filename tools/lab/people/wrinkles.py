"""The lines that years leave, as grooves in the relief of the skin."""

from functools import cache

import numpy as np

from tools.lab.people.features import front
from tools.lab.people.fields import Floats, Rng, between, ridge, smooth
from tools.lab.people.grid import Grid
from tools.lab.people.texel import COLUMNS, ROWS, even_noise, texels

_DEPTH_MM = 0.55


def wrinkles(strength: float, rng: Rng) -> Floats:
    """Return grooves, (ROWS, COLUMNS) millimetres, negative; strength in [0, 1]."""
    where = texels()
    sway = even_noise(rng, (4, 5), 2)
    depth = _forehead(where, sway, rng) + _steady()
    fold = 17.5 + 0.42 * (where.down - 42) + 0.5 * sway
    depth += 1.3 * ridge(np.abs(where.across) - fold, 1.2) * between(where.down, 40, 76)
    return np.asarray(-_DEPTH_MM * strength * depth * front(ROWS, COLUMNS), np.float32)


def _forehead(where: Grid, sway: Floats, rng: Rng) -> Floats:
    lines = np.zeros(where.shape, np.float32)
    reach = smooth(52, 25, np.abs(where.across))
    for line in range(4):
        place = -34 - 9.0 * line + 1.6 * sway + rng.normal(0, 1)
        lines += 0.7 * ridge(where.down - place, 0.8) * reach
    return lines


@cache
def _steady() -> Floats:
    """Return the lines that lie where they lie: crow's feet, bags, frown, corners of the mouth."""
    where = texels()
    beside, down = np.abs(where.across), where.down
    depth = np.zeros(where.shape, np.float32)
    for line in (-1, 0, 1):
        crow = ridge(down - 1 - 0.35 * line * (beside - 46) - 3 * line, 0.7)
        depth += 0.6 * crow * smooth(46, 50, beside) * smooth(66, 56, beside)
    depth += 0.7 * ridge(beside - 28 - 0.05 * (down - 70), 1.0) * between(down, 70, 96)
    bag = 12.5 - 0.010 * (beside - 30) ** 2
    depth += 0.8 * ridge(down - bag, 0.9) * between(beside, 16, 44)
    depth += 0.6 * ridge(beside - 6, 0.8) * between(down, -28, -8)
    return depth
