"""`passerby-lab convert --measure`: how far the converted models are from the float graphs.

The pictures are made of faces that were not calibrated on, sharp ones and ones that a bad camera
saw. Detections are those of the appliance's own decoder at its default threshold, templates are
compared by cosine, as matching does.
"""

import argparse
import hashlib
import platform
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
from rich.progress import track

from device import __version__
from device.capture import Picture
from device.errors import ModelError
from device.settings import VisionSettings
from device.vision.detector import LANDMARKS, Detector, iou
from device.vision.inference import Floats, Network, open_network
from tools.console import console, notes
from tools.lab.convert import chosen
from tools.lab.convert.conversions import (
    CONVERSIONS,
    EMBEDDER_SIDE,
    QUALITY_SIDE,
    Conversion,
    reference_of,
)
from tools.lab.convert.minifasnet import SIDE
from tools.lab.convert.pictures import Faces, aligned, scenes, surroundings, worse
from tools.lab.convert.pictures import Picture as Image

_SCENES, _FACES = 100, 300
_SCENES_SEED, _RUNS = 7, 30
_SAME_FACE = 0.5
Measure = Callable[[Network, Network, Faces], list[tuple[str, str]]]


def run(options: argparse.Namespace) -> int:
    """Print what the models in `options.out` do; 0 when all could be opened."""
    faces = Faces.read(options.faces)
    names = chosen(options.only, [one.name for one in CONVERSIONS])
    versions = f"Passerby {__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    console.print(f"{versions}, OpenCV {metadata.version('opencv-python-headless')}")
    conversions = [one for one in CONVERSIONS if one.name in names]
    for conversion in track(conversions, "measuring", console=notes, transient=True):
        file = _file_of(conversion.name, options.out)
        model = open_network(file, threads=1)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        console.print(f"{conversion.name} {sha256}…, {model.runtime.name} {model.runtime.version}")
        with tempfile.TemporaryDirectory() as folder:
            reference = _network(conversion, options.source, Path(folder))
            figures = _measure_of(conversion)(reference, model, faces)
            for figure, value in (*figures, _speed(reference, model)):
                console.print(f"  {figure}: {value}", markup=False)
    return 0


def _file_of(name: str, folder: Path) -> Path:
    file = folder / f"{name}.tflite"
    if not file.is_file():
        raise ModelError(f"{file} is not there: run `passerby-lab convert` first (--out).")
    return file


def _network(conversion: Conversion, source: Path, folder: Path) -> Network:
    """Return the float graph as it was published, ready to run."""
    file = folder / "reference.tflite"
    file.write_bytes(reference_of(conversion, source).as_float())
    return open_network(file, threads=1)


def _measure_of(conversion: Conversion) -> Measure:
    """Return what to measure, which the start of the name tells."""
    measures = {
        "yunet": _detector,
        "omz": _embedder,
        "lightqnet": _quality,
        "minifasnet": _attack_detector,
    }
    return measures[conversion.name.partition("-")[0]]


def _speed(reference: Network, model: Network) -> tuple[str, str]:
    """Return the median CPU time of a run of each, taken in turn."""
    picture = np.zeros(model.input_shape[1:], np.uint8)
    times: list[list[float]] = [[], []]
    for _ in range(_RUNS):
        for taken, network in zip(times, (model, reference), strict=True):
            start = time.process_time()
            network.run(picture)
            taken.append((time.process_time() - start) * 1000)
    ours, floats = (float(np.median(taken)) for taken in times)
    return "CPU milliseconds, one thread", f"{ours:.2f}; float {floats:.2f}"


