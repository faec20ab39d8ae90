"""A person's skin on the map of heads: colour, relief and shine, painted once per person."""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from device.opencv import cv2
from tools.lab.people.brows import paint_brows
from tools.lab.people.features import front
from tools.lab.people.fields import Floats, Rng, bump, colour, mix, ridge, smooth
from tools.lab.people.grid import LIP_LINE
from tools.lab.people.person import Person
from tools.lab.people.texel import COLUMNS, ROWS, even_noise, texels
from tools.lab.people.whiskers import paint_scalp, paint_whiskers
from tools.lab.people.wrinkles import wrinkles


@dataclass(frozen=True)
class Texture:
    """colour: (ROWS, COLUMNS, 3) linear reflectance. shine: (ROWS, COLUMNS) strength of the gloss.

    slope: (ROWS, COLUMNS, 2) how the relief tilts the normal, along columns and rows.
    """

    colour: Floats
    shine: Floats
    slope: Floats


@lru_cache(maxsize=8)
def texture(person: Person) -> Texture:
    """Paint a person's skin."""
    rng = np.random.default_rng([person.seed, 2])
    lines = wrinkles(person.skin.wrinkles, rng)
    pores = even_noise(rng, (ROWS / 3, COLUMNS / 5), 2) * (0.02 + 0.035 * person.skin.wrinkles)
    relief = np.asarray(lines + pores, np.float32)
    skin = _complexion(person, rng) * (1 + 0.55 * np.clip(relief, -0.5, 0.3))[..., None]
    skin = _nostrils(person, _marks(person, skin, rng))
    skin, lips = _lips(person, skin, rng)
    skin = paint_whiskers(person, paint_scalp(person, skin, rng), rng)
    skin = paint_brows(person, skin, rng)
    shine = person.skin.oil * _zones()[2] * (1 - lips) + 0.55 * lips
    return Texture(
        np.clip(skin, 0.004, 0.95).astype(np.float32), shine.astype(np.float32), _slope(relief)
    )


def _slope(relief: Floats) -> Floats:
    across = cv2.Sobel(relief, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(relief, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.dstack([across * 2.6, down / texels().pitch]).astype(np.float32)


@cache
def _zones() -> tuple[Floats, Floats, Floats]:
    """Return where blood shows, where the skin under the eyes is thin, and where it shines."""
    where = texels()
    x, y = np.abs(where.across), where.down
    blood = 0.9 * bump(x, y, (36, 28), (15, 13)) + 0.8 * bump(x, y, (0, 38), (12, 9))
    blood += 0.35 * bump(x, y, (0, 100), (16, 10)) + 0.5 * bump(x, y, (31, -6), (11, 5))
    thin = bump(x, y, (27, 10.5), (10, 4.5)) + 0.8 * bump(x, y, (15.5, 1), (4, 5))
    shine = 0.35 + 0.5 * bump(x, y, (0, -45), (30, 16)) + 0.6 * bump(x, y, (0, 25), (9, 20))
    shine += 0.35 * bump(x, y, (38, 22), (14, 9))
    return blood, np.clip(thin, 0, 1).astype(np.float32), shine.astype(np.float32)


def _complexion(person: Person, rng: Rng) -> Floats:
    """Return the bare skin with the zones that blood, sun and thin skin make."""
    skin = person.skin
    blood, thin, _ = _zones()
    blood = blood + 0.18 * skin.blotches * even_noise(rng, (26, 26), 3)
    flush = colour((-0.22, -0.24, 0.03)) * (0.15 + 0.55 * skin.redness)
    tone = colour(skin.tone) * (1 + flush * np.clip(blood, -0.3, 1.4)[..., None])
    uneven = 0.022 * even_noise(rng, (7, 7), 2)
    uneven += (0.012 + 0.03 * skin.blotches) * even_noise(rng, (60, 60), 3)
    dark = colour((0.30, 0.42, 0.36)) * skin.hollows
    return np.asarray(tone * (1 + uneven)[..., None] * (1 - dark * thin[..., None]), np.float32)


def _marks(person: Person, skin: Floats, rng: Rng) -> Floats:
    """Add freckles and moles."""
    where = texels()
    strength = person.skin.freckles
    if strength > 0:
        grain = even_noise(rng, (ROWS / 2, COLUMNS / 2.4))
        zone = bump(np.abs(where.across), where.down, (24, 22), (26, 22)) + 0.25
        spots = smooth(1.5, 2.2, grain + 0.9 * strength * zone) * zone
        brown = skin * colour((0.45, 0.55, 0.72))
        skin = mix(skin, brown, np.clip(0.65 * strength * spots, 0, 0.65))
    for _ in range(person.skin.moles):
        centre = (float(rng.uniform(-60, 60)), float(rng.uniform(-55, 105)))
        size = float(rng.uniform(0.4, 1.3))
        spot = bump(where.across, where.down, centre, (size, size)) * front(ROWS, COLUMNS)
        skin = mix(skin, skin * np.float32(rng.uniform(0.2, 0.6)), smooth(0.35, 0.7, spot))
    return skin


def _nostrils(person: Person, skin: Floats) -> Floats:
    where = texels()
    beside = np.abs(where.across)
    turned = where.down + 0.22 * (beside - 7.5)
    hole = bump(beside, turned, (7.4, 46.2), (2.7 * person.nose[2], 1.1))
    skin = mix(skin, colour((0.012, 0.010, 0.02)), np.clip(1.1 * hole, 0, 0.85))
    crease = bump(beside, where.down, (19.6, 42), (1.3, 4.5))
    return mix(skin, skin * np.float32(0.6), 0.45 * crease)


def _lips(person: Person, skin: Floats, rng: Rng) -> tuple[Floats, Floats]:
    """Return the skin with lips, and where they are, in [0, 1]."""
    look, where = person.skin, texels()
    beside, down = np.abs(where.across), where.down
    span = np.clip(1 - (beside / 28.5) ** 2, 0, 1)
    bow = look.bow * (ridge(beside - 5.2, 3.2) - 1.3 * ridge(beside, 2.1))
    top = LIP_LINE - (look.upper_lip * span**0.75 + bow * span)
    bottom = LIP_LINE + look.lower_lip * span**0.62
    inside = smooth(-1.1, 1.1, down - top) * smooth(-1.6, 1.8, bottom - down)
    inside = inside * smooth(29.5, 26.5, beside) * front(ROWS, COLUMNS)
    grain = 1 + 0.10 * even_noise(rng, (ROWS / 26, COLUMNS / 3))
    shade = grain * (1 - 0.16 * smooth(0.6, -0.6, down - LIP_LINE))
    skin = mix(skin, colour(look.lip) * shade[..., None], 0.9 * inside)
    line = ridge(down - LIP_LINE - 0.25 * np.cos(beside / 5), 0.75)
    line = line * smooth(31.5, 27.5, beside) * front(ROWS, COLUMNS)
    return mix(skin, skin * colour((0.22, 0.2, 0.3)), 0.85 * line), inside
