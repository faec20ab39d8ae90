"""`passerby-lab train detector_proof`: detectors side by side on a data set, and their speed.

For comparisons: a trained detector in 8 bits, in floats, and its teacher. `passerby-lab evaluate`
gives the figures of a whole pipeline with their uncertainty. Files must answer as YuNet does.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np

from device.capture.frame import Pixels
from device.errors import PictureError
from device.opencv import cv2
from device.vision.detector import Detector, iou
from device.vision.eye import Eye
from device.vision.inference import Floats, Network, open_network
from device.vision.stills import StillFace, find_faces
from tools.console import console
from tools.lab.evaluate.detection import SAME_FACE, boxes_in
from tools.lab.manifest import Item, read_manifest

_ROUNDS = 60
_CENTRED = "lfw"
"""The source set whose pictures show one person each, in the middle."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What one detector did. boxes, centred: shares found; false: detections per negative."""

    boxes: float
    centred: float
    false: float
    negatives_hit: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("models", type=Path, nargs="+", metavar="FILE.tflite")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--threshold", type=float, default=0.7, help="default %(default)s")


def run(options: argparse.Namespace) -> int:
    """Print a line per file; 0."""
    items = read_manifest(options.data)
    speeds = milliseconds([open_network(file, 1) for file in options.models])
    for file, speed in zip(options.models, speeds, strict=True):
        proof = prove(Detector(open_network(file, 1), options.threshold), options.data, items)
        console.print(
            f"{file.name}: {proof.boxes:.1%} of the boxes, {proof.centred:.2%} of the centred "
            f"faces; {proof.false:.3f} detections per negative, in {proof.negatives_hit:.1%} of "
            f"them; {speed:.2f} ms, {speed / speeds[0]:.2f} of the first",
            markup=False,
            soft_wrap=True,
        )
    return 0


def prove(detector: Detector, data: Path, items: Sequence[Item]) -> Proof:
    """Return the figures of one detector on a data set."""
    centred = [item.path for item in items if item.source_set == _CENTRED]
    middles = [_in_the_middle(faces_of(detector, path), path) for path in centred]
    negatives = [item.path for item in items if item.role == "negative"]
    counts = np.array([len(faces_of(detector, path)) for path in negatives], np.float64)
    return Proof(
        boxes=recall(detector, data / "boxes.csv"),
        centred=float(np.mean(middles)) if middles else float("nan"),
        false=float(counts.mean()) if len(counts) else float("nan"),
        negatives_hit=float((counts > 0).mean()) if len(counts) else float("nan"),
    )


def recall(detector: Detector, file: Path) -> float:
    """Return the share of annotated boxes found; a found face counts once."""
    by_path: dict[Path, list[Floats]] = {}
    for annotated in boxes_in(file):
        by_path.setdefault(annotated.path, []).append(annotated.box)
    found = 0
    for path, boxes in by_path.items():
        waiting = np.stack(boxes)
        for face in faces_of(detector, path):
            if not len(waiting):
                break
            overlaps = iou(face.box, waiting)
            if overlaps.max() >= SAME_FACE:
                waiting = np.delete(waiting, int(overlaps.argmax()), axis=0)
                found += 1
    return found / max(1, sum(len(boxes) for boxes in by_path.values()))


def faces_of(detector: Detector, path: Path) -> list[StillFace]:
    """Return the faces of a picture, found as the device finds them in a still."""
    return find_faces(cast("Eye", SimpleNamespace(detector=detector)), _picture(path))


def _picture(path: Path) -> Pixels:
    pixels = cv2.imread(str(path))
    if pixels is None:
        raise PictureError(f"{path} is no picture that can be read.")
    return np.asarray(pixels, np.uint8)


def _in_the_middle(faces: Sequence[StillFace], path: Path) -> bool:
    height, width = _picture(path).shape[:2]
    boxes = [face.box for face in faces]
    return any(x <= width / 2 <= x + w and y <= height / 2 <= y + h for x, y, w, h in boxes)


def milliseconds(networks: Sequence[Network]) -> list[float]:
    """Return each network's median processor time, all taking turns, in milliseconds."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, network.input_shape[1:], np.uint8) for network in networks]
    taken = np.empty((_ROUNDS, len(networks)))
    for turn in range(_ROUNDS):
        for place, (network, picture) in enumerate(zip(networks, pictures, strict=True)):
            start = time.process_time()
            network.run(picture)
            taken[turn, place] = time.process_time() - start
    return [float(value) * 1e3 for value in np.median(taken, axis=0)]
