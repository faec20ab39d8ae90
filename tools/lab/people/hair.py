"""Hair as surfaces: a shell over the scalp, a curtain where it is long, a bun, a beard."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tools.lab.people.fields import (
    Floats,
    Rng,
    blur,
    bump,
    colour,
    curve,
    enlarge,
    noise,
    ridge,
    shrink,
    smooth,
)
from tools.lab.people.grid import Grid, grid
from tools.lab.people.hairline import grown
from tools.lab.people.person import Person
from tools.lab.people.shape import COLUMNS, ROWS, neutral, normals
from tools.lab.people.whiskers import beard_mask

FINE = 2
"""Cells of cover and colour per cell of a surface, along rows and columns."""
_HANGING = ("bob", "long", "long_fringe", "waves")
_SHAVEN = ("bald", "buzz")
_CURLY = ("curly", "afro")
_PARTED = ("side", "long", "waves", "bob", "quiff")
_BEARD_MM = {"full": 11.0, "short": 3.5, "goatee": 6.0}
# Millimetres off the scalp: everywhere, more on top, more over the forehead.
_THICK = {
    "short": (6, 6, 0), "side": (7, 9, 0), "quiff": (5, 9, 16), "fringe": (8, 6, 0),
    "curly": (15, 8, 0), "afro": (34, 10, 0), "receding": (4, 4, 0), "ring": (6, 0, 0),
    "bob": (13, 5, 0), "long": (10, 5, 0), "long_fringe": (10, 6, 0), "waves": (14, 6, 0),
    "tied": (4, 3, 0), "bun": (4, 4, 0),
}  # fmt: skip
_LUMPS = {"curly": 4.5, "afro": 4.0, "waves": 2.0, "short": 1.5, "quiff": 2.0}


@dataclass(frozen=True)
class Lock:
    """A surface of hair on the head's axes.

    points: (rows, columns, 3) millimetres. cover: hair where above 0.5, and tone: linear
    reflectance, both `FINE` times as many rows and columns. cut: what turns further away from the
    camera than this cosine is not drawn.
    """

    points: Floats
    cover: Floats
    tone: Floats
    cut: float = -0.35


@lru_cache(maxsize=8)
def locks(person: Person) -> tuple[Lock, ...]:
    """Return all surfaces of a person's hair, the scalp's first; none for a bald, shaven one."""
    rng = np.random.default_rng([person.seed, 3])
    made = []
    if has_shell(person):
        made.append(_shell(person, rng))
    if person.hair.style in _HANGING:
        made.append(_curtain(person, rng))
    if person.hair.style == "bun":
        made.append(_bun(person, rng))
    if person.hair.beard in _BEARD_MM:
        made.append(_beard(person, rng))
    return tuple(made)


def has_shell(person: Person) -> bool:
    """Return whether hair covers the scalp."""
    return person.hair.style not in _SHAVEN


def _shell(person: Person, rng: Rng) -> Lock:
    where, fine = grid(ROWS, COLUMNS), grid(ROWS * FINE, COLUMNS * FINE)
    thick, inside = _thickness(person, where, rng), grown(person, fine)
    style = person.hair.style
    if style in {"fringe", "long_fringe"}:
        inside = np.maximum(inside, _fringe(person, fine, rng))
        thick = np.maximum(thick, 6.5 * _over_the_forehead(where))
    ragged = noise(rng, fine.shape, (18, COLUMNS * 0.9), 2)
    cover = smooth(-2, 5, inside + 2.2 * ragged)
    if style in {"receding", "ring"}:
        thin = noise(rng, fine.shape, (ROWS / 5, COLUMNS * 1.2))
        cover = cover * smooth(-2.2, -0.6, thin + 0.05 * inside)
    skull = neutral(person)
    return Lock(
        skull + _outward(skull) * thick[..., None], cover, _strands(person, fine.shape, rng)
    )


def _outward(surface: Floats) -> Floats:
    """Return the normals of a surface without its small relief."""
    return normals(blur(np.ascontiguousarray(surface), 6))


def _thickness(person: Person, where: Grid, rng: Rng) -> Floats:
    """Return how far the shell stands off the scalp, (rows, columns) millimetres."""
    hair = person.hair
    top = smooth(-40, -95, where.down)
    front = smooth(1.0, 0.3, np.abs(where.angle)) * smooth(-100, -70, where.down)
    base, above, ahead = _THICK[hair.style]
    thick = base + above * top + ahead * front
    cells = (26, 34) if hair.style in _CURLY else (9, 14)
    relief = _LUMPS.get(hair.style, 0.9) * noise(rng, where.shape, cells, 2)
    if hair.style in _PARTED:
        beside = where.angle - 0.9 * hair.part
        relief = relief - 5.0 * ridge(beside, 0.07) * smooth(-60, -75, where.down)
        thick = thick * (1 - 0.25 * np.sign(hair.part) * np.tanh(beside) * top)
    taper = 0.25 + 0.75 * smooth(0, 16, grown(person, where))
    return np.asarray(np.clip((thick + relief) * hair.volume, 0.5, None) * taper, np.float32)


def _fringe(person: Person, fine: Grid, rng: Rng) -> Floats:
    """Return how far inside a fringe each cell is, millimetres."""
    strands = 3.5 * noise(rng, (1, fine.shape[1]), (1, 40), 2)
    falls = -29 + 14 * person.hair.part * np.sin(1.4 * fine.angle) + strands - fine.down
    return np.where(np.abs(fine.angle) < 0.98, falls, np.float32(-99)).astype(np.float32)  # noqa: PLR2004


def _over_the_forehead(where: Grid) -> Floats:
    over = smooth(-85, -55, where.down) * smooth(-10, -35, where.down)
    return over * smooth(1.1, 0.9, np.abs(where.angle))


def _strands(person: Person, shape: tuple[int, int], rng: Rng) -> Floats:
    """Return the colour of hair: streaks down the rows, or specks where it is curly."""
    rows, columns = shape
    if person.hair.style in _CURLY:
        streak = noise(rng, shape, (rows / 7, columns / 7), 2)
    else:
        streak = noise(rng, shape, (rows / 60, columns / 2.2))
        streak = streak + 0.8 * noise(rng, shape, (rows / 90, columns / 9))
    tone = colour(person.hair.tone) * (1 + 0.24 * streak)[..., None]
    return np.clip(tone, 0.003, 0.95).astype(np.float32)


def _curtain(person: Person, rng: Rng) -> Lock:
    """Return hair that hangs beside and behind the face."""
    hair, rows, columns = person.hair, 130, 110
    end = 78.0 if hair.style == "bob" else hair.length
    y = np.linspace(-82, end, rows, dtype=np.float32)[:, None]
    turn = np.linspace(-1, 1, columns, dtype=np.float32)[None]
    turn = turn * (1.35 - 0.35 * turn * turn)
    opening = curve(((-90, 0.35), (-60, 0.72), (-20, 1.0), (20, 1.08), (80, 1.02), (200, 0.8)), y)
    angle = np.pi + turn * (np.pi - opening - 0.05 * (1 - hair.volume))
    half = curve(((-90, 62), (-60, 78), (-20, 85), (30, 87), (90, 86), (200, 100)), y)
    depth = curve(((-90, 70), (-60, 84), (0, 92), (60, 88), (200, 70)), y)
    swing = 5.0 if hair.style == "waves" else 1.2
    wave = swing * np.sin(y / 15 + 3 * noise(rng, (rows, columns), (2, 8))) * smooth(-60, 20, y)
    wave = wave + noise(rng, (rows, columns), (4, 16), 2)
    x = (half + 7 * (hair.volume - 1) + wave) * np.sin(angle)
    z = -95 + (depth + wave) * np.cos(angle)
    points = np.stack([x, y + 0 * x, z], axis=-1).astype(np.float32)
    shape = (rows * FINE, columns * FINE)
    return Lock(points, _frayed(end, shape, rng), _strands(person, shape, rng), -2.0)


def _frayed(end: float, shape: tuple[int, int], rng: Rng) -> Floats:
    """Return the cover of a curtain with uneven ends and edges."""
    ends = end - 12 * np.abs(noise(rng, (1, shape[1]), (1, 50), 2))
    y = np.linspace(-82, end, shape[0], dtype=np.float32)[:, None]
    side = 1 - np.abs(np.linspace(-1, 1, shape[1], dtype=np.float32))[None]
    cover = smooth(4, -4, y - ends) * smooth(-82, -70, y)
    return cover * smooth(-0.01, 0.03, side + 0.012 * noise(rng, shape, (8, 90)))


def _bun(person: Person, rng: Rng) -> Lock:
    rows, columns = 50, 70
    lift = np.linspace(-np.pi / 2, np.pi / 2, rows, dtype=np.float32)[:, None]
    turn = np.linspace(-np.pi, np.pi, columns, dtype=np.float32)[None]
    radius = 32 * person.hair.volume + 2 * noise(rng, (rows, columns), (5, 7), 2)
    x = radius * np.cos(lift) * np.sin(turn)
    y = -128 + radius * np.sin(lift) + 0 * turn
    z = -120 + radius * np.cos(lift) * np.cos(turn)
    points = np.stack([x, y, z], axis=-1).astype(np.float32)
    shape = (rows * FINE, columns * FINE)
    return Lock(points, np.ones(shape, np.float32), _strands(person, shape, rng))


def _beard(person: Person, rng: Rng) -> Lock:
    """Return the body of a beard; its ground is painted on the skin."""
    hair, where, skull = person.hair, grid(ROWS, COLUMNS), neutral(person)
    mask = beard_mask(person)
    depth = _BEARD_MM[hair.beard] * (0.6 + 0.6 * hair.beard_density)
    chin = 1 + 0.9 * bump(np.abs(where.across), where.down, (0, 110), (28, 16))
    uneven = 1 + 0.12 * noise(rng, where.shape, (30, 40), 2)
    thick = depth * blur(shrink(mask, (ROWS, COLUMNS)), 4) * chin * uneven
    shape = (ROWS * FINE, COLUMNS * FINE)
    fray = 0.16 * noise(rng, shape, (ROWS / 3, COLUMNS), 2)
    cover = smooth(0.25, 0.75, enlarge(mask, shape) + fray)
    streak = noise(rng, shape, (ROWS / 8, COLUMNS * 0.8), 2)
    tone = np.clip(colour(hair.beard_tone) * (1 + 0.28 * streak)[..., None], 0.003, 0.95)
    points = skull + _outward(skull) * thick[..., None]
    return Lock(points.astype(np.float32), cover, tone.astype(np.float32))
