"""Ears, shoulders and clothes."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tools.lab.people.fields import Floats, Rng, bump, colour, curve, noise, ridge, smooth
from tools.lab.people.grid import grid
from tools.lab.people.person import Person
from tools.lab.people.shape import COLUMNS, ROWS, neutral

_EAR = (46, 34)
_EAR_ANGLE = 1.52
_EAR_HEIGHT = 14.0
_TORSO = (120, 100)
_SHOULDERS = (
    (118, 42), (135, 47), (150, 60), (164, 88), (178, 126), (196, 164), (225, 190), (290, 204),
    (420, 198), (560, 172), (700, 186), (780, 178),
)  # fmt: skip
_CHEST = (
    (118, -44),
    (135, -44),
    (150, -40),
    (170, -30),
    (200, -16),
    (250, 0),
    (420, 14),
    (560, 6),
    (780, -10),
)
_SPINE = ((118, -140), (150, -152), (180, -168), (250, -192), (420, -192), (600, -176), (780, -190))
# Height of the neckline at the side, its dip in front, half the width of the dip (0: round).
_NECKLINES = {
    "tee": (146, 10, 0), "shirt": (138, 36, 34), "hoodie": (136, 14, 0), "vneck": (142, 70, 46),
    "turtleneck": (100, 0, 0), "jacket": (132, 66, 30),
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """points: (rows, columns, 3) millimetres on the head's axes. cover: drawn where above 0.5.

    tone: (rows, columns, 3) linear reflectance.
    """

    points: Floats
    cover: Floats | None
    tone: Floats


@lru_cache(maxsize=8)
def ears(person: Person) -> tuple[Part, Part]:
    """Return the right and the left ear."""
    return _ear(person, -1), _ear(person, 1)


def _ear(person: Person, side: int) -> Part:
    size, stand = person.ears
    v, u = np.meshgrid(np.linspace(-1.05, 1.05, _EAR[0]), np.linspace(-1.05, 1.05, _EAR[1]),
                       indexing="ij")  # fmt: skip
    v, u = v.astype(np.float32), u.astype(np.float32)
    radius = np.hypot(u / (1 - 0.12 * np.clip(v, 0, 1)), v)
    rim = ridge(radius - 0.88, 0.09) * smooth(0.75, 0.3, v)
    inner = ridge(radius - 0.56, 0.12) * smooth(-0.9, 0.2, u)
    bowl = bump(u, v, (-0.25, 0.12), (0.26, 0.3))
    height = 3.2 * rim + 1.8 * inner - 6.0 * bowl
    out, back = 0.12 + 0.65 * stand, 15 * size * (u + 0.75)
    root = _root(person, side, _EAR_HEIGHT + 30 * size * v[:, 0])
    x = side * root[:, :1] - 1.5 + back * np.sin(out) + height * np.cos(out)
    y = _EAR_HEIGHT + 30 * size * v - 5 * u
    z = root[:, 2:] - 2 - back * np.cos(out) + height * np.sin(out)
    dark = 1 - 0.55 * bowl - 0.25 * ridge(radius - 0.72, 0.07) * smooth(0.4, 0.0, v)
    tone = colour(person.skin.tone) * colour((0.72, 0.74, 0.98)) * dark[..., None]
    points = np.stack([side * x, y, z], axis=-1)
    return Part(points.astype(np.float32), smooth(1.02, 0.98, radius), tone.astype(np.float32))


def _root(person: Person, side: int, down: Floats) -> Floats:
    """Return where the ear grows out of the head, (n, 3), for heights down the ear."""
    where = grid(ROWS, COLUMNS)
    column = int(np.argmin(np.abs(where.angle[0] - side * _EAR_ANGLE)))
    strip = neutral(person)[:, column]
    axes = [np.interp(down, strip[:, 1], strip[:, axis]) for axis in range(3)]
    return np.stack(axes, axis=1).astype(np.float32)


@lru_cache(maxsize=8)
def torso(person: Person) -> Part:
    """Return neck base, shoulders and chest with what the person wears."""
    rng = np.random.default_rng([person.seed, 4])
    rows, columns = _TORSO
    y = 118 + 590 * np.linspace(0, 1, rows, dtype=np.float32)[:, None] ** 2
    angle = np.linspace(-2.2, 2.2, columns, dtype=np.float32)[None]
    build = 1 + 0.02 * person.build + 0.05 * float(rng.normal())
    half = curve(_SHOULDERS, y) * (1 + (build - 1) * smooth(130, 200, y))
    front, spine = curve(_CHEST, y), curve(_SPINE, y)
    middle = 0.5 * (front + spine)
    x = half * np.sin(angle) * (1 + 0.12 * np.cos(angle) ** 2)
    folds = 1.3 * noise(rng, _TORSO, (5, 9), 2) * smooth(150, 200, y)
    z = middle + (front - middle) * np.cos(angle) + folds
    drop = 14 * smooth(0.3, 1.4, np.abs(angle)) * smooth(140, 190, y)
    points = np.stack([x, y + drop, z], axis=-1).astype(np.float32)
    return Part(points, None, _cloth(person, y, x, np.cos(angle), rng))


def _cloth(person: Person, y: Floats, x: Floats, front: Floats, rng: Rng) -> Floats:
    wear = person.wear
    side, dip, wide = _NECKLINES[wear.clothes]
    if wide:
        neckline: Floats = side + dip * np.clip(1 - np.abs(x) / wide, 0, 1) * (front > 0)
    else:
        neckline = side + dip * np.clip(front, 0, 1) ** 2
    weave = 1 + 0.06 * noise(rng, _TORSO, (40, 60), 2)
    if wear.pattern > 0:
        across = wear.pattern < 0.6  # noqa: PLR2004 - see Wear.pattern
        stripes = np.sin(y / (3 + 7 * wear.pattern)) + 0 * x if across else np.sin(x / 6)
        weave = weave * (1 - 0.35 * smooth(-0.2, 0.2, stripes))
    weave = weave * (1 - 0.3 * ridge(y - neckline - 3, 2.0))
    inner = np.broadcast_to(colour(person.skin.tone), (*x.shape, 3))
    if wear.clothes == "jacket":
        inner = np.where(y[..., None] > 146, np.float32(0.6), inner)  # noqa: PLR2004 - a shirt
    covered = smooth(-1.5, 1.5, y - neckline)[..., None]
    return np.asarray(inner + (colour(wear.cloth) * weave[..., None] - inner) * covered, np.float32)
