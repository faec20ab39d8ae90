"""Where hair grows on the map of heads."""

import numpy as np

from tools.lab.people.fields import Floats, curve, ridge
from tools.lab.people.grid import Grid
from tools.lab.people.person import Person

_EAR = 1.42
"""Angle round the head at which the line reaches the ear."""
_TEMPLE = ((0, 0), (0.4, 1), (0.62, 9), (0.8, 26), (0.98, 54), (1.18, 84), (1.45, 94))
_BEHIND = ((1.4, 4), (1.48, -8), (1.66, -8), (1.85, 24), (2.1, 66), (np.pi, 76))
_RING = ((0, -160), (1.2, -160), (1.3, 18), (_EAR, 24))
_SIDEBURN = 26.0


def grown(person: Person, where: Grid) -> Floats:
    """Return how far inside the hairline each cell is, millimetres; negative outside."""
    hair = person.hair
    angle = np.abs(where.angle[:1])
    behind = curve(_BEHIND, angle)
    if hair.style == "ring":
        edge = np.where(angle < _EAR, curve(_RING, angle), behind)
        return np.asarray(np.minimum(edge - where.down, where.down + 62), np.float32)
    line, corners = hair.line, hair.corners
    if hair.style == "receding":
        line, corners = line - 14, corners + 16
    front = line - corners * ridge(angle - 0.5, 0.18) + hair.peak * ridge(angle, 0.16)
    before = np.minimum(front + curve(_TEMPLE, angle), _SIDEBURN)
    return np.asarray(np.where(angle < _EAR, before, behind) - where.down, np.float32)
