"""A frame source that plays a script: the camera of every test that needs no camera.

    source = ScriptedSource(grey(), CameraError("The cable is out."), grey(), END)
    hang = Hang()
    source.add(hang, grey())       # later, from the test, while the camera's thread waits

A script is a list of items, one per `read`:

- an array (h, w, 3) uint8 BGR: becomes a frame, numbered from 0, `1 / rate` seconds apart;
- a `Frame`, as `make_frame` makes it, where number and seconds matter;
- an exception: raised by `read`;
- a `Hang`: `read` blocks inside "the driver" until the test calls `resume`, then goes on;
- `END`: the end of the material.

When the script is used up a source that is not live ends; a live one waits for more and raises
CameraError after `timeout_s`, as real ones do. `open_errors` are raised by the next `open`s, one
each; None lets one pass.

What happened is in `opens`, `closes`, `is_open`, `frames` (all that were handed out) and `released`
(their numbers, in the order of release). `wait_until(lambda: source.opens == 2)` waits for it.
"""

import threading
import time

import numpy as np

from device.capture import Frame, Picture
from device.errors import CameraError

END = object()
PATIENCE_S = 20.0
"""How long a test waits for what must happen, before it fails instead of hanging."""


def grey(level=100, width=32, height=24):
    """A small picture of one brightness, (height, width, 3) uint8 BGR."""
    return np.full((height, width, 3), level, np.uint8)


def make_frame(number, seconds, bgr_array, lores=None):
    """A frame of arrays of the test's own; its release wipes them.

    bgr_array, lores: (h, w, 3) uint8 BGR, not copied. Without `lores` the main picture serves as
    both.
    """
    small = bgr_array if lores is None else lores

    def release():
        bgr_array.fill(0)
        small.fill(0)

    return Frame(
        number,
        time.time_ns(),
        seconds,
        Picture.of_bgr(small),
        Picture.of_bgr(bgr_array),
        release=release,
    )


class Hang:
    """A driver that does not come back until `resume`."""

    def __init__(self):
        self.entered = threading.Event()
        self._resumed = threading.Event()

    def resume(self):
        self._resumed.set()

    def wait(self):
        self.entered.set()
        self._resumed.wait(PATIENCE_S)


class ScriptedSource:
    """A `FrameSource` that plays a script; see the module's docstring."""

    def __init__(self, *script, live=True, rate=10.0, open_errors=(), name="scripted source"):
        self.name = name
        self.live = live
        self.endless = live
        self.rate = rate
        self.open_errors = list(open_errors)
        self.opens = 0
        self.closes = 0
        self.is_open = self.discarded = False
        self.frames = []
        self.released = []
        self._script = list(script)
        self._changed = threading.Condition()

    def add(self, *items):
        """Append to the script; a `read` that waits goes on."""
        with self._changed:
            self._script.extend(items)
            self._changed.notify_all()

    def wait_until(self, condition):
        """Wait until `condition()` holds; it is looked at after everything that happens here."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), "it never happened"

    def open(self):
        with self._changed:
            self.opens += 1
            self._changed.notify_all()
            error = self.open_errors.pop(0) if self.open_errors else None
            if error is not None:
                raise error
            self.is_open = True

    def read(self, timeout_s):
        assert self.is_open, "read before open"
        while isinstance(item := self._next_item(timeout_s), Hang):
            item.wait()
        if isinstance(item, BaseException):
            raise item
        if item is END:
            return None
        return self._hand_out(item)

    def close(self):
        with self._changed:
            self.closes += 1
            self.is_open = False
            self._changed.notify_all()

    def discard(self):
        self.discarded = True

    def _next_item(self, timeout_s):
        with self._changed:
            if not self._script and not self.live:
                return END
            if not self._changed.wait_for(lambda: bool(self._script), timeout_s):
                raise CameraError(f"{self.name} gave no frame for {timeout_s:g} s: check it.")
            return self._script.pop(0)

    def _hand_out(self, item):
        number = len(self.frames)
        frame = item if isinstance(item, Frame) else make_frame(number, number / self.rate, item)
        self._watch_release(frame)
        with self._changed:
            self.frames.append(frame)
            self._changed.notify_all()
        return frame

    def _watch_release(self, frame):
        really = frame._release

        def release():
            really()
            with self._changed:
                self.released.append(frame.number)
                self._changed.notify_all()

        frame._release = release
