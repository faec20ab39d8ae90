"""What USB cameras and clips share: frames read by OpenCV into buffers of our own."""

import time
from typing import Any, Protocol

import numpy as np

from device.capture.buffers import BufferPool
from device.capture.frame import Frame, Picture, Pixels
from device.errors import CameraError
from device.opencv import cv2


class Grabber(Protocol):
    """The part of `cv2.VideoCapture` that is used here."""

    def read(self, image: Any = None) -> tuple[bool, Any]:  # noqa: ANN401 - cv2's own types vary
        """Decode the next frame, into `image` where its shape fits."""
        ...


class FrameMaker:
    """Turns decoded BGR pictures of one size into `Frame`s, without allocating in the steady state.

    shape: (height, width, 3) of the main picture. lores_width: width of the small one; a main
    picture that is no wider serves as both.
    """

    def __init__(self, shape: tuple[int, int, int], lores_width: int) -> None:
        self.shape = shape
        height, width, _ = shape
        self._main = BufferPool(shape)
        self._lores: BufferPool | None = None
        if width > lores_width:
            self._lores = BufferPool((round(height * lores_width / width), lores_width, 3))
        self._number = 0

    def read(self, grabber: Grabber, timeout_s: float) -> Pixels | None:
        """Decode the next picture into a buffer. None: there is no next one.

        Raises CameraError when all buffers are in use for `timeout_s` seconds.
        """
        buffer = self._main.take(timeout_s)
        if buffer is None:
            msg = "No frame buffer came free: the processing has stopped."
            raise CameraError(msg)
        try:
            ok, decoded = grabber.read(buffer)
            if ok and decoded is not buffer:
                self._adopt(decoded, buffer)
        except Exception:
            self._main.give_back(buffer)
            raise
        if not ok:
            self._main.give_back(buffer)
            return None
        return buffer

    def frame(self, main: Pixels, seconds: float, taken_ns: int | None = None) -> Frame:
        """Wrap a buffer that `read` filled, and make its small copy. taken_ns: see `Frame`."""
        small = main
        if self._lores is not None:
            taken = self._lores.take(1.0)
            if taken is None:
                self._main.give_back(main)
                msg = "No frame buffer came free: the processing has stopped."
                raise CameraError(msg)
            height, width, _ = taken.shape
            try:
                cv2.resize(main, (width, height), dst=taken, interpolation=cv2.INTER_AREA)
            except cv2.error as error:
                self._lores.give_back(taken)
                self._main.give_back(main)
                raise CameraError(f"A frame could not be made smaller ({error}).") from error
            small = taken

        def release() -> None:
            if self._lores is not None:
                self._lores.give_back(small)
            self._main.give_back(main)

        number, self._number = self._number, self._number + 1
        return Frame(
            number,
            time.time_ns(),
            seconds,
            Picture.of_bgr(small),
            Picture.of_bgr(main),
            release=release,
            taken_ns=taken_ns,
        )

    def _adopt(self, decoded: Pixels, buffer: Pixels) -> None:
        """Copy a picture that OpenCV decoded into memory of its own, and wipe that memory."""
        if not np.shares_memory(decoded, buffer):
            height, width, _ = self.shape
            if decoded.shape == self.shape:
                buffer[:] = decoded
            else:
                cv2.resize(decoded, (width, height), dst=buffer)
            decoded.fill(0)
