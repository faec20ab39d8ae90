"""`passerby-lab people`: a contact sheet to look at, and what a detector and an embedder see.

Rows are people, columns conditions. The figures need models; without them only the sheet is drawn.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from device.capture.frame import Picture, Pixels
from device.errors import ConfigurationError, ModelError, PictureError
from device.opencv import cv2
from device.settings import ModelSettings, VisionSettings
from device.vision import Catalogue, Eye, default_directory
from tools.console import console, notes
from tools.lab.people.person import Person
from tools.lab.people.rendered import Rendered, render
from tools.lab.people.source import write_stills
from tools.lab.people.view import Camera, Expression, Light, Pose, View
from tools.lab.people.walk import walk_past

SIDE = 160
CONDITIONS: dict[str, View] = {
    "frontal": View(),
    "turned left": View(pose=Pose(yaw=25)),
    "turned right": View(pose=Pose(yaw=-40)),
    "nodding": View(pose=Pose(pitch=15, roll=8)),
    "smiling": View(expression=Expression(smile=1.0, mouth=0.4)),
    "eyes closed": View(expression=Expression(closed=1.0)),
    "side light": View(light=Light(azimuth=75, elevation=15, ambient=0.25), backdrop="brick"),
    "from above": View(light=Light(azimuth=0, elevation=75, key=0.9), backdrop="foliage"),
    "small, noisy": View(
        camera=Camera(detail=0.3, noise=0.03, jpeg=50), glasses=False, backdrop="street"
    ),
}
_ROWS = 12
"""People on the sheet; the figures count all of them."""
_WALKERS = 6
"""People in the sequence."""


@dataclass(frozen=True)
class Figures:
    """What was measured. mated: each person's other conditions against the frontal picture.

    non_mated: the same pictures against everybody else's frontal picture. offsets: (n, 5, 2), where
    the detector puts landmarks less the truth, in distances between the eyes.
    """

    frontal: int
    detected: int
    mated: npt.NDArray[np.float32]
    non_mated: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.float32]


def run(options: argparse.Namespace) -> int:
    """Draw the sheet; print figures where there are models. Raises ConfigurationError."""
    if options.identities < 1:
        raise ConfigurationError("--identities must be at least 1.")
    people = [Person.from_seed(options.seed + number) for number in range(options.identities)]
    options.out.mkdir(parents=True, exist_ok=True)
    sheet = options.out / "people.png"
    if not cv2.imwrite(str(sheet), draw(people[:_ROWS])):
        raise PictureError(f"{sheet} could not be written.")
    console.print(f"{min(len(people), _ROWS)} people in {len(CONDITIONS)} conditions: {sheet}")
    if options.walk:
        street = walk_past(people[:_WALKERS], options.seed)
        pictures = write_stills(street, options.out / "walk")
        console.print(f"{pictures} frames of a street: {options.out / 'walk'}")
    try:
        eye = _eye(options.detector, options.embedder)
    except ModelError as error:
        console.print(f"no figures: {error}")
        return 0
    console.print("\n".join(lines(measure(people, eye))))
    return 0


def _eye(detector: str | None, embedder: str | None) -> Eye:
    usual = ModelSettings()
    models = ModelSettings(detector=detector or usual.detector, embedder=embedder or usual.embedder)
    return Eye.open(Catalogue.read(default_directory()), models, VisionSettings())


def draw(people: list[Person]) -> Pixels:
    """Return the sheet, (rows * 160, columns * 160, 3) uint8 BGR."""
    return np.vstack([np.hstack([shot.image for shot in _shots(person)]) for person in people])


def _shots(person: Person) -> Iterator[Rendered]:
    for view in CONDITIONS.values():
        yield render(person, replace(view, seed=person.seed), SIDE)


def measure(people: list[Person], eye: Eye) -> Figures:
    """Detect every frontal face, compare every picture with every frontal one."""
    width, height = eye.detector.input_size
    canvas = np.full((height, width, 3), 128, np.uint8)
    frontal, others, offsets = [], [], []
    with Progress(console=notes, transient=True) as progress:
        for person in progress.track(people, description="measuring"):
            shots = list(_shots(person))
            large = render(person, View.frontal(person.seed), 240)
            offset = _detected(eye, canvas, large)
            if offset is not None:
                offsets.append(offset)
            frontal.append(_template(eye, large))
            others.append([_template(eye, shot) for shot in shots[1:]])
    scores = np.einsum("ikd,jd->ikj", np.array(others), np.array(frontal))
    own = np.eye(len(people), dtype=bool)[:, None].repeat(scores.shape[1], axis=1)
    moved = np.array(offsets, np.float32).reshape(-1, 5, 2)
    return Figures(len(people), len(offsets), scores[own], scores[~own], moved)


def _detected(eye: Eye, canvas: Pixels, shot: Rendered) -> npt.NDArray[np.float32] | None:
    """Return how far the detector's landmarks are off, (5, 2) eye distances; None: no face."""
    canvas.fill(128)
    side = min(shot.image.shape[0], *canvas.shape[:2])
    canvas[:side, :side] = cv2.resize(shot.image, (side, side), interpolation=cv2.INTER_AREA)
    found = eye.detector.detect(Picture.of_bgr(canvas), canvas.shape[1])
    if not len(found):
        return None
    truth = shot.landmarks * (side / shot.image.shape[0])
    apart = float(np.linalg.norm(truth[1] - truth[0]))
    return np.asarray((found[0, 4:14].reshape(5, 2) - truth) / apart, np.float32)


def _template(eye: Eye, shot: Rendered) -> npt.NDArray[np.float32]:
    sample = eye.aligner.align(Picture.of_bgr(shot.image), shot.landmarks)
    template = eye.embedder.embed(sample).template.copy()
    sample.wipe()
    return template


def lines(figures: Figures) -> list[str]:
    """Return the figures in words."""
    mated, non_mated = figures.mated, figures.non_mated
    share = figures.detected / figures.frontal
    text = [f"frontal faces detected: {figures.detected} of {figures.frontal} ({share:.1%})"]
    if len(figures.offsets):
        off = np.linalg.norm(figures.offsets, axis=-1)
        text.append(
            f"landmarks: {np.median(off):.2f} eye distances off the truth (median of {off.size})"
        )
    text.append(f"mated scores:     {_spread(mated)}, {mated.size:,} comparisons")
    if non_mated.size:
        text.append(f"non-mated scores: {_spread(non_mated)}, {non_mated.size:,} comparisons")
    return text


def _spread(scores: npt.NDArray[np.float32]) -> str:
    low, middle, high = np.percentile(scores, [5, 50, 95])
    return f"median {middle:.2f} (5 % {low:.2f}, 95 % {high:.2f})"
