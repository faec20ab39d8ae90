"""Pictures to calibrate on and to measure with, made of faces that may be trained on.

The faces are those of a folder like ../shared/data/train: a `manifest.csv` and 160x160 crops in
which the ArcFace template of a 112x112 crop has a margin of 24 pixels. They are colour photographs
and generated pictures: calibration on greyscale alone costs accuracy. The same numbers give the
same pictures.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.errors import ConfigurationError
from device.opencv import cv2

Picture = npt.NDArray[np.uint8]
_MARGIN = 24
_CROP = 160
_TEMPLATE = 112
_SEED = 20260
_FACES_PER_SCENE = (1, 9)
_FACE_PX = (14, 0.45)
"""Smallest width of a pasted crop in pixels, and its largest part of the scene's height."""


@dataclass(frozen=True, slots=True)
class Faces:
    """The crops of one folder, by the set they are from; every other one is kept for measuring."""

    sets: tuple[tuple[Path, ...], ...]

    @classmethod
    def read(cls, folder: Path) -> "Faces":
        """Read the manifest. Raises ConfigurationError when there is none."""
        manifest = folder / "manifest.csv"
        try:
            with manifest.open(encoding="utf-8", newline="") as rows:
                sets: dict[str, list[Path]] = {}
                for row in csv.DictReader(rows):
                    sets.setdefault(row["source_set"], []).append(folder / row["file"])
            return cls(tuple(tuple(files) for files in sets.values()))
        except (OSError, KeyError) as error:
            raise ConfigurationError(
                f"{folder} holds no faces to calibrate on: it needs a manifest.csv with the "
                'columns "file" and "source_set" (--faces).'
            ) from error

    def some(self, count: int, *, measure: bool = False) -> list[Picture]:
        """Return up to `count` crops, of every set as many as there are; measure: the kept ones.

        They are in turn of one set and the next, and spread over each.
        """
        halves = [files[1::2] if measure else files[::2] for files in self.sets]
        turns = [_spread(half, count) for half in halves]
        mixed = [file for turn in zip_longest(*turns) for file in turn if file]
        return [_read(file) for file in mixed[:count]]


def _spread(files: tuple[Path, ...], count: int) -> list[Path]:
    """Return up to `count` files in an order that has all parts of the list early."""
    step = max(1, len(files) // count)
    chosen = files[::step][:count]
    return [chosen[index] for index in np.random.default_rng(_SEED).permutation(len(chosen))]


def _read(file: Path) -> Picture:
    crop = cv2.imread(str(file))
    if crop is None or crop.shape != (_CROP, _CROP, 3):
        raise ConfigurationError(f"{file} is no {_CROP}x{_CROP} picture of a face.")
    return np.asarray(crop, np.uint8)


def aligned(crops: list[Picture], side: int) -> list[Picture]:
    """Return the template's part of crops, `side` pixels wide: what an embedder is given."""
    inner = slice(_MARGIN, _MARGIN + _TEMPLATE)
    return [np.asarray(cv2.resize(crop[inner, inner], (side, side)), np.uint8) for crop in crops]


def worse(crops: list[Picture]) -> list[Picture]:
    """Return the same crops as a bad camera sees them: far away, out of focus, dark, noisy."""
    rng = np.random.default_rng(_SEED)
    return [_worse(crop, rng) for crop in crops]


def _worse(crop: Picture, rng: np.random.Generator) -> Picture:
    side = crop.shape[0]
    small = int(rng.integers(side // 8, side // 3))
    seen = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
    seen = cv2.resize(seen, (side, side), interpolation=cv2.INTER_LINEAR)
    seen = cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.5, side / 50))
    noise = rng.normal(0, rng.uniform(2, 14), crop.shape)
    return _bytes(seen * rng.uniform(0.4, 1.2) + noise)


def _bytes(values: npt.NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def scenes(
    crops: list[Picture], count: int, height: int, width: int, seed: int = _SEED
) -> Iterator[Picture]:
    """Yield scenes with several faces each, some of them as small as can be found.

    Behind them is what detectors must not mind: smooth light, texture, edges, parts of crops.
    """
    rng = np.random.default_rng(seed)
    for _ in range(count):
        scene = _backdrop(rng, height, width)
        for _ in range(int(rng.integers(*_FACES_PER_SCENE))):
            _paste(scene, crops[int(rng.integers(len(crops)))], rng)
        yield _bytes(scene * rng.uniform(0.5, 1.2) + rng.normal(0, rng.uniform(0, 8), scene.shape))


def _backdrop(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.float64]:
    """Return noise of several sizes and colours, with some hard edges."""
    scene = np.zeros((height, width, 3))
    for cells in (3, 8, 24, 80):
        coarse = rng.uniform(-1, 1, (cells, cells, 3)) * rng.uniform(0, 60)
        scene += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    scene += rng.uniform(60, 190, 3)
    for _ in range(int(rng.integers(0, 12))):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = int(rng.integers(8, width // 2)), int(rng.integers(8, height // 2))
        scene[y : y + h, x : x + w] += rng.uniform(-60, 60, 3)
    return scene


def _paste(scene: npt.NDArray[np.float64], crop: Picture, rng: np.random.Generator) -> None:
    """Put a crop at a random place, its edge fading into the scene."""
    height, width, _ = scene.shape
    largest = min(height * _FACE_PX[1], width)
    side = int(np.exp(rng.uniform(np.log(_FACE_PX[0] * _CROP / _TEMPLATE), np.log(largest))))
    x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
    face = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA).astype(np.float64)
    across = np.linspace(-1, 1, side)
    far = np.sqrt(across[None] ** 2 + (across[:, None] * 0.9) ** 2)
    weight = np.clip((1.05 - far) / 0.15, 0, 1)[..., None]
    place = scene[y : y + side, x : x + side]
    place[:] = place * (1 - weight) + face * weight


def surroundings(crops: list[Picture], side: int) -> list[Picture]:
    """Return faces in the middle of about 2.7 times their width: what attack detection is given."""
    rng = np.random.default_rng(_SEED)
    found = []
    for crop in crops:
        scene = _backdrop(rng, 2 * _CROP, 2 * _CROP)
        start = _CROP // 2
        scene[start : start + _CROP, start : start + _CROP] = crop
        found.append(np.asarray(cv2.resize(_bytes(scene), (side, side)), np.uint8))
    return found
