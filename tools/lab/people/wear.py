"""Glasses: lines in space, drawn over the finished head where the head does not hide them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.opencv import cv2
from tools.lab.people.fields import Floats, colour, mix
from tools.lab.people.person import Person

_HALF_EYES = 33.5
# Half width, half height and squareness of a lens.
_LENSES = {
    "round": (22.0, 20.0, 2.2),
    "square": (25.5, 17.0, 4.5),
    "wide": (27.0, 21.0, 3.0),
    "rimless": (24.5, 15.5, 3.2),
}
_ARM_MM = 2.0
_RIMLESS_MM = 0.5
_HIDDEN_BY_MM = 4.0
_STEPS = 4


def lenses(person: Person) -> list[Floats]:
    """Return the outlines of both lenses on the head's axes, (n, 3) millimetres."""
    wide, high, power = _LENSES[person.wear.glasses]
    turn = np.linspace(0, 2 * np.pi, 48, dtype=np.float32)
    x, y = (_squared(wave(turn), power) for wave in (np.cos, np.sin))
    made = []
    for side in (-1, 1):
        across = side * _HALF_EYES + wide * x
        depth = 19.0 - 0.0042 * across**2
        made.append(np.stack([across, high * y + 3, depth], axis=1).astype(np.float32))
    return made


def _squared(wave: Floats, power: float) -> Floats:
    return np.asarray(np.sign(wave) * np.abs(wave) ** (2 / power), np.float32)


def bridge_and_arms(person: Person) -> list[Floats]:
    """Return bridge, right and left arm on the head's axes, (n, 3) millimetres each."""
    wide, _, _ = _LENSES[person.wear.glasses]
    t = np.linspace(-1, 1, 9, dtype=np.float32)
    bridge = np.stack([(_HALF_EYES - wide) * t, -3 - 2 * (1 - t * t), 19 + 0 * t], axis=1)
    s = np.linspace(0, 1, 40, dtype=np.float32)[:, None]
    start, end = np.array([_HALF_EYES + wide, -6, 10]), np.array([78.0, -2, -92])
    arm = start + (end - start) * s
    arm[:, :1] += 6 * np.sin(np.pi * s)
    arms = [(arm * [side, 1, 1]).astype(np.float32) for side in (-1, 1)]
    return [bridge.astype(np.float32), *arms]


@dataclass(frozen=True)
class Outline:
    """Glasses in a picture: lines (n, 3), x and y in pixels, z in millimetres.

    rims: round the two lenses. others: bridge and arms.
    """

    rims: list[Floats]
    others: list[Floats]
    pixels_per_mm: float


def put_on(person: Person, outline: Outline, picture: Floats, depth: Floats) -> Floats:
    """Draw glasses over a picture, (h, w, 3) linear light.

    depth: (h, w) millimetres towards the camera, of what is in the picture.
    """
    wear = person.wear
    glass, frame = (np.zeros(depth.shape, np.uint8) for _ in range(2))
    rim = _RIMLESS_MM if wear.glasses == "rimless" else wear.rim
    for line in outline.rims:
        cv2.fillPoly(glass, [np.rint(line[:, :2]).astype(np.int32)], 255, cv2.LINE_AA)
        _stroke(frame, line, depth, max(1, round(rim * outline.pixels_per_mm)))
    for line in outline.others:
        _stroke(frame, line, depth, max(1, round(_ARM_MM * outline.pixels_per_mm)))
    picture = mix(picture, colour((0.02,) * 3), glass.astype(np.float32) / 255 * wear.tint)
    return mix(picture, colour(wear.frame) * np.float32(0.8), frame.astype(np.float32) / 255)


def _stroke(frame: npt.NDArray[np.uint8], line: Floats, depth: Floats, width: int) -> None:
    """Draw the pieces of a line that the head does not hide."""
    height, across = depth.shape
    cells = np.rint(line[:, :2]).astype(np.int64)
    inside = ((cells >= 0) & (cells < [across, height])).all(axis=1)
    cells = np.clip(cells, 0, [across - 1, height - 1])
    free = inside & (depth[cells[:, 1], cells[:, 0]] <= line[:, 2] + _HIDDEN_BY_MM)
    ends = np.rint(line[:, :2] * 2**_STEPS).astype(np.int32)
    for index in np.flatnonzero(free[:-1]):
        piece = [ends[index : index + 2]]
        cv2.polylines(frame, piece, False, 255, width, cv2.LINE_AA, _STEPS)
