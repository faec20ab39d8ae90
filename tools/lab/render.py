"""`passerby-lab render`: a data set of people who do not exist, to evaluate without any real face.

Everybody enrolled has a frontal picture, and probes under one condition each; strangers have one
probe; walls and streets without people, and groups with boxes, complete it. The manifest is written
last, so that a run that was stopped leaves none.
"""

import argparse
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.progress import track

from device.capture.frame import Pixels
from device.errors import ConfigurationError, StorageError
from device.files import write_atomically
from device.opencv import cv2
from tools.console import console, notes
from tools.lab.manifest import MANIFEST
from tools.lab.people import Camera, Expression, Light, Person, Pose, View, render, scene
from tools.lab.people.backdrop import KINDS, backdrop
from tools.lab.people.camera import develop
from tools.lab.people.pool import TRAINED_ON

_SIDE = 240
_GROUP_SIZE = (640, 480)
_PEOPLE_IN_GROUP = 3
_PEOPLE, _STRANGERS = (1, 5000), (1, 50_000)
_COLUMNS = ("file", "identity", "role", "source_set", "subset", "licence_class", "notes")
_BOX_COLUMNS = ("file", "x", "y", "w", "h", "annotation_source")


def _calm(rng: np.random.Generator) -> View:
    """Return a view of somebody who walks towards the camera on an ordinary day."""
    street = View.random(rng)
    yaw, pitch = float(np.clip(rng.normal(0, 7), -15, 15)), float(np.clip(rng.normal(0, 4), -8, 8))
    light = replace(street.light, azimuth=street.light.azimuth / 2, ambient=0.5)
    camera = Camera(noise=0.012, jpeg=85, distance=street.camera.distance)
    return replace(street, pose=Pose(yaw=yaw, pitch=pitch), light=light, camera=camera)


def _views(rng: np.random.Generator) -> dict[str, View]:
    """Return a view of each condition, of which all but one differ from a calm one in one thing."""
    calm = _calm(rng)
    side = float(rng.choice([-1, 1]))
    return {
        "calm": calm,
        "smiling": replace(calm, expression=Expression(smile=1.0, mouth=0.3)),
        "turned": replace(calm, pose=Pose(yaw=side * float(rng.uniform(20, 32)))),
        "side_light": replace(calm, light=Light(azimuth=side * 75, elevation=15, ambient=0.25)),
        "small": replace(calm, camera=Camera(detail=0.35, noise=0.02, jpeg=60)),
        "street": View.random(rng),
    }


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the manifest, and its picture."""

    file: str
    identity: str
    role: str
    subset: str
    pixels: Pixels


def run(options: argparse.Namespace) -> int:
    """Draw the data set. Raises ConfigurationError, StorageError when the folder holds one."""
    for name, (least, most) in {"people": _PEOPLE, "strangers": _STRANGERS}.items():
        if not least <= getattr(options, name) <= most:
            raise ConfigurationError(f"--{name} takes a number from {least} to {most:,}.")
    out: Path = options.out
    if (out / MANIFEST).exists():
        raise StorageError(f"{out} holds a data set already: name another folder.")
    total = options.people * (1 + len(_views(np.random.default_rng(0)))) + options.strangers
    portraits = _portraits(options.people, options.strangers, options.seed)
    hidden = not notes.is_terminal
    shown = track(portraits, "drawing", total=total, console=notes, transient=True, disable=hidden)
    rows = [_kept(out, line) for line in shown]
    rows += [_kept(out, line) for line in _empty(options.strangers // 10 + 1, options.seed)]
    boxes: list[tuple[str, ...]] = []
    for line, found in _groups(options.people // 5 + 1, options.seed):
        rows.append(_kept(out, line))
        boxes += [(line.file, *(f"{value:.1f}" for value in box), "rendered") for box in found]
    write_atomically(out / "boxes.csv", _table(_BOX_COLUMNS, boxes), mode=0o644)
    write_atomically(out / MANIFEST, _table(_COLUMNS, rows), mode=0o644)
    console.print(f"{out / MANIFEST}: {len(rows):,} pictures of people who do not exist.")
    last = options.seed + options.people + options.strangers
    learnt = len(range(max(options.seed, TRAINED_ON.start), min(last, TRAINED_ON.stop)))
    if learnt:
        console.print(f"{learnt:,} of them taught the built-in embedder: its figures flatter.")
    return 0


def _portraits(people: int, strangers: int, seed: int) -> Iterator[_Line]:
    for number in range(people):
        person, name = Person.from_seed(seed + number), f"person-{number:05}"
        shot = render(person, View.frontal(person.seed), _SIDE)
        yield _Line(f"gallery/{name}.png", name, "gallery", "frontal", shot.image)
        for subset, view in _views(np.random.default_rng([seed + number, 23])).items():
            shot = render(person, view, _SIDE)
            yield _Line(f"probe/{name}-{subset}.png", name, "probe", subset, shot.image)
    for number in range(people, people + strangers):
        person, name = Person.from_seed(seed + number), f"person-{number:05}"
        views = _views(np.random.default_rng([seed + number, 23]))
        # Conditions by turns, so that strangers meet the same light and pose as everybody.
        view = list(views.values())[number % len(views)]
        shot = render(person, view, _SIDE)
        yield _Line(f"stranger/{name}.png", name, "probe", "stranger", shot.image)


def _empty(number: int, seed: int) -> Iterator[_Line]:
    for place in range(number):
        rng = np.random.default_rng([seed, place, 29])
        kind = KINDS[place % len(KINDS)]
        light = backdrop(kind, _GROUP_SIZE, rng) * np.float32(rng.uniform(0.5, 1))
        pixels = develop(light, Camera(noise=0.01), rng)
        yield _Line(f"negative/{place:05}.png", "", "negative", kind, pixels)


def _groups(
    number: int, seed: int
) -> Iterator[tuple[_Line, list[tuple[float, float, float, float]]]]:
    for place in range(number):
        first = seed + place * _PEOPLE_IN_GROUP
        people = [Person.from_seed(first + k) for k in range(_PEOPLE_IN_GROUP)]
        shown = scene(people, first, _GROUP_SIZE)
        line = _Line(f"group/{place:05}.png", "", "group", "scene", shown.image)
        yield line, [face.box for face in shown.faces]


def _kept(out: Path, line: _Line) -> tuple[str, ...]:
    """Write a picture; return its line of the manifest."""
    ok, encoded = cv2.imencode(".png", line.pixels)
    if not ok:
        raise StorageError(f"{out / line.file} could not be encoded.")
    write_atomically(out / line.file, encoded.tobytes(), mode=0o644)
    return line.file, line.identity, line.role, "rendered", line.subset, "S", "rendered"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()
