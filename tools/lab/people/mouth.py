"""The open mouth: teeth and dark, drawn in the strip of the map between the lips."""

import numpy as np

from tools.lab.people.fields import Floats, Mask, colour, smooth
from tools.lab.people.grid import LIP_LINE

OPENS_MM = 13.0
"""How far the lips part when `Expression.mouth` is 1."""
HALF_WIDTH = 27.0
STRIP_MM = 0.8
"""The strip reaches this far above and below the line between the lips."""
_TEETH_MM = 6.0
_TOOTH_MM = 8.0


def opening(across: Floats, down: Floats) -> Mask:
    """Return which places lie between the lips."""
    inside = (np.abs(down - LIP_LINE) < STRIP_MM) & (np.abs(across) < HALF_WIDTH - 1)
    return np.asarray(inside, np.bool_)


def draw(amount: float, across: Floats, down: Floats) -> Floats:
    """Return the colour of places between the lips, (n, 3). amount: `Expression.mouth`."""
    beside = np.abs(across)
    share = (down - LIP_LINE + STRIP_MM) / (2 * STRIP_MM)
    gap = OPENS_MM * amount * np.sqrt(np.clip(1 - (beside / HALF_WIDTH) ** 2, 0, 1))
    teeth = 0.85 * smooth(_TEETH_MM + 0.5, _TEETH_MM - 0.5, share * gap) * smooth(22, 17, beside)
    lines = 0.8 + 0.2 * np.abs(np.cos(beside / _TOOTH_MM * np.pi)) ** 0.3
    dark = colour((0.015, 0.012, 0.03))
    white = colour((0.42, 0.50, 0.54)) * lines[:, None]
    return np.asarray(dark + (white - dark) * teeth[:, None], np.float32)
