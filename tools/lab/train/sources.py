"""The faces that training starts from: aligned crops of 160 x 160 pixels, BGR."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.errors import PictureError
from device.opencv import cv2

Pixels = NDArray[np.uint8]
SIDE = 160
"""Pixels of a source: the ArcFace template of a 112 x 112 crop lies in its middle."""


@dataclass(frozen=True)
class Sources:
    """All source faces in memory. pixels: (n, 160, 160, 3) uint8 BGR.

    photographs: how many of them, from the front, are generated people or volunteers; the rest is
    rendered. people: (n - photographs,) int64, whom each of the rest shows, counted from 0.
    """

    pixels: Pixels
    photographs: int
    people: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def draw(self, rng: np.random.Generator, rendered_share: float) -> Pixels:
        """Return one face at random, mirrored half of the time."""
        rendered = len(self.pixels) - self.photographs
        if rendered and (not self.photographs or rng.random() < rendered_share):
            face = self.pixels[self.photographs + rng.integers(rendered)]
        else:
            face = self.pixels[rng.integers(self.photographs)]
        return face[:, ::-1] if rng.random() < 0.5 else face  # noqa: PLR2004 - a coin


def load(folder: Path | None, pools: list[Path]) -> Sources:
    """Read a folder of crops with `manifest.csv`, and pools of rendered people (`.npz`).

    Raises PictureError when a file is missing, damaged or of another size.
    """
    photographs = [] if folder is None else _photographs(folder)
    rendered = [_pool(path) for path in pools]
    everything = [*photographs, *(face for faces, _ in rendered for face in faces)]
    if not everything:
        raise PictureError("There are no faces to train on: name --data or --rendered.")
    return Sources(np.stack(everything), len(photographs), _counted([who for _, who in rendered]))


def _counted(pools: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return whom each rendered face shows; no two pools have anybody in common."""
    people, known = [np.empty(0, np.int64)], 0
    for pool in pools:
        names, whom = np.unique(pool, return_inverse=True)
        people.append(whom.astype(np.int64) + known)
        known += len(names)
    return np.concatenate(people)


def _photographs(folder: Path) -> list[Pixels]:
    try:
        with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            names = [row["file"] for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise PictureError(f"{folder / 'manifest.csv'} cannot be read ({error}).") from error
    return [_face(folder / name) for name in names]


def _pool(path: Path) -> tuple[Pixels, NDArray[np.int64]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            faces: Pixels = archive["images"]
            people = np.asarray(archive["identity"], np.int64)
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise PictureError(f"{path} is no pool of rendered faces ({error}).") from error
    if faces.dtype != np.uint8 or faces.shape[1:] != (SIDE, SIDE, 3):
        raise PictureError(f"{path} holds {faces.dtype} {faces.shape}, not uint8 (n, 160, 160, 3).")
    if people.shape != faces.shape[:1]:
        raise PictureError(f"{path} names {people.shape} people for {len(faces)} faces.")
    return faces, people


def _face(path: Path) -> Pixels:
    face = cv2.imread(str(path))
    if face is None or face.shape != (SIDE, SIDE, 3):
        raise PictureError(f"{path} is no picture of {SIDE} x {SIDE} pixels.")
    return np.asarray(face, np.uint8)
