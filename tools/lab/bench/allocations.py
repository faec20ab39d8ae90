"""How often a frame allocates memory of a frame's size: never, once the buffers are there.

Python's tracemalloc counts what Python, NumPy and OpenCV's results take. What is taken and given
back within one frame shows in no snapshot, so the peak is read line by line. What OpenCV and the
interpreter take inside, and what happens while models are opened, is not counted.
"""

import sys
import tracemalloc
from collections import Counter
from types import FrameType, TracebackType
from typing import Any, Final, Self

from device.settings import VisionSettings
from device.vision import Catalogue, Eye, default_directory
from tools.lab.bench.views import LAYOUTS, SCENES, Layout, recogniser, street
from tools.lab.collection import Collection, models_of

LARGE: Final = 64 * 1024
"""Bytes from which memory counts as of a frame's size."""
_WARM: Final = 8
_SIZE: Final = (1280, 720)


class Allocations:
    """Counts, within a `with` block, the lines that allocate `LARGE` bytes or more.

    found: how often, by file and number of the line. Nothing else may trace meanwhile.
    """

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self._place = ""
        self._before = 0
        self._tracer: Any = None

    def __enter__(self) -> Self:
        self._tracer = sys.gettrace()
        tracemalloc.start(1)
        tracemalloc.reset_peak()
        self._before, _ = tracemalloc.get_traced_memory()
        sys.settrace(self._look)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.settrace(self._tracer)
        tracemalloc.stop()

    def _look(self, frame: FrameType, _event: str, _argument: object) -> Any:  # noqa: ANN401 - a trace function returns itself
        _, peak = tracemalloc.get_traced_memory()
        if peak - self._before >= LARGE:
            self.found[self._place] += 1
        self._place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        tracemalloc.reset_peak()
        self._before, _ = tracemalloc.get_traced_memory()
        return self._look


def frame_sized(models: Collection = "built-in", frames: int = 8) -> dict[str, int]:
    """Return how many frame-sized allocations `frames` frames made, by scene and layout.

    models: whose. Of every frame all that `Recogniser.process` does and its release, in the steady
    state: each scene is shown before. With nobody in the street the motion gate decides; the others
    come anew every second, so that each face is compared.
    """
    catalogue = Catalogue.read(default_directory())
    vision = VisionSettings(frame_budget_ms=0)
    eye = Eye.open(catalogue, models_of(catalogue, models), vision)
    counts = {}
    for name, people in SCENES.items():
        for layout in LAYOUTS:
            found, _ = allocations_of(eye, vision, people, layout, frames)
            counts[f"{name}, {layout}"] = found.total()
    return counts


def allocations_of(
    eye: Eye, vision: VisionSettings, people: int, layout: Layout, frames: int
) -> tuple[Counter[str], int]:
    """Return where such memory was allocated in a scene, and how many faces were compared."""
    place = street(people, _SIZE, layout)
    one = recogniser(eye, vision)
    watch, compared = Allocations(), 0
    step_s = 1.0 if people else 0.1
    for number in range(_WARM + frames):
        frame = place.frame(number, number * step_s)
        if number < _WARM:
            one.process(frame, lambda *_: None)
            frame.release()
            continue
        with watch:
            compared += one.process(frame, lambda *_: None).compared
            frame.release()
    return watch.found, compared
