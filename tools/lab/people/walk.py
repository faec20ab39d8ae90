"""Sequences: people come walking down a street, past the camera, and are gone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tools.lab.people.fields import Rng
from tools.lab.people.paint import PUPILS_MM
from tools.lab.people.person import Person
from tools.lab.people.scene import Scene, Stage, Walker, compose
from tools.lab.people.view import Camera, Expression, Light, Pose, View

_FAR_MM, _NEAR_MM = 4600.0, 750.0
_SPEED_MM_S = 1250.0
_STEPS_S = 1.8
"""Steps per second."""
_SHUTTER_S = 1 / 60
_MOST_SMEAR_PX = 6.0


@dataclass(frozen=True)
class Street:
    """How a sequence is seen.

    size: width and height in pixels. rate: frames per second. focal_px: the lens; 1.4 times the
    width sees 39 degrees. gap_s: between one person and the next.
    """

    size: tuple[int, int] = (640, 480)
    rate: float = 10.0
    focal_px: float = 900.0
    gap_s: float = 4.0
    backdrop: str = "street"


@dataclass(frozen=True)
class _Path:
    """One person's way. aside: millimetres from the camera's axis, far and near."""

    person: Person
    start_s: float
    aside: tuple[float, float]
    below_mm: float
    phase: float
    sway: float
    turned: float
    smile: float

    def distance(self, seconds: float) -> float:
        return _FAR_MM - _SPEED_MM_S * (seconds - self.start_s)

    @property
    def end_s(self) -> float:
        return self.start_s + (_FAR_MM - _NEAR_MM) / _SPEED_MM_S


def walk_past(people: list[Person], seed: int, street: Street | None = None) -> Iterator[Scene]:
    """Yield the frames of people who walk past, one after the other; the same for the same seed.

    Each comes from 4.6 m and leaves beside the camera. Before the first and after the last the
    street is empty for half a second. Raises ValueError for an impossible street.
    """
    street = street or Street()
    if street.rate <= 0 or street.focal_px <= 0 or street.gap_s < 0:
        msg = "A street needs a positive rate and focal length, and no negative gap."
        raise ValueError(msg)
    rng = np.random.default_rng([seed, 23])
    stage = Stage.random(rng, street.size, street.backdrop)
    paths = [
        _path(person, 0.5 + number * street.gap_s, rng) for number, person in enumerate(people)
    ]
    last = max((path.end_s for path in paths), default=0.0) + 0.5
    return _frames(
        paths, stage, street, np.random.default_rng([seed, 29]), round(last * street.rate)
    )


def _frames(
    paths: list[_Path], stage: Stage, street: Street, rng: Rng, number: int
) -> Iterator[Scene]:
    for frame in range(number):
        seconds = frame / street.rate
        present = [path for path in paths if path.start_s <= seconds < path.end_s]
        walkers = [_walker(path, seconds, street, stage.light) for path in present]
        yield compose(stage, walkers, rng, seconds)


def _path(person: Person, start_s: float, rng: Rng) -> _Path:
    side = float(rng.choice([-1, 1]))
    return _Path(
        person,
        start_s,
        aside=(side * float(rng.uniform(0, 350)), side * float(rng.uniform(120, 260))),
        below_mm=float(rng.uniform(-120, 160)),
        phase=float(rng.uniform(0, 2 * np.pi)),
        sway=float(rng.uniform(3, 9)),
        turned=float(rng.uniform(-8, 8)),
        smile=float(rng.uniform(0, 0.4)),
    )


def _place(path: _Path, seconds: float, street: Street) -> tuple[float, float, float]:
    """Return x and y of the face's middle and the pixels per millimetre."""
    distance = path.distance(seconds)
    share = (_FAR_MM - distance) / (_FAR_MM - _NEAR_MM)
    scale = street.focal_px / distance
    aside = path.aside[0] + (path.aside[1] - path.aside[0]) * share
    bob = 18.0 * np.sin(2 * np.pi * _STEPS_S * seconds + path.phase)
    x = street.size[0] / 2 + scale * (aside + 12.0 * np.sin(np.pi * _STEPS_S * seconds))
    return float(x), float(0.45 * street.size[1] + scale * (path.below_mm + bob)), scale


def _walker(path: _Path, seconds: float, street: Street, light: Light) -> Walker:
    x, y, scale = _place(path, seconds, street)
    later_x, later_y, _ = _place(path, seconds + _SHUTTER_S, street)
    motion = (
        float(np.clip(later_x - x, -_MOST_SMEAR_PX, _MOST_SMEAR_PX)),
        float(np.clip(later_y - y, -_MOST_SMEAR_PX, _MOST_SMEAR_PX)),
    )
    steps = np.pi * _STEPS_S * seconds + path.phase
    pose = Pose(
        yaw=path.turned + path.sway * float(np.sin(0.8 * steps)),
        pitch=2 + 2 * float(np.sin(2 * steps)),
        roll=1.5 * float(np.sin(steps)),
    )
    blinks = (seconds * 0.4 + path.phase) % 1 < 0.04  # noqa: PLR2004 - a short blink now and then
    view = View(
        pose=pose,
        expression=Expression(smile=path.smile, closed=1.0 if blinks else 0.0),
        light=light,
        camera=Camera(distance=path.distance(seconds)),
        stride=float(np.sin(steps)),
    )
    return Walker(path.person, view, (x, y), PUPILS_MM * scale, motion)
