"""One person in one picture, with the truth about it."""

from dataclasses import dataclass

import numpy as np

from device.capture.frame import Pixels
from tools.lab.people.backdrop import backdrop
from tools.lab.people.camera import develop
from tools.lab.people.fields import Floats, shrink
from tools.lab.people.paint import PUPILS_MM, Canvas, paint
from tools.lab.people.person import Person
from tools.lab.people.view import View

SUPERSAMPLING = 2
_LEAST, _MOST = 16, 2048


@dataclass(frozen=True)
class Rendered:
    """A picture and what is true of it.

    image: (h, w, 3) uint8 BGR. box: x, y, width, height of the face. landmarks: (5, 2) float32 in
    the order of `device.vision.geometry`. identity: the person's seed.
    """

    image: Pixels
    box: tuple[float, float, float, float]
    landmarks: Floats
    identity: int


def render(person: Person, view: View, size: int = 160) -> Rendered:
    """Render a square picture of a person, head and shoulders.

    size: pixels per side, 16 to 2,048. Raises ValueError outside. Deterministic.
    """
    if not _LEAST <= size <= _MOST:
        msg = f"A picture has {_LEAST} to {_MOST} pixels per side, not {size}."
        raise ValueError(msg)
    side = size * SUPERSAMPLING
    rng = np.random.default_rng([view.seed, person.seed, 7])
    middle = (view.centre[0] * side, view.centre[1] * side)
    painting = paint(person, view, Canvas((side, side), middle, view.scale * side / PUPILS_MM))
    behind = backdrop(view.backdrop, (size, size), rng)
    light, alpha = (shrink(p, (size, size)) for p in (painting.light, painting.alpha))
    strength = view.light.ambient + 0.6 * view.light.key
    light = light + behind * (strength * (1 - alpha))[..., None]
    image = develop(np.asarray(light, np.float32), view.camera, rng)
    x, y, wide, high = (value / SUPERSAMPLING for value in painting.box)
    landmarks = (painting.landmarks / SUPERSAMPLING).astype(np.float32)
    return Rendered(image, (x, y, wide, high), landmarks, person.seed)
