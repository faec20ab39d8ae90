"""What a detector's input costs, and how far it sees: the price of a zone's depth."""

from typing import Final

from msgspec import Struct

from device.settings import CameraSettings
from device.vision import Catalogue, default_directory
from device.vision.choice import input_size
from device.vision.depth import View, reach_m
from tools.lab.bench.macs import mmac_of
from tools.lab.bench.sweep import thread_sweep

_DEGREES: Final = 66.0
"""Camera Module 3."""
_WIDE: Final = 16 / 9


class Depth(Struct, frozen=True):
    """One input of a detector.

    width, height: of the input in pixels. mmac: millions of multiply-accumulates of a pass. cpu_ms,
    wall_ms: per pass on one thread, one figure per repeat. reach_m: how far a face 150 mm wide is
    16 pixels wide in it, behind a small stream as wide as the input. usual_reach_m: behind the
    default one.
    """

    name: str
    width: int
    height: int
    mmac: float
    cpu_ms: list[float]
    wall_ms: list[float]
    reach_m: float
    usual_reach_m: float


def depths(detector: str, repeats: int) -> list[Depth]:
    """Return all inputs of a detector's family, the smallest first. Raises ModelError."""
    catalogue = Catalogue.read(default_directory())
    family = catalogue.family(catalogue.entry(detector, "detector"))
    costs = thread_sweep([entry.name for entry in family], repeats)
    usual = View.of(CameraSettings(kind="picamera2"))
    found = []
    for entry in family:
        width, height = input_size(entry)
        as_wide = View(width, round(width / _WIDE), _DEGREES)
        found.append(
            Depth(
                entry.name,
                width,
                height,
                mmac_of(catalogue.path(entry)),
                costs[entry.name][1]["cpu_ms"],
                costs[entry.name][1]["wall_ms"],
                reach_m(as_wide, (width, height)),
                reach_m(usual, (width, height)),
            )
        )
    return found
