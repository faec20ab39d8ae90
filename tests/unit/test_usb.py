"""The USB camera's sentences; a real one is needed for its frames (docs/hardware.md)."""

from pathlib import Path

import numpy as np
import pytest

from device.capture import usb
from device.capture.usb import UsbSource
from device.errors import CameraError


def _source(path):
    return UsbSource(Path(path), 64, 48, 15.0, 32)


def test_a_missing_device_is_a_sentence(tmp_path, capfd):
    with pytest.raises(CameraError, match="does not exist: plug the USB camera in, or correct"):
        _source(tmp_path / "video0").open()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_a_device_that_is_no_camera_is_a_sentence(path, capfd):
    with pytest.raises(CameraError, match=f"{path} gives no picture.*it is no camera"):
        _source(path).open()
    assert capfd.readouterr() == ("", "")


def test_a_plain_file_is_no_camera(tmp_path, capfd):
    (tmp_path / "video0").write_text("not a device")
    with pytest.raises(CameraError, match="gives no picture"):
        _source(tmp_path / "video0").open()
    assert capfd.readouterr() == ("", "")


def test_a_source_that_did_not_open_can_be_closed_and_says_that_it_is_not_open():
    source = _source("/dev/null")
    with pytest.raises(CameraError):
        source.open()
    source.close()
    source.close()
    with pytest.raises(CameraError, match="USB camera /dev/null is not open"):
        source.read(0.01)


class Capture:
    """`cv2.VideoCapture` of a camera that gives `pictures` pictures and is then unplugged."""

    pictures = 3
    made: tuple = ()

    def __init__(self, path, backend):
        self.options = {}
        self.released = False
        self.left = self.pictures
        self.peeked = None
        type(self).made += (self,)

    def set(self, option, value):
        self.options[option] = value
        return True

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return True

    def read(self, image=None):
        if self.left == 0:
            return False, None
        self.left -= 1
        if image is None:
            self.peeked = image = np.empty((48, 64, 3), np.uint8)
        image.fill(90)
        return True, image

    def release(self):
        self.released = True


@pytest.fixture
def capture(monkeypatch):
    class Fresh(Capture):
        pass

    monkeypatch.setattr(usb.cv2, "VideoCapture", Fresh)
    return Fresh


@pytest.fixture
def opened(capture, tmp_path):
    (tmp_path / "video0").touch()
    source = _source(tmp_path / "video0")
    source.open()
    return source


def test_the_camera_is_asked_for_the_configured_pictures_without_a_queue(opened, capture):
    options = capture.made[0].options
    assert options[usb.cv2.CAP_PROP_FOURCC] == usb.cv2.VideoWriter.fourcc(*"MJPG")
    assert options[usb.cv2.CAP_PROP_FRAME_WIDTH] == 64
    assert options[usb.cv2.CAP_PROP_FRAME_HEIGHT] == 48
    assert options[usb.cv2.CAP_PROP_FPS] == 15
    assert options[usb.cv2.CAP_PROP_BUFFERSIZE] == 1


def test_the_picture_that_told_the_size_is_wiped(opened, capture):
    assert not capture.made[0].peeked.any()


def test_frames_come_in_both_sizes_with_growing_seconds(opened):
    first, second = opened.read(1.0), opened.read(1.0)
    assert first.main.pixels.shape == (48, 64, 3)
    assert first.lores.pixels.shape == (24, 32, 3)
    assert (first.number, second.number) == (0, 1)
    assert first.seconds < second.seconds


def test_an_unplugged_camera_is_a_sentence_and_opens_again(opened, capture):
    for _ in range(2):
        opened.read(1.0).release()
    with pytest.raises(CameraError, match="stopped giving frames: check its plug and its power"):
        opened.read(1.0)
    opened.close()
    opened.open()
    assert opened.read(1.0).number == 2
    assert [c.released for c in capture.made] == [True, False]


def test_a_camera_that_opens_but_gives_no_picture_is_let_go(capture, tmp_path):
    capture.pictures = 0
    (tmp_path / "video0").touch()
    with pytest.raises(CameraError, match="another program may use it"):
        _source(tmp_path / "video0").open()
    assert capture.made[0].released
