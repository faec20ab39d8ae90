"""How many pixels a face has at which distance: the lens's angle and nothing else.

The formula is `device.vision.depth`'s, by which a device chooses its detector.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from device.capture import Picture, Pixels
from device.capture.stills import read_still
from device.opencv import cv2
from device.settings import ModelSettings, VisionSettings
from device.vision import Catalogue, Eye, default_directory, find_faces
from device.vision.depth import FACE_M, pixels
from tools.console import console
from tools.lab.manifest import MANIFEST, read_manifest
from tools.lab.statistics import proportion

_EYES_M = 0.063
"""Mean distance between adult pupils (N. A. Dodgson, "Variation and extrema of human
interpupillary distance", SPIE 5291, 2004)."""
_MAIN_PX, _LORES_PX, _SMALL_PX = 2304, 640, 320
_LIMIT_EYES_PX, _GOOD_EYES_PX = 16, 32
_LIMIT_FACE_PX, _GOOD_FACE_PX = 14, 20
"""Detector widths at which most, and all, still and sharp faces were found (`--data`)."""
_MEASURED_WIDTHS_PX = (8, 10, 12, 14, 16, 18, 20, 25)
_LORES_SHAPE = (360, 640, 3)


@dataclass(frozen=True, slots=True)
class Lens:
    """A lens with its horizontal angle of view in degrees (Raspberry Pi camera documentation)."""

    name: str
    degrees: float


LENSES = (Lens("Camera Module 3", 66.0), Lens("Camera Module 3 Wide", 102.0))
DISTANCES_M = (2, 3, 4, 5, 6, 8, 10)


def table() -> str:
    """Return the table of docs/vision.md."""
    lines = [
        (
            f"| lens | distance | pixels between the eyes, main {_MAIN_PX} | face width, lores "
            f"{_LORES_PX} | face width, lores {_SMALL_PX} | compared? |"
        ),
        "|---|---|---|---|---|---|",
    ]
    for lens in LENSES:
        for distance in DISTANCES_M:
            eyes = pixels(_EYES_M, distance, lens.degrees, _MAIN_PX)
            face = pixels(FACE_M, distance, lens.degrees, _LORES_PX)
            small = pixels(FACE_M, distance, lens.degrees, _SMALL_PX)
            lines.append(
                f"| {lens.name} ({lens.degrees:.0f}°) | {distance} m | {eyes:.0f} | {face:.0f} | "
                f"{small:.0f} | {_verdict(eyes, face)} |"
            )
    return "\n".join(lines)


def _verdict(eyes_px: float, face_px: float) -> str:
    if eyes_px < _LIMIT_EYES_PX or face_px < _LIMIT_FACE_PX:
        return "no"
    good = eyes_px >= _GOOD_EYES_PX and face_px >= _GOOD_FACE_PX
    return "yes" if good else "at the limit"


def run(options: argparse.Namespace) -> int:
    """Print the table and, where a data set is there, how small a face the detector finds."""
    console.print(table(), markup=False)
    if not (options.data / MANIFEST).is_file():
        console.print(f"smallest faces not measured: {options.data} is not here (--data)")
        return 0
    photographs = [i.path for i in read_manifest(options.data) if i.subset == "mugshot_like"]
    eye = Eye.open(Catalogue.read(default_directory()), ModelSettings(), VisionSettings())
    pictures = [read_still(path) for path in photographs]
    faces = [find_faces(eye, picture) for picture in pictures]
    pictures = [picture for picture, found in zip(pictures, faces, strict=True) if found]
    widths = [float(found[0].box[2]) for found in faces if found]
    for wanted in _MEASURED_WIDTHS_PX:
        found = sum(
            _found(eye, picture, wanted / width)
            for picture, width in zip(pictures, widths, strict=True)
        )
        console.print(f"faces {wanted} pixels wide: {proportion(found, len(pictures))} detected")
    return 0


def _found(eye: Eye, pixels: Pixels, scale: float) -> bool:
    """Tell whether a face is found when its photograph is shrunk into a small stream."""
    street = np.full(_LORES_SHAPE, 110, np.uint8)
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    small = small[: street.shape[0] - 40, : street.shape[1] - 40]
    street[40 : 40 + small.shape[0], 40 : 40 + small.shape[1]] = small
    return bool(len(eye.detector.detect(Picture.of_bgr(street), street.shape[1])))
