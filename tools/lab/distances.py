"""How many pixels a face has at which distance: the lens's angle and nothing else.

A pinhole camera of horizontal angle of view a maps a length l at distance d, across the optical
axis, to w * l / (2 * d * tan(a / 2)) of the stream's w pixels.
"""

import argparse
import math
from dataclasses import dataclass

from tools.console import console

_EYES_M = 0.063
"""Mean distance between adult pupils (N. A. Dodgson, "Variation and extrema of human
interpupillary distance", SPIE 5291, 2004)."""
_FACE_M = 0.15
"""Width of the box that the detector draws around an adult face."""
_MAIN_PX, _LORES_PX, _SMALL_PX = 2304, 640, 320
_SMALLEST_EYES_PX = 16
_SMALLEST_FACE_PX = 12


@dataclass(frozen=True, slots=True)
class Lens:
    """A lens with its horizontal angle of view in degrees (Raspberry Pi camera documentation)."""

    name: str
    degrees: float


LENSES = (Lens("Camera Module 3", 66.0), Lens("Camera Module 3 Wide", 102.0))
DISTANCES_M = (2, 3, 4, 5, 6, 8, 10)


def pixels(length_m: float, distance_m: float, degrees: float, width_px: int) -> float:
    """Return how many pixels of a stream `width_px` wide a length covers in its middle."""
    return width_px * length_m / (2 * distance_m * math.tan(math.radians(degrees) / 2))


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
            face = pixels(_FACE_M, distance, lens.degrees, _LORES_PX)
            small = pixels(_FACE_M, distance, lens.degrees, _SMALL_PX)
            lines.append(
                f"| {lens.name} ({lens.degrees:.0f}°) | {distance} m | {eyes:.0f} | {face:.0f} | "
                f"{small:.0f} | {_verdict(eyes, face)} |"
            )
    return "\n".join(lines)


def _verdict(eyes_px: float, face_px: float) -> str:
    if eyes_px < _SMALLEST_EYES_PX or face_px < _SMALLEST_FACE_PX:
        return "no"
    return "yes" if eyes_px >= 2 * _SMALLEST_EYES_PX else "yes, at the limit"


def run(_options: argparse.Namespace) -> int:
    """Print the table."""
    console.print(table(), markup=False)
    return 0
