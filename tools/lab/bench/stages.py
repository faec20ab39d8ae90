"""Which stage of Passerby the processor's time goes to.

A clock is put round the stages' functions in this process. Time belongs to the innermost stage that
runs; the second look alone counts whole, with the detection inside it, and so does detection with
the overwriting of its canvas. What is left over is "rest": the tracker, confirmation, Python.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from device import recognition
from device.capture.frame import Frame
from device.settings import ModelSettings
from device.vision import Eye
from device.vision.detector import Detector
from device.vision.embedder import Embedder
from device.vision.motion import MotionGate
from device.vision.sample import Aligner
from device.vision.second_look import SecondLook
from tools.lab.bench.contestant import FrameResult, Setup, View
from tools.lab.bench.ours import Ours, settings_of
from tools.lab.bench.wraps import Made, Wraps

REST: Final = "rest"
_WHOLE: Final = "second look"
STAGES: Final[tuple[tuple[str, Any, str], ...]] = (
    ("gate", MotionGate, "moved"),
    ("detect", Detector, "detect"),
    (_WHOLE, SecondLook, "__call__"),
    ("align", Aligner, "align"),
    ("embed", Embedder, "features"),
    ("compare", recognition, "compare"),
    ("wipe", Eye, "wipe"),
    ("wipe", Frame, "release"),
)
"""Name of a stage, and where its function is."""


class StageClock:
    """Sums of seconds by stage; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock = clock
        self._running: list[str] = []
        self._since = 0.0
        self.seconds: dict[str, float] = {}
        self.reset()

    def reset(self) -> None:
        """Start all sums anew."""
        self.seconds = dict.fromkeys([*(name for name, _, _ in STAGES), REST], 0.0)

    def enter(self, stage: str) -> None:
        """Charge what passed to the stage that ran, and let this one run."""
        self._charge()
        within = bool(self._running) and self._running[-1] == _WHOLE
        self._running.append(_WHOLE if within else stage)

    def leave(self) -> None:
        """Charge what passed to the stage that ran, and let the one around it run on."""
        self._charge()
        self._running.pop()

    def around(self, stage: str) -> Callable[[Made], Made]:
        """Return a wrapper that lets a stage run while a function does."""

        def make(original: Made) -> Made:
            def timed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - handed on
                self.enter(stage)
                try:
                    return original(*arguments, **named)
                finally:
                    self.leave()

            return timed

        return make

    def _charge(self) -> None:
        now = self._clock()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


class Staged(Ours):
    """Passerby with a clock round each stage."""

    def __init__(self) -> None:
        self.stages = StageClock()
        super().__init__("Passerby, by stage", settings_of(ModelSettings()))
        self._wraps = Wraps()
        for name, owner, function in STAGES:
            self._wraps.around(owner, function, self.stages.around(name))

    def begin(self) -> None:
        """See `Contestant`."""
        super().begin()
        self.stages.reset()

    def frame(self, view: View, seconds: float) -> FrameResult:
        """See `Contestant`."""
        self.stages.enter(REST)
        try:
            return super().frame(view, seconds)
        finally:
            self.stages.leave()

    def figures(self) -> dict[str, float]:
        """See `WithFigures`: CPU seconds by stage, as "stage: NAME"."""
        stages = {f"stage: {name}": value for name, value in self.stages.seconds.items()}
        return super().figures() | stages

    def close(self) -> None:
        """Put everything back."""
        self._wraps.undo()
        super().close()


def staged(setup: Setup) -> Ours:
    """Return Passerby with a clock round each stage."""
    del setup
    return Staged()
