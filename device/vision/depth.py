"""How large a detector's input must be: by how far away people may stand.

A pinhole camera of horizontal angle of view a maps a length l at distance d, across the optical
axis, to w * l / (2 * d * tan(a / 2)) of the stream's w pixels.
"""

import math
from dataclasses import dataclass
from typing import Final

from device.settings import CameraSettings

FACE_M: Final = 0.15
"""Width of the box that the detector draws around an adult face."""
LEAST_FACE_PX: Final = 16
"""In the detector's input. Found of 51 sharp faces: 45 at 14 pixels, 50 at 16, all at 18."""

_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class View:
    """What the small stream shows.

    width_px, height_px: of the small stream. degrees: horizontal angle of view of the lens.
    """

    width_px: int
    height_px: int
    degrees: float

    @classmethod
    def of(cls, camera: CameraSettings) -> "View":
        """Return the view that a camera's settings describe."""
        width = min(camera.lores_width, camera.width)
        height = round(width * camera.height / camera.width)
        return cls(width, height, camera.field_of_view_degrees)


def pixels(length_m: float, distance_m: float, degrees: float, width_px: float) -> float:
    """Return how many pixels of a stream `width_px` wide a length covers in its middle."""
    return width_px * length_m / (2 * distance_m * math.tan(math.radians(degrees) / 2))


def seen_width_px(view: View, size: tuple[int, int]) -> float:
    """Return how many pixels wide the view really is in an input of this (width, height).

    Where the input is larger than the small stream, what is put in is the stream's own pixels,
    enlarged: there is no more to see in them.
    """
    return view.width_px * min(1.0, size[0] / view.width_px, size[1] / view.height_px)


def face_px(view: View, size: tuple[int, int], distance_m: float) -> float:
    """Return how wide a face is in an input of this (width, height), in pixels of the view."""
    return pixels(FACE_M, distance_m, view.degrees, seen_width_px(view, size))


def reach_m(view: View, size: tuple[int, int]) -> float:
    """Return up to which distance a face is wide enough in an input of this (width, height)."""
    return face_px(view, size, 1.0) / LEAST_FACE_PX


def metres(reach: float) -> str:
    """Return a distance in words, in tenths of a metre, rounded down: what is said is seen."""
    return f"{math.floor(10 * reach + _ROUNDING) / 10:g}"


def cheapest(view: View, sizes: list[tuple[int, int]], distance_m: float) -> int:
    """Return which of the inputs is the smallest in which a face is wide enough.

    sizes: at least one. Where none is wide enough: the smallest of those that reach farthest.
    """
    by_cost = sorted(range(len(sizes)), key=lambda one: sizes[one][0] * sizes[one][1])
    for one in by_cost:
        if reach_m(view, sizes[one]) >= distance_m:
            return one
    return max(by_cost, key=lambda one: reach_m(view, sizes[one]))
