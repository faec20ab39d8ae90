"""Each step alone: CPU milliseconds per call, interleaved, one figure per repeat."""

from collections.abc import Callable
from typing import Final

import numpy as np

from device.capture import Picture
from device.capture.frame import PixelFormat
from device.opencv import cv2
from device.vision import Eye
from device.vision.geometry import template_points
from device.vision.motion import MotionGate
from tools.lab.people import Person, scene
from tools.lab.turns import in_turns, milliseconds

REPEATS: Final = 7
_CALLS: Final = 15
_MAIN, _LORES = (2304, 1296), (640, 360)
_PERSON: Final = 910_000
_FACE_PX: Final = 200


def steps(eyes: dict[str, Eye], repeats: int = REPEATS) -> dict[str, list[float]]:
    """Return CPU milliseconds per call of each step of each eye.

    eyes: by what tells their steps apart ("operational", "built-in"). The picture shows one
    rendered person on a street, as a Pi's camera gives it: I420, main 2304 x 1296 and small
    640 x 360.
    """
    calls = _calls(eyes)
    for call in calls.values():
        call()
    return milliseconds(in_turns(calls, repeats, _CALLS))


def _calls(eyes: dict[str, Eye]) -> dict[str, Callable[[], object]]:
    main, lores = _pictures()
    gate = MotionGate(0.002)
    landmarks = template_points(_FACE_PX) + np.float32(_FACE_PX)
    calls: dict[str, Callable[[], object]] = {"motion gate": lambda: gate.moved(lores)}
    for name, eye in eyes.items():
        calls |= _of_an_eye(name, eye, main, lores, landmarks)
    return calls


def _of_an_eye(
    name: str, eye: Eye, main: Picture, lores: Picture, landmarks: np.ndarray
) -> dict[str, Callable[[], object]]:
    sample = eye.aligner.align(main, landmarks)
    calls: dict[str, Callable[[], object]] = {
        f"detect, {eye.detector_entry.name}": lambda: eye.detector.detect(lores, main.width),
        f"align, {name}": lambda: eye.aligner.align(main, landmarks),
        f"embed, {eye.embedder_entry.name}": lambda: eye.embedder.embed(sample),
        f"wipe the networks, {name}": eye.wipe,
    }
    second_look = eye.second_look
    if second_look is not None:
        calls[f"second look, {name}"] = lambda: second_look(main, landmarks)
    return calls


def _pictures() -> tuple[Picture, Picture]:
    image = scene([Person.from_seed(_PERSON)], 3, (1280, 720)).image
    pictures = []
    for size in (_MAIN, _LORES):
        scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2YUV_I420), np.uint8)
        pictures.append(Picture(pixels, *size, PixelFormat.I420))
    return pictures[0], pictures[1]
