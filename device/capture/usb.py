"""A USB camera through V4L2. Never run on real hardware yet: see docs/hardware.md."""

import time
from pathlib import Path

from device.capture.frame import Frame
from device.capture.opencv_source import FrameMaker
from device.errors import CameraError
from device.opencv import cv2


class UsbSource:
    """Frames of a V4L2 camera. MJPEG is asked for: raw YUYV does not fit USB 2 at full size."""

    def __init__(
        self, device: Path, width: int, height: int, frames_per_second: float, lores_width: int
    ) -> None:
        self.name = f"USB camera {device}"
        self.live = True
        self.endless = True
        self._device = device
        self._size = (width, height)
        self._rate = frames_per_second
        self._lores_width = lores_width
        self._camera: cv2.VideoCapture | None = None
        self._maker: FrameMaker | None = None

    def open(self) -> None:
        """Start the camera. Raises CameraError."""
        if not self._device.exists():
            msg = f"{self._device} does not exist: plug the USB camera in, or correct camera.path."
            raise CameraError(msg)
        camera = cv2.VideoCapture(str(self._device), cv2.CAP_V4L2)
        camera.set(cv2.CAP_PROP_FOURCC, int.from_bytes(b"MJPG", "little"))
        camera.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
        camera.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        camera.set(cv2.CAP_PROP_FPS, self._rate)
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        ok, first = camera.read() if camera.isOpened() else (False, None)
        if not ok or first is None:
            camera.release()
            msg = (
                f"{self._device} gives no picture: another program may use it, or it is no camera "
                "(try `v4l2-ctl --list-devices`)."
            )
            raise CameraError(msg)
        height, width, channels = first.shape
        first.fill(0)
        self._camera = camera
        if self._maker is None or self._maker.shape != (height, width, channels):
            self._maker = FrameMaker((height, width, channels), self._lores_width)

    def read(self, timeout_s: float) -> Frame | None:
        """See `FrameSource.read`. The driver's own wait is one second (`device.opencv`)."""
        if self._camera is None or self._maker is None:
            msg = f"{self.name} is not open."
            raise CameraError(msg)
        pixels = self._maker.read(self._camera, timeout_s)
        if pixels is None:
            msg = f"{self.name} stopped giving frames: check its plug and its power."
            raise CameraError(msg)
        # The driver tells no time; the picture was exposed and decoded before this moment.
        taken_ns = time.monotonic_ns()
        return self._maker.frame(pixels, taken_ns / 1e9, taken_ns)

    def close(self) -> None:
        """Give the camera back to the system."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.release()

    def discard(self) -> None:
        """Do nothing more: `close` has given it back."""
