"""Hair that shows as colour of the skin: stubble, the ground of a beard, a scalp's edge."""

from functools import cache

import numpy as np

from tools.lab.people.fields import Floats, Rng, between, blur, colour, mix, smooth
from tools.lab.people.hairline import grown
from tools.lab.people.person import Person
from tools.lab.people.texel import COLUMNS, ROWS, even_noise, texels


@cache
def _zones() -> tuple[Floats, Floats]:
    """Return where beards and where moustaches grow, both (ROWS, COLUMNS) in [0, 1]."""
    where = texels()
    beside, down = np.abs(where.across), where.down
    edge = 44 + 0.028 * (beside - 12) ** 2 - 0.00042 * np.clip(beside - 30, 0, None) ** 3
    cheek = smooth(-5, 7, down - np.clip(edge, 30, 78)) * smooth(1.85, 1.6, np.abs(where.angle))
    mouth = smooth(1.05, 0.9, (beside / 27) ** 2 + ((down - 69) / 11) ** 2)
    cheek = cheek * smooth(142, 122, down) * (1 - mouth) * smooth(46, 53, down)
    moustache = smooth(31, 26, beside) * between(down, 52, 62.5)
    return np.asarray(np.clip(cheek, 0, 1), np.float32), moustache


def beard_mask(person: Person) -> Floats:
    """Return how much beard grows where, (ROWS, COLUMNS) in [0, 1]."""
    cheek, moustache = _zones()
    if person.hair.beard == "moustache":
        return moustache
    if person.hair.beard == "goatee":
        where = texels()
        chin = smooth(31, 24, np.abs(where.across)) * smooth(58, 64, where.down)
        return np.maximum(cheek * chin, moustache)
    return np.maximum(cheek, moustache)


def paint_whiskers(person: Person, skin: Floats, rng: Rng) -> Floats:
    """Return the skin with what grows on cheeks and chin, (ROWS, COLUMNS, 3)."""
    hair = person.hair
    if hair.beard == "none":
        return skin
    zone, tone = beard_mask(person), colour(hair.beard_tone)
    if hair.beard == "shadow":
        return mix(skin, skin * colour((0.80, 0.72, 0.66)), hair.beard_density * zone)
    if hair.beard == "stubble":
        grain = even_noise(rng, (ROWS / 2.5, COLUMNS / 2.2))
        skin = mix(skin, skin * np.float32(0.75), 0.6 * zone)
        return mix(skin, tone, smooth(-0.4, 1.4, grain) * 0.85 * hair.beard_density * zone)
    strand = even_noise(rng, (ROWS / 14, COLUMNS / 2.2))
    patchy = smooth(-1.3, 0.2, blur(strand, 2) * 2 + 3.5 * (zone - 0.35))
    cover = np.clip(zone * 1.6, 0, 1) * patchy * (0.55 + 0.45 * hair.beard_density)
    strands = np.clip(tone * (1 + 0.35 * strand)[..., None], 0.003, 1).astype(np.float32)
    return mix(skin, strands, np.clip(cover, 0, 1))


def paint_scalp(person: Person, skin: Floats, rng: Rng) -> Floats:
    """Tint the skin where hair begins, so that hair does not start like a cap."""
    style = person.hair.style
    if style == "bald":
        return skin
    soft, most = (9.0, 0.75) if style == "buzz" else (6.0, 0.6)
    inside = grown(person, texels()) + 2.5 * even_noise(rng, (ROWS / 40, COLUMNS / 3), 2)
    grain = 0.85 + 0.15 * even_noise(rng, (ROWS / 3, COLUMNS / 3))
    cover = np.clip(most * smooth(-soft, soft, inside) * grain, 0, 1)
    return mix(skin, colour(person.hair.tone), cover)
