"""Passerby with one of its cuts taken out: what each is worth, on the same clips.

Models, lists and rules stay the same. `everything` takes out all of them at once: the plain
pipeline that they are cuts of, with its wiping.
"""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from device.capture.frame import Picture, Pixels
from device.opencv import cv2
from device.settings import ModelSettings, VisionSettings
from device.vision import Eye, observer
from device.vision.shots import ShotBudget
from tools.lab.bench.contestant import Setup, View
from tools.lab.bench.ours import Ours, settings_of
from tools.lab.bench.wraps import Made, Wraps

_FASTEST = 60.0
_MOST_FACES = 64


class Without(Ours):
    """Passerby without some of: "gate", "pace", "budget", "second look", "regions"."""

    def __init__(self, name: str, *out: str) -> None:
        self._out = frozenset(out)
        self._wraps = Wraps()
        super().__init__(name, settings_of(ModelSettings(), _vision(self._out)))
        if "pace" in self._out:
            self._wraps.around(observer, "detections_per_s", _always_fast)
        if "budget" in self._out:
            self._wraps.around(ShotBudget, "allows", _yes)
            self._wraps.around(ShotBudget, "hopeful", _yes)

    def made(self, eye: Eye) -> Eye:
        """See `Ours`."""
        return replace(eye, second_look=None) if "second look" in self._out else eye

    def picture(self, pixels: Pixels) -> Picture:
        """See `Ours`: without regions the whole frame becomes BGR before anything else."""
        if "regions" not in self._out:
            return super().picture(pixels)
        return Picture.of_bgr(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_YUV2BGR_I420), np.uint8))

    def buffers(self, view: View, main: Picture, lores: Picture) -> list[Pixels]:
        """See `Ours`: also what was converted is wiped."""
        held = super().buffers(view, main, lores)
        return [*held, view.main_i420, view.lores_i420] if "regions" in self._out else held

    def close(self) -> None:
        """Put everything back."""
        self._wraps.undo()
        super().close()


def _vision(out: frozenset[str]) -> VisionSettings:
    vision = VisionSettings()
    if "gate" in out:
        vision = msgspec.structs.replace(vision, motion_gate=False)
    if "pace" in out:
        vision = msgspec.structs.replace(vision, searches_per_s=_FASTEST, follows_per_s=_FASTEST)
    if "budget" in out:
        vision = msgspec.structs.replace(vision, faces_per_frame=_MOST_FACES, frame_budget_ms=0)
    return vision


def _always_fast(original: Made) -> Made:
    """Detect as often as frames come, once there is a reason to detect at all."""

    def detections_per_s(*arguments: Any) -> float:  # noqa: ANN401 - handed on as it comes
        return _FASTEST if original(*arguments) > 0 else 0.0

    return detections_per_s


def _yes(original: Made) -> Made:
    del original

    def allowed(*_: object, **__: object) -> bool:
        return True

    return allowed


def no_gate(setup: Setup) -> Ours:
    """Return Passerby that searches also where nothing moves."""
    del setup
    return Without("Passerby without the motion gate", "gate")


def every_frame(setup: Setup) -> Ours:
    """Return Passerby that searches every frame that the gate lets through."""
    del setup
    return Without("Passerby, detection in every frame", "pace")


def no_budget(setup: Setup) -> Ours:
    """Return Passerby that compares every face of every frame that it searches."""
    del setup
    return Without("Passerby without the shot budget", "budget")


def no_second_look(setup: Setup) -> Ours:
    """Return Passerby that trusts the detector's first landmarks, also for its references."""
    del setup
    return Without("Passerby without the second look", "second look")


def whole_frame(setup: Setup) -> Ours:
    """Return Passerby that turns whole frames into BGR first."""
    del setup
    return Without("Passerby, whole frames to BGR", "regions")


def everything(setup: Setup) -> Ours:
    """Return Passerby without any of its cuts."""
    del setup
    cuts = ("gate", "pace", "budget", "second look", "regions")
    return Without("Passerby without any of these cuts", *cuts)
