"""Endless scenes for the detector's training: faces of nobody and of volunteers, put together anew.

In: aligned face crops with their boxes and landmarks. Out: a picture, the faces that stand in it,
and the regions in which only a teacher can say whether there is a face. The same generator state
gives the same scene, to the last bit.
"""

from dataclasses import dataclass, field

import numpy as np

from device.capture.frame import Pixels
from device.vision.inference import Floats
from tools.lab.train import scenes_background, scenes_camera, scenes_dress
from tools.lab.train.scenes_paste import Canvas, Crop, FaceLook, between, chance, paste_face


@dataclass(frozen=True, slots=True)
class PlacedFace:
    """A face of a scene. box: x, y, width, height; landmarks: (5, 2); both in pixels.

    clarity: the share of the face that is visible, in [0, 1]. plain: true when nothing but the
    camera stands between the viewer and the face (no mask, no sunglasses, no hand).
    """

    box: Floats
    landmarks: Floats
    clarity: float
    plain: bool


@dataclass(slots=True)
class Scene:
    """A composed picture and what is known about it. doubtful: (n, 4) boxes x, y, width, height."""

    pixels: Pixels
    faces: list[PlacedFace] = field(default_factory=list)
    doubtful: Floats = field(default_factory=lambda: np.empty((0, 4), np.float32))


class Composer:
    """Composes scenes of one size from a stock of crops."""

    def __init__(self, crops: list[Crop], height: int, width: int) -> None:
        self._crops = crops
        self._height, self._width = height, width

    def compose(self, rng: np.random.Generator) -> Scene:
        """Return one scene; everything in it is drawn from `rng`."""
        canvas = Canvas(scenes_background.draw(rng, self._height, self._width, self._crops))
        doubtful = scenes_dress.decoys(rng, canvas, self._crops)
        looks = [self._person(rng, canvas, size) for size in self._sizes(rng)]
        if chance(rng, 0.1):
            scenes_dress.foreground(rng, canvas)
        bottom, right = scenes_camera.frame(rng, self._height, self._width)
        canvas.owners[bottom:] = 0
        canvas.owners[:, right:] = 0
        faces = [
            PlacedFace(look.box, look.landmarks, canvas.visible(look), look.plain) for look in looks
        ]
        pixels = scenes_camera.photograph(rng, canvas.pixels)
        pixels[bottom:] = 0
        pixels[:, right:] = 0
        return Scene(pixels, faces, doubtful)

    def _sizes(self, rng: np.random.Generator) -> list[float]:
        """Return the widths in pixels of the faces to draw, far ones first."""
        nobody, one, crowd = 0.05, 0.38, 0.60
        kind = rng.random()
        if kind < nobody:
            return []
        if kind < one:
            # Near faces are few cells' business, so they are shown more often than they are met.
            least = 24 if chance(rng, 0.4) else 75
            return [between(rng, least, 0.95 * min(self._width, self._height))]
        if kind < crowd:
            typical = between(rng, 9, 34)
            spread = rng.uniform(0.7, 1.4, int(rng.integers(4, 10)))
            return [float(size) for size in np.sort(typical * spread)]
        return sorted(between(rng, 8, 0.4 * self._width) for _ in range(int(rng.integers(2, 6))))

    def _person(self, rng: np.random.Generator, canvas: Canvas, width: float) -> FaceLook:
        crop = self._any(rng)
        other = self._any(rng) if chance(rng, 0.3) else None
        centre = (_place(rng, self._width, width), _place(rng, self._height, width))
        look = FaceLook.drawn(rng, crop, other, centre, width)
        if chance(rng, 0.75):
            scenes_dress.body(rng, canvas, look)
        paste_face(rng, canvas, look)
        scenes_dress.accessories(rng, canvas, look)
        return look

    def _any(self, rng: np.random.Generator) -> Crop:
        return self._crops[int(rng.integers(len(self._crops)))]


def _place(rng: np.random.Generator, room: int, width: float) -> float:
    """Return where a face of this width stands along one side: near ones about the middle."""
    if 3 * width > room:
        return float(rng.normal(room / 2, room / 8))
    # Some are cut off by the edge of the picture.
    edge = 0.2 * width if chance(rng, 0.15) else 0.6 * width
    return float(rng.uniform(edge, room - edge))
