"""Watches the product at work and keeps every array that a face or a frame becomes on its way.

What OpenCV takes and gives and, line by line, whatever lies in a local variable of the rooms that
see faces: a form that somebody adds later is kept without anybody naming it here. What is the same
for another frame says nothing of a face, and is left out.
"""

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from unittest.mock import patch

import numpy as np

import device
from device.opencv import cv2
from device.vision.sample import Probe, Sample

_HOME = str(Path(device.__file__).parent)
_ROOMS = tuple(
    f"{_HOME}/{room}"
    for room in ("vision/", "matching/", "alerts/maker", "capture/frame", "recognition")
)
_WATCHED = {np.ndarray, list, tuple, Sample, Probe}
_FEWEST = 64
"""Numbers of an array that is worth keeping: landmarks and boxes, which a track may keep, have
less."""
_TABLE_COLUMNS = (1, 2, 4, 5, 10, 14, 15)
"""Of tables of detections, of which a track keeps the box as long as it lives."""
_KEPT_ON_PURPOSE = {("vision.motion", "float32")}
"""The motion gate's background: 32 pixels wide, too coarse to hold a face."""
_KEPT_OTHERWISE = ("vision.inference", "vision.output", "vision.scratch")
"""An interpreter's numbers: what a network is given and returns is kept where it runs, and its
layers by the shadow."""
_JPEG, _SCAN, _SCAN_HEADER = b"\xff\xd8", b"\xff\xda", 14
"""Begin a JPEG's picture; what stands before, and the bytes of this header, are the same in all."""
_LONG = 4096
"""Shortest stretch that counts of a detector's scores: where nobody is they repeat themselves."""
_LOOKED_AT = 512
_SMALL, _MIDDLE = 1 << 13, 1 << 16


@dataclass(frozen=True, slots=True)
class Said:
    """One array's bytes. face: which one they are about, or "". The rest as in a `Form`."""

    kind: str
    face: str
    content: bytes
    least: int
    every: int


class Recorder:
    """The arrays of one frame, each once. said: by a digest of the content."""

    def __init__(self, constants=frozenset()):
        self.said = {}
        self.face = ""
        self._constants = constants
        self._seen = set()

    def keep(self, kind, array, *, every=1, least=None, first=True):
        """Keep an array's bytes, or bytes, under a name.

        first: it stands before any other name of the same bytes; else after.
        """
        if least is None:
            least = 32 if isinstance(array, np.ndarray) and array.dtype.kind == "f" else 16
        content = array.tobytes() if isinstance(array, np.ndarray) else bytes(array)
        digest = hash(content)
        if first or digest not in self.said:
            self.said[digest] = Said(kind, self.face, content, least, every)

    def notice(self, where, name, value):
        """Keep what a variable holds, if it is an array of pixels or features not yet seen."""
        if type(value) is Sample:
            value = getattr(value, "pixels", None)  # not while it is being made
        elif type(value) is Probe:
            value = getattr(value, "template", None)
        elif type(value) in (list, tuple):
            for each in value:
                if type(each) is np.ndarray:
                    self.notice(where, name, each)
            return
        if type(value) is not np.ndarray or not _telling(value):
            return
        room = where.rpartition(".")[0]
        if room in _KEPT_OTHERWISE or (room, _named(value.dtype)) in _KEPT_ON_PURPOSE:
            return
        look = _look(value)
        if look not in self._seen:
            self._seen.add(look)
            self._add(f"{where} {name}, {_named(value.dtype)}", value, room)

    def _add(self, kind, array, room):
        content = array.tobytes()
        if room == "cv2":
            content = scan_of(content)
        digest = hash(content)
        if digest in self.said or digest in self._constants:
            return
        least = 16 if array.dtype.kind != "f" else _LONG if room == "vision.detector" else 32
        every = _thinned(array.nbytes)
        self.said[digest] = Said(kind, self.face, content, least, every)


def scan_of(content):
    """Return the part of a JPEG that is the picture; of anything else all of it."""
    start = content.find(_SCAN) if content.startswith(_JPEG) else -1
    return content if start < 0 else content[start + _SCAN_HEADER :]


@lru_cache
def _named(dtype):
    return dtype.name


def _telling(array):
    if array.size < _FEWEST or array.dtype.kind not in "uif":
        return False
    if array.ndim in (2, 3) and array.dtype.kind == "f" and array.shape[-1] in _TABLE_COLUMNS:
        return False
    base = array.base
    if isinstance(base, np.ndarray) and base.ndim > 1 and base.nbytes > array.nbytes:
        return False  # a part of something that is kept whole; a workspace, one row, is not
    return array.flags.c_contiguous


def _look(array):
    """Return what tells an array from others cheaply: its shape, and some of its numbers."""
    flat = array.reshape(-1)
    return array.dtype.char, array.shape, flat[:: max(1, flat.size // _LOOKED_AT)].tobytes()


def _thinned(size):
    """Return which words of so many bytes become needles: all, or every n-th of a large form."""
    return 1 if size <= _SMALL else 8 if size <= _MIDDLE else 32


@contextmanager
def watching(recorder):
    """Watch the product in this thread until the end of the block."""
    before = sys.gettrace()
    # What an array held before it was filled is of no frame.
    empty = patch.object(np, "empty", np.zeros)
    with _opencv_watched(recorder), empty:
        sys.settrace(_tracer(recorder))
        try:
            yield
        finally:
            sys.settrace(before)


@contextmanager
def aside():
    """Not watch what happens in the block: it is not the product's."""
    before = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(before)


def _tracer(recorder):
    def line(frame, event, _argument):
        if event in ("line", "return"):
            for name, value in frame.f_locals.items():
                if type(value) in _WATCHED:
                    recorder.notice(_where(frame), name, value)
        return line

    def call(frame, _event, _argument):
        return line if frame.f_code.co_filename.startswith(_ROOMS) else None

    return call


def _where(frame):
    module = frame.f_globals.get("__name__", "").removeprefix("device.")
    return f"{module}.{frame.f_code.co_name}"


class _Watched:
    """OpenCV, whose functions say what they were given and what they return."""

    def __init__(self, recorder):
        self._recorder = recorder

    def __getattr__(self, name):
        function = getattr(cv2, name)
        if not callable(function) or isinstance(function, type):
            return function

        def watched(*given, **named):
            returned = function(*given, **named)
            results = returned if isinstance(returned, tuple) else (returned,)
            for each in (*given, *named.values(), *results):
                self._recorder.notice(f"cv2.{name}", "", each)
            return returned

        return watched


@contextmanager
def _opencv_watched(recorder):
    users = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("device.") and name != "device.opencv" and hasattr(module, "cv2")
    ]
    watched = _Watched(recorder)
    for module in users:
        module.cv2 = watched
    try:
        yield
    finally:
        for module in users:
            module.cv2 = cv2