def _detector(reference: Network, model: Network, faces: Faces) -> list[tuple[str, str]]:
    """Compare detections in scenes of the model's own size."""
    _, height, width, _ = model.input_shape
    threshold = VisionSettings().detection_threshold
    detectors = [Detector(network, threshold) for network in (reference, model)]
    found: list[list[Floats]] = [[], []]
    crops = faces.some(_FACES, measure=True)
    for scene in scenes(crops, _SCENES, height, width, seed=_SCENES_SEED):
        for rows, detector in zip(found, detectors, strict=True):
            rows.append(detector.detect(Picture.of_bgr(scene), width))
    pairs, missed = _matched(*found)
    extra = _matched(*reversed(found))[1]
    overlaps = [float(iou(one, other[None])[0]) for one, other in pairs]
    errors = [_landmark_error(one, other) for one, other in pairs]
    middle = f"mean {np.mean(errors):.1%}, median {np.median(errors):.1%}"
    return [
        ("scenes", f"{_SCENES}, with {len(pairs) + missed} faces found by float"),
        ("of these found too", f"{len(pairs)}; found besides: {extra}"),
        ("IoU with float's box", f"mean {np.mean(overlaps):.3f}, lowest {min(overlaps):.3f}"),
        ("landmarks off, of the eyes' distance", middle),
    ]


def _matched(wanted: list[Floats], given: list[Floats]) -> tuple[list[tuple[Floats, Floats]], int]:
    """Return each wanted detection with the given one that overlaps it most, and how many lack."""
    pairs = []
    missed = 0
    for ours, theirs in zip(wanted, given, strict=True):
        for row in ours:
            overlaps = iou(row, theirs)
            if overlaps.size and overlaps.max() >= _SAME_FACE:
                pairs.append((row, theirs[int(overlaps.argmax())]))
            else:
                missed += 1
    return pairs, missed


def _landmark_error(one: Floats, other: Floats) -> float:
    ours, theirs = one[LANDMARKS].reshape(5, 2), other[LANDMARKS].reshape(5, 2)
    eyes = float(np.linalg.norm(ours[0] - ours[1]))
    return float(np.linalg.norm(ours - theirs, axis=1).mean()) / max(eyes, 1e-6)


def _both(faces: Faces, side: int) -> tuple[list[Image], list[Image]]:
    """Return aligned faces as they are, and as a bad camera sees them."""
    crops = faces.some(_FACES, measure=True)
    return aligned(crops, side), aligned(worse(crops), side)


def _outputs(network: Network, pictures: list[Image]) -> Floats:
    return np.stack([network.run(picture)[0].reshape(-1) for picture in pictures])


def _embedder(reference: Network, model: Network, faces: Faces) -> list[tuple[str, str]]:
    figures = []
    kinds = ("sharp", "bad camera")
    for kind, pictures in zip(kinds, _both(faces, EMBEDDER_SIDE), strict=True):
        cosines = _cosines(_outputs(reference, pictures), _outputs(model, pictures))
        low = np.quantile(cosines, 0.05)
        text = f"mean {cosines.mean():.4f}, 5 % below {low:.4f}, lowest {cosines.min():.4f}"
        figures.append((f"cosine to float, {len(pictures)} {kind}", text))
    return figures


def _cosines(ours: Floats, theirs: Floats) -> Floats:
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return np.asarray((ours * theirs).sum(axis=1) / lengths, np.float32)


def _quality(reference: Network, model: Network, faces: Faces) -> list[tuple[str, str]]:
    good, bad = _both(faces, QUALITY_SIDE)
    scores = [[_outputs(one, kind)[:, 0] for kind in (good, bad)] for one in (reference, model)]
    off = np.abs(np.concatenate(scores[0]) - np.concatenate(scores[1]))
    areas = [_area(better, lower) for better, lower in scores]
    return [
        (f"AUC, {len(good)} sharp against bad camera", f"{areas[1]:.4f}; float {areas[0]:.4f}"),
        ("off the float's score, 0-1", f"mean {off.mean():.4f}, most {off.max():.4f}"),
    ]


def _area(better: Floats, lower: Floats) -> float:
    """Return the share of pairs in which the better picture scores higher; ties count half."""
    difference = better[:, None] - lower[None]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def _attack_detector(reference: Network, model: Network, faces: Faces) -> list[tuple[str, str]]:
    crops = faces.some(_FACES, measure=True)
    pictures = surroundings(crops, SIDE) + surroundings(worse(crops), SIDE)
    ours, theirs = (_softmax(_outputs(one, pictures)) for one in (reference, model))
    agree = (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean()
    off = np.abs(ours - theirs)
    return [
        (f"same class as float, {len(pictures)} pictures", f"{agree:.1%}"),
        ("off the float's scores, 0-1", f"mean {off.mean():.5f}, most {off.max():.5f}"),
    ]


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
