"""Figures on the way: how well the student tells pairs of faces apart, and how near it is.

Measuring only; nothing of it flows back into the training. `passerby-lab train watch` cuts the
faces out beforehand, since a training should not wait for a detector.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch.nn import functional

from device.errors import PictureError
from device.opencv import cv2
from device.settings import CameraSettings, DeviceSettings, Settings, WatchlistSettings
from device.vision import Catalogue, Eye, default_directory
from device.vision.geometry import ARCFACE_112, similarity
from device.vision.stills import find_faces
from tools.console import console, notes
from tools.lab.train.lessons import answers, small
from tools.lab.train.pairs import accuracy, crops_of, read_pairs
from tools.lab.train.sources import SIDE, Pixels
from tools.lab.train.student import Student
from tools.lab.train.teacher import Teacher


@dataclass(frozen=True)
class Watch:
    """crops: (n, 128, 128, 3); pairs: (m, 2) indices; same: (m,); taught: templates (n, 256)."""

    crops: Pixels
    pairs: NDArray[np.int64]
    same: NDArray[np.bool_]
    taught: NDArray[np.float32]

    @classmethod
    def read(cls, path: Path | None, teacher: Path) -> "Watch":
        """Read what `passerby-lab train pairs` wrote; nothing to watch without a file."""
        if path is None:
            nothing = np.empty((0, 1, 1, 3), np.uint8)
            return cls(
                nothing, np.empty((0, 2), int), np.empty(0, bool), np.empty((0, 0), np.float32)
            )
        with np.load(path, allow_pickle=False) as archive:
            crops, pairs, same = crops_of(archive["sources"]), archive["pairs"], archive["same"]
        asked = Teacher(teacher)
        taught = [answers(asked, part)[0] for part in _parts(crops)]
        return cls(crops, pairs, same, torch.cat(taught).numpy())

    @torch.no_grad()
    def measure(self, student: Student) -> dict[str, float]:
        """Return the share of pairs that are judged rightly, and the mean cosine to the teacher."""
        if not len(self.crops):
            return {}
        templates = []
        for part in _parts(self.crops):
            faces = small(part).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                templates.append(functional.normalize(student(faces.float())[0].float()))
        mine = torch.cat(templates).numpy()
        nearness = float((mine * self.taught).sum(axis=1).mean())
        return {
            "pairs": accuracy(mine, self.pairs, self.same),
            "pairs_cosine": round(nearness, 5),
        }


def _parts(crops: Pixels) -> list[Pixels]:
    return [crops[start : start + 128] for start in range(0, len(crops), 128)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `passerby-lab train watch` takes."""
    parser.add_argument("--pairs", type=Path, required=True, metavar="FILE.csv")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")


def run(options: argparse.Namespace) -> int:
    """Cut out the faces of all pairs with the operational detector; 0.

    The result holds faces of real people: keep it where the data set is, and as long as it.
    """
    files, pairs, same = read_pairs(options.pairs)
    settings = Settings(
        DeviceSettings("lab", "lab"), CameraSettings("stills"), WatchlistSettings("")
    )
    eye = Eye.open(Catalogue.read(default_directory()), settings.models, settings.vision)
    folder = options.pairs.parent
    faces = [_source(eye, folder / name) for name in track(files, "faces", console=notes)]
    with options.out.open("wb") as file:
        np.savez(file, sources=np.stack(faces), pairs=pairs, same=same)
    console.print(f"{len(files):,} faces, {len(pairs):,} pairs: {options.out}", markup=False)
    return 0


def _source(eye: Eye, path: Path) -> Pixels:
    """Return the face nearest to the middle of a picture, as a source (160, 160, 3)."""
    read = cv2.imread(str(path))
    if read is None:
        raise PictureError(f"{path} is no picture.")
    picture = np.asarray(read, np.uint8)
    faces = find_faces(eye, picture)
    if not faces:
        raise PictureError(f"{path} shows no face that the detector finds.")
    middle = np.array(picture.shape[1::-1]) / 2
    nearest = min(
        faces, key=lambda face: float(np.hypot(*(face.box[:2] + face.box[2:] / 2 - middle)))
    )
    margin = (SIDE - 112) / 2
    matrix = similarity(nearest.landmarks, ARCFACE_112 + margin)
    return np.asarray(cv2.warpAffine(picture, matrix, (SIDE, SIDE)), np.uint8)
