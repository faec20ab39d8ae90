"""The loop of every peer with networks: all faces of all frames, detected, embedded, compared."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from device.capture.frame import Pixels
from device.errors import StorageError
from device.opencv import cv2
from device.vision.detector import LANDMARKS, SCORE
from device.vision.geometry import Alignment, similarity, template_points
from device.vision.inference import Floats
from tools.lab.bench.contestant import FrameResult, Score, View
from tools.lab.bench.peers.yunet import decode

THRESHOLD: Final = 0.7
"""Lowest score of a detection, the same for all."""
DETECTOR_SIZE: Final = (384, 640)
"""Height and width of the detector's input: the small stream of 640 x 360, up to the next 32."""

Detect = Callable[[Pixels, int], Floats]
"""A picture, and the width of the picture whose pixels are wanted -> (n, 15) rows."""
Embed = Callable[[Pixels, Floats], Floats]
"""A picture and landmarks (5, 2) in it -> a template of unit length; raises ValueError."""


class Runtime(Protocol):
    """A network in a peer's runtime. size: height and width of its input."""

    size: tuple[int, int]

    def run(self, image: Pixels) -> list[Floats]:
        """Run on (height, width, 3) uint8 BGR; return the outputs as float32 with a leading 1."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a loop is made of. versions: see `Contestant`."""

    detect: Detect
    embed: Embed
    versions: dict[str, str]


class EveryFrame:
    """Detects on the small stream, cuts every face out of the main one, compares it with all."""

    wants = frozenset({"main_bgr", "lores_bgr"})
    stride = 1
    """It is shown every frame."""

    def __init__(self, name: str, parts: Parts) -> None:
        self.name = name
        self._parts = parts
        self._templates = Templates()

    def versions(self) -> dict[str, str]:
        """See `Contestant`."""
        return self._parts.versions

    def enrol(self, stills: list[Path]) -> list[str]:
        """See `Contestant`."""
        self._templates = Templates()
        for still in stills:
            picture = picture_of(still)
            rows = self._parts.detect(picture, picture.shape[1])
            if len(rows):
                largest = rows[int((rows[:, 2] * rows[:, 3]).argmax())]
                self._templates.add(still.stem, self._parts.embed(picture, points_of(largest)))
        return self._templates.ids

    def begin(self) -> None:
        """Do nothing: no frame knows of another."""

    def frame(self, view: View, seconds: float) -> FrameResult:
        """See `Contestant`."""
        del seconds
        main, lores = given(view.main_bgr), given(view.lores_bgr)
        rows = self._parts.detect(lores, main.shape[1])
        best = []
        for row in rows:
            try:
                best += self._templates.nearest(self._parts.embed(main, points_of(row)))
            except ValueError:
                continue
        return FrameResult(faces=len(rows), embedded=len(best), best=best)


class Templates:
    """References of unit length, compared by cosine."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._rows: list[Floats] = []
        self._all = np.empty((0, 0), np.float32)

    def add(self, reference: str, template: Floats) -> None:
        """Take in a template, (n,) float32 of unit length."""
        self.ids.append(reference)
        self._rows.append(template.copy())
        self._all = np.stack(self._rows)

    def nearest(self, template: Floats) -> list[Score]:
        """Return the reference that is most alike with its cosine; nothing without references."""
        if not self.ids:
            return []
        scores = self._all @ template
        index = int(scores.argmax())
        return [(self.ids[index], float(scores[index]))]


class Fitted:
    """A detector that takes one size: pictures are fitted into its top left corner."""

    def __init__(self, size: tuple[int, int], detect: Callable[[Pixels], Floats]) -> None:
        """size: height and width. detect: finds faces in a picture of that size, (n, 15) rows."""
        self._canvas = np.zeros((*size, 3), np.uint8)
        self._detect = detect

    def __call__(self, picture: Pixels, width: int) -> Floats:
        """See `Detect`."""
        (high, wide), (height, across) = self._canvas.shape[:2], picture.shape[:2]
        scale = min(high / height, wide / across)
        if scale != 1:
            size = (round(across * scale), round(height * scale))
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        self._canvas[picture.shape[0] :] = 0
        self._canvas[:, picture.shape[1] :] = 0
        self._canvas[: picture.shape[0], : picture.shape[1]] = picture
        rows = self._detect(self._canvas)
        rows[:, :SCORE] *= width / (across * scale)
        return rows


def yunet(network: Runtime) -> Detect:
    """Detect with a network that has YuNet's outputs."""
    size = network.size
    return Fitted(size, lambda picture: decode(network.run(picture), size, THRESHOLD))


def embedder(network: Runtime, alignment: Alignment) -> Embed:
    """Embed with a network of one output."""
    side = network.size[0]
    target = template_points(side, alignment)

    def embed(picture: Pixels, points: Floats) -> Floats:
        move = similarity(points, target)
        crop = cv2.warpAffine(picture, move, (side, side), flags=cv2.INTER_CUBIC)
        features = network.run(np.asarray(crop, np.uint8))[0].reshape(-1)
        return np.asarray(features / np.linalg.norm(features), np.float32)

    return embed


def points_of(row: Floats) -> Floats:
    """Return the landmarks of a detection, (5, 2)."""
    return row[LANDMARKS].reshape(5, 2)


def picture_of(still: Path) -> Pixels:
    """Read a photograph, (h, w, 3) uint8 BGR with even sides. Raises StorageError."""
    picture = cv2.imread(str(still), cv2.IMREAD_COLOR)
    if picture is None:
        raise StorageError(f"{still} is no picture that can be read.")
    height, width = picture.shape[:2]
    return np.ascontiguousarray(picture[: height // 2 * 2, : width // 2 * 2], np.uint8)


def given(pixels: Pixels | None) -> Pixels:
    """Return a stream that the contestant asked for."""
    if pixels is None:
        raise TypeError("The worker gives every stream that a contestant wants.")
    return pixels


def short_hash(data: bytes) -> str:
    """Return the start of the SHA-256 of a model."""
    return hashlib.sha256(data).hexdigest()[:16]
