"""Chooses the frame source that the configuration names."""

import logging
from pathlib import Path

from device.capture.picamera import PiCameraSource
from device.capture.source import FrameSource
from device.capture.usb import UsbSource
from device.capture.video import VideoSource
from device.errors import ConfigurationError
from device.settings import CameraSettings

log = logging.getLogger(__name__)


def source_for(camera: CameraSettings) -> FrameSource:
    """Return the (not yet opened) source. Raises ConfigurationError when `path` is missing."""
    if camera.kind == "picamera2":
        return PiCameraSource(
            width=camera.width,
            height=camera.height,
            lores_width=camera.lores_width,
            frames_per_second=camera.frames_per_second,
            exposure=camera.exposure,
            focus_m=camera.focus_m,
            index=camera.index,
            upside_down=camera.upside_down,
        )
    if not camera.path:
        msg = f'camera.kind = "{camera.kind}" needs camera.path.'
        raise ConfigurationError(msg)
    path = Path(camera.path)
    if camera.kind == "usb":
        return UsbSource(
            path, camera.width, camera.height, camera.frames_per_second, camera.lores_width
        )
    if camera.kind == "video":
        return VideoSource(
            path,
            fast=camera.pace == "fast",
            loop=camera.loop,
            lores_width=camera.lores_width,
        )
    return _stills(camera, path)


def _stills(camera: CameraSettings, path: Path) -> FrameSource:
    # Loaded late: beside a camera nobody needs Pillow, which takes four megabytes.
    from device.capture.stills import StillsSource  # noqa: PLC0415

    return StillsSource(
        path,
        camera.lores_width,
        camera.frames_per_second,
        on_unreadable=lambda error: log.warning("%s", error),
    )
