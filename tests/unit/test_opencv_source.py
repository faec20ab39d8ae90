"""`FrameMaker`: OpenCV's pictures in buffers of our own, without allocating, wiped at the end."""

import numpy as np
import pytest

from device.capture.buffers import POOL_SIZE
from device.capture.opencv_source import FrameMaker
from device.errors import CameraError

SHAPE = (48, 64, 3)


class Grabber:
    """A `cv2.VideoCapture` that decodes one brightness after the other, and then nothing.

    in_place: decode into the buffer that is handed in, as OpenCV does where its size fits.
    """

    def __init__(self, *levels, in_place=True, shape=SHAPE):
        self.own = []
        self._levels = list(levels)
        self._in_place = in_place
        self._shape = shape

    def read(self, image=None):
        if not self._levels:
            return False, None
        level = self._levels.pop(0)
        if self._in_place:
            image.fill(level)
            return True, image
        self.own.append(np.full(self._shape, level, np.uint8))
        return True, self.own[-1]


def _frame(maker, grabber, seconds=0.0):
    return maker.frame(maker.read(grabber, 0.01), seconds)


def test_a_frame_has_both_sizes_of_the_same_picture():
    frame = _frame(FrameMaker(SHAPE, 16), Grabber(90), seconds=1.5)
    assert frame.main.pixels.shape == (48, 64, 3)
    assert frame.lores.pixels.shape == (12, 16, 3)
    assert (frame.lores.pixels == 90).all()
    assert frame.seconds == 1.5


def test_lores_keeps_the_shape_of_the_picture():
    frame = _frame(FrameMaker((1080, 1920, 3), 640), Grabber(1, shape=(1080, 1920, 3)))
    assert (frame.lores.width, frame.lores.height) == (640, 360)


@pytest.mark.parametrize("lores_width", [64, 640])
def test_a_narrow_picture_serves_as_both(lores_width):
    frame = _frame(FrameMaker(SHAPE, lores_width), Grabber(90))
    assert frame.lores.pixels is frame.main.pixels
    frame.release()
    assert not frame.main.pixels.any()


def test_frames_are_numbered_and_carry_the_time_of_capture():
    maker = FrameMaker(SHAPE, 16)
    grabber = Grabber(1, 2)
    first, second = _frame(maker, grabber), _frame(maker, grabber)
    assert first.number == 0
    assert first.captured_at_ns <= second.captured_at_ns
    assert second.number == 1
    assert second.captured_at_ns > 10**18


def test_no_picture_memory_is_new_after_the_first_round():
    maker = FrameMaker(SHAPE, 16)
    grabber = Grabber(*range(1, 41))
    seen = []
    for _ in range(40):
        frame = _frame(maker, grabber)
        seen.append((frame.main.pixels.ctypes.data, frame.lores.pixels.ctypes.data))
        frame.release()
    mains, smalls = zip(*seen, strict=True)
    assert set(mains) == set(mains[:POOL_SIZE])
    assert set(smalls) == set(smalls[:POOL_SIZE])


def test_opencv_decodes_into_our_buffer_without_a_copy():
    maker = FrameMaker(SHAPE, 16)
    handed_in = []

    class Watching(Grabber):
        def read(self, image=None):
            handed_in.append(image)
            return super().read(image)

    assert maker.read(Watching(5), 0.01) is handed_in[0]


def test_release_wipes_both_pictures():
    frame = _frame(FrameMaker(SHAPE, 16), Grabber(200))
    main, lores = frame.main.pixels, frame.lores.pixels
    assert main.all()
    assert lores.all()
    frame.release()
    assert not main.any()
    assert not lores.any()


def test_memory_that_opencv_allocated_itself_is_wiped():
    grabber = Grabber(200, in_place=False)
    frame = _frame(FrameMaker(SHAPE, 16), grabber)
    assert (frame.main.pixels == 200).all()
    assert not grabber.own[0].any()


def test_a_picture_of_another_size_is_fitted_and_its_memory_wiped():
    grabber = Grabber(200, in_place=False, shape=(96, 128, 3))
    frame = _frame(FrameMaker(SHAPE, 16), grabber)
    assert frame.main.pixels.shape == SHAPE
    assert (frame.main.pixels == 200).all()
    assert not grabber.own[0].any()


def test_the_end_gives_none_and_costs_no_buffer():
    maker = FrameMaker(SHAPE, 16)
    for _ in range(2 * POOL_SIZE):
        assert maker.read(Grabber(), 0.01) is None


def test_frames_that_are_never_released_are_an_error_not_new_memory():
    maker = FrameMaker(SHAPE, 16)
    grabber = Grabber(*range(1, 10))
    kept = [_frame(maker, grabber) for _ in range(POOL_SIZE)]
    with pytest.raises(CameraError, match="No frame buffer came free"):
        maker.read(grabber, 0.01)
    kept[0].release()
    _frame(maker, grabber).release()


def test_a_decoder_that_raises_costs_no_buffer():
    class Broken:
        def read(self, image=None):
            raise ValueError("a driver's surprise")

    maker = FrameMaker(SHAPE, 16)
    for _ in range(2 * POOL_SIZE):
        with pytest.raises(ValueError, match="surprise"):
            maker.read(Broken(), 0.01)
