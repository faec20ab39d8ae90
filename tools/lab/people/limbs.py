"""Arms and legs: tapered tubes, for people who are seen from afar."""

import numpy as np

from tools.lab.people.body import Part
from tools.lab.people.fields import Floats, colour, curve, noise
from tools.lab.people.person import Person

_ROWS, _COLUMNS = 40, 16
_SWING_MM = 260.0
_DEPTH = -95.0
# Down the limb: height, sideways from the midline, radius, share of the swing; millimetres.
_ARM = (
    (172, 148, 8, 0),
    (182, 155, 34, 0),
    (205, 166, 50, 0),
    (300, 192, 50, 0.15),
    (520, 214, 42, 0.4),
    (770, 218, 32, 1.0),
)
_HAND = ((770, 218, 30, 1.0), (800, 219, 38, 1.1), (850, 218, 32, 1.25), (885, 217, 10, 1.3))
_LEG = ((700, 95, 98, 0), (900, 98, 84, 0.3), (1130, 98, 60, 0.6), (1560, 98, 46, 1.0))
_SHOE = ((1560, 98, 48, 1.0), (1590, 98, 62, 1.0), (1635, 98, 60, 1.0))


def limbs(person: Person, stride: float) -> list[Part]:
    """Return arms, hands, legs and shoes on the head's axes; stride: as in `View`."""
    rng = np.random.default_rng([person.seed, 5])
    trousers = colour((0.04, 0.03, 0.03)) + np.float32(rng.uniform(0, 0.25)) * colour(
        rng.uniform(0.5, 1, 3).tolist()
    )
    sleeves, skin = colour(person.wear.cloth), colour(person.skin.tone)
    parts = []
    for side in (-1, 1):
        swing = side * stride * _SWING_MM
        weave = noise(rng, (_ROWS, _COLUMNS), (8, 6))
        for table, ahead, tone in (
            (_ARM, -0.7 * swing, sleeves),
            (_HAND, -0.7 * swing, skin),
            (_LEG, swing, trousers),
            (_SHOE, swing, colour((0.03, 0.03, 0.03))),
        ):
            points = _tube(table, side, ahead)
            parts.append(Part(points, None, _toned(tone, weave)))
    return parts


def _toned(tone: Floats, weave: Floats) -> Floats:
    return np.asarray(tone * (1 + 0.06 * weave)[..., None], np.float32)


def _tube(table: tuple[tuple[float, float, float, float], ...], side: int, ahead: float) -> Floats:
    """Return the surface of a tube, (rows, columns, 3), with its outside outward."""
    heights = [knot[0] for knot in table]
    y = np.linspace(heights[0], heights[-1], _ROWS, dtype=np.float32)[:, None]
    away, radius, share = (
        curve([(knot[0], knot[column]) for knot in table], y) for column in (1, 2, 3)
    )
    around = np.linspace(-np.pi, np.pi, _COLUMNS, dtype=np.float32)[None]
    x = side * away + radius * np.sin(around)
    z = _DEPTH + ahead * share + radius * np.cos(around)
    return np.stack([x, y + 0 * x, z], axis=-1).astype(np.float32)
