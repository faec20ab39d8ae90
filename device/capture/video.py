"""A clip as a frame source: in real time, as a camera would show it, or every frame, fast."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from device.capture.frame import Frame, Pixels
from device.capture.opencv_source import FrameMaker
from device.errors import CameraError
from device.opencv import cv2

# A container's frame count is an estimate; a clip that ends this far before it was cut.
_CUT_BELOW = 0.9
# Between the end and the new start of a looping clip, so that tracks end as for new passers-by.
_LOOP_PAUSE_S = 1.0


class VideoSource:
    """Frames of a clip.

    fast: read every frame, no matter when it is due; otherwise frames come when they are due and
    late ones are dropped. loop: start again at the end.
    """

    def __init__(
        self, path: Path, *, fast: bool, loop: bool = False, lores_width: int = 640
    ) -> None:
        self.name = f"clip {path}"
        self.live = not fast
        self.endless = False
        self._path = path
        self._loop = loop
        self._lores_width = lores_width
        self._clip: cv2.VideoCapture | None = None
        self._maker: FrameMaker | None = None
        self._first: Pixels | None = None
        self._started = 0.0
        self._offset_s = 0.0
        self._last_s = -_LOOP_PAUSE_S
        self._frames = 0

    def open(self) -> None:
        """Open the clip and decode its first frame. Raises CameraError."""
        if self._path.is_dir():
            msg = f'{self._path} is a folder: name a clip, or set camera.kind = "stills".'
            raise CameraError(msg)
        if not self._path.is_file():
            msg = f"{self._path} does not exist; give the path of a clip."
            raise CameraError(msg)
        clip = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        ok, first = clip.read() if clip.isOpened() else (False, None)
        if not ok or first is None:
            clip.release()
            msg = f"{self._path} cannot be read as a clip: it is damaged, empty or no video."
            raise CameraError(msg)
        self._clip, self._first, self._frames = clip, np.asarray(first, np.uint8), 0
        height, width, channels = self._first.shape
        if self._maker is None or self._maker.shape != (height, width, channels):
            self._maker = FrameMaker((height, width, channels), self._lores_width)
        # Zero at first; a clip that is opened again, for its loop or after a fault, goes on later.
        self._offset_s = self._last_s + _LOOP_PAUSE_S
        self._started = time.monotonic() - self._offset_s

    def read(self, timeout_s: float) -> Frame | None:
        """See `FrameSource.read`. Raises CameraError also when the clip was cut."""
        if self._clip is None or self._maker is None:
            msg = f"{self.name} is not open."
            raise CameraError(msg)
        pixels = self._next(self._clip, self._maker, timeout_s)
        if pixels is None:
            self._check_complete(self._clip)
            if not self._loop:
                return None
            self._rewind()
            return self.read(timeout_s)
        self._frames += 1
        self._last_s = self._offset_s + self._position_s(self._clip)
        if self.live:
            time.sleep(max(0.0, self._started + self._last_s - time.monotonic()))
        # In real time a frame is taken when it is due, not when it was decoded.
        return self._maker.frame(pixels, self._last_s, time.monotonic_ns())

    def close(self) -> None:
        """Close the file."""
        if self._first is not None:
            self._first.fill(0)
        clip, self._clip, self._first = self._clip, None, None
        if clip is not None:
            clip.release()

    def discard(self) -> None:
        """Do nothing more: `close` has given it back."""

    def _next(self, clip: cv2.VideoCapture, maker: FrameMaker, timeout_s: float) -> Pixels | None:
        if self._first is None:
            return maker.read(clip, timeout_s)
        pixels = maker.read(_Once(self._first), timeout_s)
        self._first = None
        return pixels

    def _position_s(self, clip: cv2.VideoCapture) -> float:
        """Time of the frame just read; clips without time stamps count frames instead."""
        seconds = float(clip.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        if math.isfinite(seconds) and (seconds > 0 or self._frames == 1):
            return seconds
        rate = float(clip.get(cv2.CAP_PROP_FPS))
        return (self._frames - 1) / (rate if math.isfinite(rate) and rate > 0 else 25.0)

    def _check_complete(self, clip: cv2.VideoCapture) -> None:
        expected = float(clip.get(cv2.CAP_PROP_FRAME_COUNT))
        if math.isfinite(expected) and self._frames < _CUT_BELOW * expected:
            msg = (
                f"{self._path} ends after {self._frames} of about {expected:.0f} frames: the file "
                "is cut or damaged; what could be read was compared."
            )
            raise CameraError(msg)

    def _rewind(self) -> None:
        self.close()
        self.open()


class _Once:
    """Hands out the frame that `open` decoded to learn the clip's size."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    def read(self, image: Any = None) -> tuple[bool, Any]:  # noqa: ANN401 - as cv2 does
        """Return the kept frame; the caller copies and wipes it."""
        del image
        return True, self._pixels
