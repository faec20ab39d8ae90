"""The eyes, drawn for each pixel that shows them: lids, lashes, white, iris, pupil, glint.

They are too fine for the skin's texture, and they move: gaze, blink and smile change them.
"""

from dataclasses import dataclass

import numpy as np

from tools.lab.people.fields import Floats, colour, mix, ridge, smooth
from tools.lab.people.person import Person
from tools.lab.people.view import Expression

HALF_WIDTH = 16.0
"""From the middle of an eye to its corners, millimetres."""
REACH = (20.0, 16.0)
"""How far from the middle of an eye anything of it is drawn, across and down, millimetres."""
_MIDDLE = 31.0
_IRIS = 6.3
_PUPIL = 2.5
_BALL_RADIUS = 14.0


@dataclass(frozen=True)
class Site:
    """Where pixels lie. across, down: (n,) millimetres on the map of heads.

    edge: half the width of a soft edge, millimetres. lamp: x, y of the direction to the light.
    """

    across: Floats
    down: Floats
    edge: float
    lamp: tuple[float, float]

    @property
    def out(self) -> Floats:
        """From the inner corner of an eye (-1) to the outer (1)."""
        return np.asarray((np.abs(self.across) - _MIDDLE) / HALF_WIDTH, np.float32)


@dataclass(frozen=True)
class Glance:
    """What is seen. colour: (n, 3). ball: (n,) 1 where the eyeball shows. glint: (n,).

    lean: (n, 2) what the eyeball's roundness adds to x and y of the normal.
    """

    colour: Floats
    ball: Floats
    glint: Floats
    lean: Floats


def draw(person: Person, expression: Expression, skin: Floats, site: Site) -> Glance:
    """Draw both eyes over skin, (n, 3) linear reflectance."""
    upper, lower = _lids(person, expression, site.out)
    seen = smooth(-site.edge, site.edge, site.down - upper)
    seen = seen * smooth(-site.edge, site.edge, lower - site.down)
    seen = seen * smooth(1.04, 0.97, np.abs(site.out))
    ball, glint, lean = _ball(person, expression, site, upper)
    tone = _fold(person, expression, skin, site, upper)
    tone = _lower_rim(tone, site, lower)
    tone = mix(tone, ball, seen)
    tone = _lashes(person, tone, site, upper, lower)
    return Glance(tone, seen, glint * seen * person.eyes.white, lean * seen[..., None])


def _lids(person: Person, expression: Expression, out: Floats) -> tuple[Floats, Floats]:
    """Return where the edges of the lids are, millimetres down."""
    eyes, round_ = person.eyes, 1 - out * out
    bend = np.clip(1 - np.abs(out - 0.25 * eyes.peak * round_) ** 2.1, 0, 1)
    upper = -eyes.upper * bend**0.95 + 1.2 * np.clip(-out, 0, 1) ** 3
    lower = eyes.lower * np.clip(1 - np.abs(out - 0.12 * round_) ** 2.0, 0, 1)
    lower = lower - 1.3 * expression.smile * np.clip(round_, 0, 1)
    close = np.float32(min(1.0, expression.closed + 0.12 * expression.smile))
    upper = upper + (lower + 0.4 - upper) * close
    return upper.astype(np.float32), lower.astype(np.float32)


def _ball(
    person: Person, expression: Expression, site: Site, upper: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return the eyeball's colour, the lamp's glint on it, and the lean of its surface."""
    eyes, edge = person.eyes, site.edge
    beside = np.abs(site.across) - _MIDDLE
    x = beside * np.sign(site.across) - expression.gaze[0]
    y = site.down + 0.2 - expression.gaze[1]
    far = np.hypot(x, y)
    corner = np.clip(np.abs(beside) / HALF_WIDTH, 0, 1)[..., None]
    white = colour((0.44, 0.45, 0.48)) * eyes.white
    ball: Floats = white * (1 - 0.42 * corner**2 * colour((1.25, 1.2, 0.75)))
    ball = mix(ball, colour((0.17, 0.17, 0.38)), 0.8 * smooth(-11.0, -14.0, beside))
    spokes = 1 + 0.22 * np.sin(np.arctan2(y, x) * 23 + person.seed % 7)
    ring = 1.25 - 0.95 * smooth(0.6 * _IRIS, _IRIS, far)
    iris = colour(eyes.iris) * (0.62 * spokes * ring)[..., None]
    ball = mix(ball, iris.astype(np.float32), smooth(_IRIS + edge, _IRIS - edge, far))
    ball = mix(ball, colour((0.006,) * 3), smooth(_PUPIL + edge, _PUPIL - edge, far))
    shade = 0.34 + 0.66 * smooth(-0.5, 5.0, site.down - upper)
    ball = ball * (shade[..., None] * (1 - 0.22 * corner**2))
    glint = ridge(x - 2.6 * site.lamp[0], 0.75) * ridge(y - 2.6 * site.lamp[1], 0.75)
    lean = np.stack([x, y], axis=-1) / _BALL_RADIUS
    return ball.astype(np.float32), glint, lean.astype(np.float32)


def _fold(
    person: Person, expression: Expression, skin: Floats, site: Site, upper: Floats
) -> Floats:
    """Darken the fold above the upper lid, and the lid below it where it is painted."""
    eyes, out = person.eyes, site.out
    if eyes.fold <= 0:
        return skin
    near = smooth(1.25, 0.9, np.abs(out))
    crease = upper - eyes.fold * (0.55 + 0.45 * (1 - out * out)) * (1 - 0.5 * expression.closed)
    line = 0.5 * ridge(site.down - crease, 0.75 + site.edge) * near
    lid = smooth(-0.5, 0.5, site.down - crease) * smooth(0.8, -0.2, site.down - upper) * near
    paint = 0.14 + 0.3 * eyes.lashes * max(0.0, eyes.lashes - 0.5)
    dark = (1 - line * (1 - 0.6 * expression.closed)) * (1 - paint * lid)
    return np.asarray(skin * dark[..., None], np.float32)


def _lower_rim(skin: Floats, site: Site, lower: Floats) -> Floats:
    near = smooth(1.25, 0.9, np.abs(site.out))
    rim = 0.35 * ridge(site.down - lower - 0.7, 0.6 + site.edge) * near
    return mix(skin, skin * colour((1.05, 0.98, 1.12)), rim)


def _lashes(person: Person, tone: Floats, site: Site, upper: Floats, lower: Floats) -> Floats:
    lash = np.minimum(colour(person.brows.tone) * np.float32(0.35), np.float32(0.02))
    strength, out = person.eyes.lashes, site.out
    span = smooth(1.12, 0.93, np.abs(out))
    thick = 0.85 + 0.6 * strength * (1 + 0.5 * out) + 0.3 * site.edge
    above = np.exp(-0.5 * ((site.down - upper + 0.25) / thick) ** 2) * span
    tone = mix(tone, lash, np.clip((0.72 + 0.28 * strength) * above, 0, 1))
    below = ridge(site.down - lower - 0.15, 0.4 + 0.3 * site.edge) * span * smooth(-0.9, 0.2, out)
    return mix(tone, lash, np.clip((0.15 + 0.4 * strength) * below, 0, 1))
