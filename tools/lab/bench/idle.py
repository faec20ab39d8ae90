"""What a frame costs in which nothing moves, beside one in which the same appliance detects."""

import time
from dataclasses import dataclass
from typing import Final

from device.recognition import Recogniser
from device.settings import VisionSettings
from device.vision import Catalogue, Eye, default_directory
from tools.lab.bench.views import Size, Street, recogniser, street
from tools.lab.collection import Collection, models_of

SIZES: Final[tuple[Size, ...]] = ((1280, 720), (2304, 1296))
REPEATS: Final = 7
GATED, SEARCHED = "nothing moves, gate on", "nothing moves, detects every frame"
WIPED, LEFT = "buffers wiped", "buffers not wiped"
_FRAMES: Final = {GATED: 150, SEARCHED: 15}
"""Frames of one repeat: a clock tick must be nothing beside them."""
_WARM: Final = 4


@dataclass(slots=True)
class _Run:
    """One thing that is measured, and its next frame."""

    name: str
    place: Street
    recogniser: Recogniser
    frames: int
    wipes: bool
    number: int = 0

    def microseconds(self) -> float:
        """Return the CPU time of a frame, mean of some: processing and release, without filling."""
        spent = sum(self._frame() for _ in range(self.frames))
        return spent / self.frames / 1000

    def warm(self) -> None:
        """Show the first frames, in which the scene is learnt and buffers are taken."""
        for _ in range(_WARM):
            self._frame()

    def _frame(self) -> int:
        frame = self.place.frame(self.number, float(self.number), wipes=self.wipes)
        self.number += 1
        begun = time.process_time_ns()
        self.recogniser.process(frame, lambda *_: None)
        frame.release()
        return time.process_time_ns() - begun


def idle_costs(models: Collection = "built-in", repeats: int = REPEATS) -> dict[str, list[float]]:
    """Return CPU microseconds per frame, one figure per repeat, all measured in turn.

    models: whose. Names as "1280 x 720, nothing moves, gate on, buffers wiped": with the motion
    gate, and without it and with a detection in every frame; with and without the wiping of the
    camera's buffers (their release overwrites them). I420; the small stream has 640 x 360.
    """
    catalogue = Catalogue.read(default_directory())
    gate = VisionSettings()
    search = VisionSettings(motion_gate=False, searches_per_s=60)
    eye = Eye.open(catalogue, models_of(catalogue, models), gate)
    runs = []
    for size in SIZES:
        place = street(0, size)
        for name, vision in ((GATED, gate), (SEARCHED, search)):
            for said, wipes in ((WIPED, True), (LEFT, False)):
                full = f"{size[0]} x {size[1]}, {name}, {said}"
                runs.append(_Run(full, place, recogniser(eye, vision), _FRAMES[name], wipes))
    results: dict[str, list[float]] = {run.name: [] for run in runs}
    for run in runs:
        run.warm()
    for _ in range(repeats):
        for run in runs:
            results[run.name].append(run.microseconds())
    return results
