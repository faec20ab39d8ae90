"""Several people in one picture, near ones before far ones, with the truth about each face."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.capture.frame import Pixels
from tools.lab.people.backdrop import backdrop
from tools.lab.people.camera import develop, smear
from tools.lab.people.fields import Floats, Rng, shrink
from tools.lab.people.paint import PUPILS_MM, Canvas, Painting, paint
from tools.lab.people.person import Person
from tools.lab.people.rendered import SUPERSAMPLING
from tools.lab.people.truth import Box
from tools.lab.people.view import Camera, Light, View

_SIDE_MM, _ABOVE_MM, _BELOW_MM = 340.0, 260.0, 1720.0
"""How far a person reaches from the middle of the face."""
_LEAST, _MOST = 32, 4096


@dataclass(frozen=True)
class Walker:
    """Somebody in a scene. middle: of the face, pixels. eyes_px: between the eyes, if frontal.

    motion: smear of this person along x and y, pixels.
    """

    person: Person
    view: View
    middle: tuple[float, float]
    eyes_px: float
    motion: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Face:
    """What is true of a face in a scene, in pixels.

    box: x, y, width, height. landmarks: (5, 2) float32. visible: share of the face's box that
    neither somebody nearer nor the picture's edge hides, in [0, 1].
    """

    identity: int
    box: Box
    landmarks: npt.NDArray[np.float32]
    visible: float
    yaw: float


@dataclass(frozen=True)
class Scene:
    """image: (h, w, 3) uint8 BGR. faces: nearest last. seconds: into the sequence."""

    image: Pixels
    faces: tuple[Face, ...]
    seconds: float = 0.0


@dataclass(frozen=True)
class Stage:
    """Where people walk. behind: (h, w, 3) linear light of what stands there, lit by `light`."""

    behind: Floats
    light: Light
    camera: Camera

    @classmethod
    def random(cls, rng: Rng, size: tuple[int, int], kind: str = "any") -> "Stage":
        """Return a stage. size: width and height. Raises ValueError for an impossible one."""
        if not all(_LEAST <= side <= _MOST for side in size):
            msg = f"A scene has {_LEAST} to {_MOST} pixels per side, not {size[0]} x {size[1]}."
            raise ValueError(msg)
        light = Light(
            azimuth=float(rng.uniform(-60, 60)),
            elevation=float(rng.uniform(20, 60)),
            key=float(rng.uniform(0.4, 0.8)),
            ambient=float(rng.uniform(0.4, 0.6)),
        )
        camera = Camera(noise=float(rng.uniform(0.004, 0.012)))
        return cls(backdrop(kind, size, rng), light, camera)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.behind.shape[1], self.behind.shape[0]


def compose(stage: Stage, walkers: list[Walker], rng: Rng, seconds: float = 0.0) -> Scene:
    """Render people on a stage. rng: draws the camera's noise."""
    light = stage.behind * np.float32(stage.light.ambient + 0.6 * stage.light.key)
    owner = np.full(light.shape[:2], -1, np.int16)
    ordered = sorted(walkers, key=lambda walker: walker.eyes_px)
    seen = []
    for number, walker in enumerate(ordered):
        placed = _place(walker, stage, light, owner, number)
        if placed is not None:
            seen.append((number, placed))
    faces = tuple(_truth(ordered[n], n, painting, owner) for n, painting in seen)
    image = develop(np.asarray(light, np.float32), stage.camera, rng, blur_scale=1.0)
    return Scene(image, faces, seconds)


def scene(people: list[Person], seed: int, size: tuple[int, int] = (640, 480)) -> Scene:
    """Render people standing anywhere, near and far, in front of anything.

    size: width and height. Raises ValueError without people or for an impossible size.
    """
    if not people:
        msg = "A scene needs at least one person."
        raise ValueError(msg)
    rng = np.random.default_rng([seed, 17])
    stage = Stage.random(rng, size)
    wide, high = size
    walkers = []
    for number, person in enumerate(people):
        slot = (number + float(rng.uniform(0.3, 0.7))) / len(people)
        most = min(0.16 * high, 0.3 * wide / len(people))
        eyes_px = float(np.exp(rng.uniform(np.log(min(10.0, most)), np.log(most))))
        view = _standing(View.random(rng), stage.light)
        middle = (slot * wide, float(rng.uniform(0.25, 0.55)) * high)
        walkers.append(Walker(person, view, middle, eyes_px))
    return compose(stage, walkers, rng)


def _standing(view: View, light: Light) -> View:
    return View(
        pose=view.pose, expression=view.expression, light=light, glasses=view.glasses, stride=0.0
    )


def _place(
    walker: Walker, stage: Stage, light: Floats, owner: npt.NDArray[np.int16], number: int
) -> Painting | None:
    """Paint a walker into the light, in place; return the truth, None when outside the picture."""
    scale = walker.eyes_px / PUPILS_MM
    window = _window(walker.middle, scale, stage.size)
    if window is None:
        return None
    x, y, wide, high = window
    middle = ((walker.middle[0] - x) * SUPERSAMPLING, (walker.middle[1] - y) * SUPERSAMPLING)
    size = (wide * SUPERSAMPLING, high * SUPERSAMPLING)
    painting = paint(walker.person, walker.view, Canvas(size, middle, scale * SUPERSAMPLING))
    both = shrink(np.dstack([painting.light, painting.alpha]), (high, wide))
    both = smear(both, *walker.motion)
    area = (slice(y, y + high), slice(x, x + wide))
    alpha = both[..., 3:]
    light[area] = both[..., :3] + light[area] * (1 - alpha)
    owner[area][alpha[..., 0] > 0.5] = number  # noqa: PLR2004 - mostly this person
    left, top, box_wide, box_high = (value / SUPERSAMPLING for value in painting.box)
    landmarks = painting.landmarks / SUPERSAMPLING + np.array([x, y])
    return Painting(light, alpha, landmarks, (left + x, top + y, box_wide, box_high))


def _window(
    middle: tuple[float, float], scale: float, size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Return the part of the picture that a person can reach: x, y, width, height."""
    left = max(0, int(middle[0] - _SIDE_MM * scale))
    right = min(size[0], int(middle[0] + _SIDE_MM * scale) + 1)
    top = max(0, int(middle[1] - _ABOVE_MM * scale))
    bottom = min(size[1], int(middle[1] + _BELOW_MM * scale) + 1)
    if right - left < 1 or bottom - top < 1:
        return None
    return left, top, right - left, bottom - top


def _truth(walker: Walker, number: int, painting: Painting, owner: npt.NDArray[np.int16]) -> Face:
    x, y, wide, high = painting.box
    rows = slice(max(0, round(y)), max(0, round(y + high)))
    columns = slice(max(0, round(x)), max(0, round(x + wide)))
    mine = int((owner[rows, columns] == number).sum())
    # A face fills about this share of its box.
    visible = min(1.0, mine / max(1.0, 0.85 * wide * high))
    landmarks = painting.landmarks.astype(np.float32)
    return Face(walker.person.seed, painting.box, landmarks, visible, walker.view.pose.yaw)
