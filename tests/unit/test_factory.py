"""`source_for`: the configuration's `camera` table chooses the source, and its settings arrive."""

import numpy as np
import pytest
from PIL import Image

from device.capture import source_for
from device.capture.picamera import PiCameraSource
from device.capture.stills import StillsSource
from device.capture.usb import UsbSource
from device.capture.video import VideoSource
from device.errors import CameraError, ConfigurationError
from device.settings import CameraSettings
from tests.simulators.picamera2 import SimulatedPicamera2


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("picamera2", "", PiCameraSource),
        ("usb", "/dev/video9", UsbSource),
        ("video", "clip.mp4", VideoSource),
        ("stills", "folder", StillsSource),
    ],
)
def test_the_kind_chooses_the_source_without_opening_it(kind, path, expected):
    source = source_for(CameraSettings(kind=kind, path=path))
    assert type(source) is expected
    assert path in source.name
    source.close()


@pytest.mark.parametrize("kind", ["usb", "video", "stills"])
def test_a_missing_path_is_a_sentence(kind):
    with pytest.raises(ConfigurationError, match=f'camera.kind = "{kind}" needs camera.path'):
        source_for(CameraSettings(kind=kind))


@pytest.mark.parametrize(
    ("kind", "pace", "live"),
    [
        ("picamera2", "realtime", True),
        ("usb", "realtime", True),
        ("video", "realtime", True),
        ("video", "fast", False),
        ("stills", "realtime", False),
    ],
)
def test_cameras_and_clips_in_real_time_are_live(kind, pace, live):
    assert source_for(CameraSettings(kind=kind, path="x", pace=pace)).live is live


def test_the_pi_cameras_settings_arrive(monkeypatch):
    module = SimulatedPicamera2(cameras=2)
    monkeypatch.setattr("device.capture.picamera._picamera2", lambda: module)
    settings = CameraSettings(
        kind="picamera2",
        index=1,
        width=256,
        height=128,
        lores_width=64,
        frames_per_second=20,
        exposure="normal",
        focus_m=2.0,
    )
    source = source_for(settings)
    source.open()
    frame = source.read(10.0)
    assert (frame.main.width, frame.main.height) == (256, 128)
    assert (frame.lores.width, frame.lores.height) == (64, 32)
    frame.release()
    controls, _ = module.hardware.starts[0]
    assert controls["FrameDurationLimits"] == (50_000, 50_000)
    assert controls["AeExposureMode"] == 0
    assert controls["LensPosition"] == 0.5
    assert set(module.hardware.opened) == {1}
    module.shut_down()


def test_the_width_of_the_small_stream_arrives_at_the_stills(tmp_path):
    Image.fromarray(np.full((100, 200, 3), 9, np.uint8)).save(tmp_path / "a.png")
    source = source_for(CameraSettings(kind="stills", path=str(tmp_path), lores_width=100))
    source.open()
    assert source.read(1.0).lores.pixels.shape == (50, 100, 3)


def test_a_usb_camera_that_is_not_there_is_noticed_when_it_opens(tmp_path):
    source = source_for(CameraSettings(kind="usb", path=str(tmp_path / "video0")))
    with pytest.raises(CameraError, match="video0 does not exist"):
        source.open()


def test_the_clips_loop_arrives():
    source = source_for(CameraSettings(kind="video", path="x", pace="fast", loop=True))
    assert source._loop is True
