"""Faults in the middle of real work, one per stage: how each is made, and the switch.

`STAGES` is read by the driver. The functions run in the program, under the agent: `arm` one; it
fires in the next frame, once or, with `always`, every time. An exception is raised in place of the
step that follows the real work, so that what the program has in hand then is really there; no
wrapper holds a result that the program could not wipe.
"""

import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Stage:
    """How a stage fails.

    how: in words. at: what fails, "module:object.name" or "module:name"; "": the camera does it.
    error: raised. after: the step is done first. caller: only when called from this function.
    """

    how: str
    at: str = ""
    error: Callable[[], Exception] = RuntimeError
    after: bool = False
    caller: str = ""


def _no_memory():
    return MemoryError("Unable to allocate 150. KiB for an array with shape (224, 224, 3)")


def _no_opencv():
    cv2 = import_module("cv2")
    return cv2.error("OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to alloc")


def _no_invoke():
    return RuntimeError("Node number 7 (CONV_2D) failed to invoke.")


STAGES = {
    "motion": Stage(
        "no memory beside the small picture", "device.vision.motion:np.subtract", _no_memory
    ),
    "colour conversion": Stage(
        "OpenCV fails at a region's pixels", "device.capture.frame:cv2.cvtColor", _no_opencv
    ),
    "letterbox": Stage(
        "OpenCV fails behind the small stream's place in the network's input",
        "device.vision.detector:Detector._letterbox",
        _no_opencv,
        after=True,
    ),
    "interpreter": Stage(
        "the first invoke fails", "device.vision.inference:Network.outputs", _no_invoke
    ),
    "detection": Stage(
        "the detector's invoke fails after it ran",
        "device.vision.inference:Network.outputs",
        _no_invoke,
        after=True,
    ),
    "tracking": Stage(
        "an error in the assignment",
        "device.vision.tracker:Tracker._by_closeness",
        lambda: ValueError("operands could not be broadcast together with shapes (0,) (6,)"),
    ),
    "second look": Stage(
        "an error behind the canvas of six views",
        "device.vision.second_look:SecondLook._show",
        _no_opencv,
        after=True,
    ),
    "alignment": Stage(
        "OpenCV fails behind the warp",
        "device.vision.sample:cv2.warpAffine",
        _no_opencv,
        after=True,
    ),
    "out of memory": Stage(
        "no memory after a region was copied",
        "device.vision.cutting:np.hypot",
        _no_memory,
        caller="region_of",
    ),
    "shadows": Stage(
        "no memory beside a crop's small copy",
        "device.vision.shadows:np.empty",
        _no_memory,
        caller="in_the_dark",
    ),
    "quality": Stage(
        "OpenCV fails at the grey crop", "device.vision.quality:cv2.Laplacian", _no_opencv
    ),
    "embedding": Stage(
        "the embedder's invoke fails after it ran",
        "device.vision.inference:Network.outputs",
        _no_invoke,
        after=True,
    ),
    "template": Stage("no memory beside a template", "device.vision.embedder:Probe", _no_memory),
    "probe": Stage("no memory for the probe", "device.vision.eye:Probe", _no_memory),
    "turning": Stage(
        "no memory beside a turned template",
        "device.matching.protection:_turned",
        _no_memory,
        after=True,
    ),
    "comparison": Stage(
        "no memory after the cosines",
        "device.matching.gallery:Gallery.offsets",
        _no_memory,
    ),
    "confirmation": Stage(
        "an error with the probe in hand",
        "device.matching.confirmation:Confirmation.waits",
        lambda: KeyError(1),
    ),
    "decoder": Stage("the camera's request fails before the frame, which comes after the restart"),
    "frame lost in the camera": Stage("the request fails with the frame in the camera's buffer"),
    "camera stall": Stage("the camera gives nothing for too long, then the frame"),
}

OUTSIDE = frozenset({"frame lost in the camera"})
"""After these the frame lies in a buffer that the program was never given, and cannot wipe."""

OF_A_SIGNED_LIST = frozenset({"turning"})
"""These a demonstration has not: its templates are compared as they are."""


class _Switch:
    stage = None
    always = False
    fired = None
    undo = staticmethod(lambda: None)


def armed():
    """Return the name of the stage that will fail, or None."""
    return _Switch.stage


def arm(stage, *, always=False):
    """stage: of `STAGES`, or None for no more faults."""
    disarm()
    if stage is None:
        return
    _Switch.stage, _Switch.always = stage, always
    if STAGES[stage].at:
        _Switch.undo = _install(stage)


def disarm():
    undo, _Switch.undo = _Switch.undo, lambda: None
    _Switch.stage = None
    undo()


def fired(stage):
    _Switch.fired = stage
    if not _Switch.always:
        disarm()


def frame_ended():
    """Return the fault that fired since the last frame; one that did not is disarmed."""
    stage, _Switch.fired = _Switch.fired, None
    if not _Switch.always:
        disarm()
    return stage


def _install(name):
    """Patch what a stage names; return how to take the patch back."""
    module, _, path = STAGES[name].at.partition(":")
    room = import_module(module)
    owner, _, attribute = path.rpartition(".")
    whole = getattr(room, owner) if owner else room
    step = _network_run if attribute == "outputs" else _step
    failing = step(name, getattr(whole, attribute))
    if owner and isinstance(whole, ModuleType):
        # A library's function fails in this room alone.
        setattr(room, owner, _Partly(whole, attribute, failing))
        return lambda: setattr(room, owner, whole)
    original = getattr(whole, attribute)
    setattr(whole, attribute, failing)
    return lambda: setattr(whole, attribute, original)


class _Partly:
    """A module one of whose functions is another."""

    def __init__(self, module, name, function):
        self.__dict__.update(_module=module, **{name: function})

    def __getattr__(self, name):
        return getattr(self._module, name)


def _step(name, original):
    stage = STAGES[name]

    def fails(*arguments, **options):
        if stage.caller and sys._getframe(1).f_code.co_name != stage.caller:
            return original(*arguments, **options)
        if stage.after:
            original(*arguments, **options)
        fired(name)
        raise stage.error()

    return fails


def _network_run(name, original):
    """The embedder is the network with one output; "interpreter" takes whichever comes first."""

    @contextmanager
    def outputs(network, image):
        single = len(network.output_shapes) == 1
        whole = network._interpreter
        if name == "interpreter" or single == (name == "embedding"):
            network._interpreter = _Failing(whole, name)
        try:
            with original(network, image) as found:
                yield found
        finally:
            network._interpreter = whole

    return outputs


class _Failing:
    """An interpreter whose invoke fails."""

    def __init__(self, interpreter, name):
        self._interpreter, self._name = interpreter, name

    def __getattr__(self, name):
        return getattr(self._interpreter, name)

    def invoke(self):
        if STAGES[self._name].after:
            self._interpreter.invoke()
        fired(self._name)
        raise STAGES[self._name].error()
