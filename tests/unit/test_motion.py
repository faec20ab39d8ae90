import numpy as np
import pytest

from device.capture.frame import Picture, PixelFormat
from device.opencv import cv2
from device.vision.motion import MotionGate


def _picture(level=100, square=None):
    pixels = np.full((360, 640, 3), level, np.uint8)
    if square is not None:
        x, y = square
        pixels[y : y + 60, x : x + 60] = 230
    return Picture.of_bgr(pixels)


def _settled():
    gate = MotionGate(0.002)
    for _ in range(20):
        gate.moved(_picture())
    return gate


def test_the_first_frame_counts_as_motion():
    assert MotionGate(0.002).moved(_picture())


def test_a_still_scene_does_not_move():
    assert not _settled().moved(_picture())


def test_noise_of_a_few_grey_levels_is_no_motion():
    gate = _settled()
    rng = np.random.default_rng(0)
    noisy = np.clip(100 + rng.normal(0, 3, (360, 640, 3)), 0, 255).astype(np.uint8)
    assert not gate.moved(Picture.of_bgr(noisy))


def test_somebody_who_enters_is_motion():
    assert _settled().moved(_picture(square=(300, 150)))


def test_somebody_who_stays_becomes_background():
    gate = _settled()
    moved = [gate.moved(_picture(square=(300, 150))) for _ in range(80)]
    assert moved[0]
    assert not moved[-1]


def test_after_the_light_changes_the_scene_is_learnt_anew():
    gate = _settled()
    assert gate.moved(_picture(level=180))
    assert not gate.moved(_picture(level=180))


def test_forget_wipes_the_background():
    gate = _settled()
    background = gate._background
    gate.forget()
    assert background.max() == 0
    assert gate._background is None


@pytest.mark.parametrize("contrast", [20, 40])
def test_a_walker_five_metres_away_is_motion(contrast):
    """At 5 m and 66 degrees a body is about 45 by 150 pixels of the small stream."""
    gate = _settled()
    moved = []
    for step in range(10):
        pixels = np.full((360, 640, 3), 100, np.uint8)
        left = 100 + 12 * step
        pixels[150:300, left : left + 45] = 100 + contrast
        moved.append(gate.moved(Picture.of_bgr(pixels)))
    assert all(moved)


@pytest.mark.parametrize("layout", ["BGR", "I420"])
def test_nothing_but_the_coarse_background_stays(layout):
    gate = MotionGate(0.002)
    pixels = _picture(square=(300, 150)).pixels
    picture = Picture.of_bgr(pixels)
    if layout == "I420":
        yuv = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420)
        picture = Picture(yuv, 640, 360, PixelFormat.I420)
    for _ in range(3):
        gate.moved(picture)
        assert gate.wiped
    assert gate._background.shape == (18, 32)


def test_every_other_row_tells_a_street_as_well_as_all():
    """Of what the gate compares, next to nothing depends on the rows that it passes over."""
    rng = np.random.default_rng(4)
    street = cv2.resize(rng.integers(0, 256, (30, 50, 3), np.uint8), (640, 360))
    noisy = np.clip(street + rng.normal(0, 8, street.shape), 0, 255).astype(np.uint8)
    picture = Picture.of_bgr(noisy)
    whole = cv2.resize(picture.luma(), (32, 18), interpolation=cv2.INTER_AREA)
    assert cv2.absdiff(MotionGate(0.002)._small(picture), whole).max() <= 3


def test_a_gate_that_fails_leaves_nothing(monkeypatch):
    gate = _settled()

    def fail(*_arguments, **_named):
        raise cv2.error("fault injected")

    monkeypatch.setattr("device.vision.motion.cv2.resize", fail)
    with pytest.raises(cv2.error):
        gate.moved(_picture(square=(300, 150)))
    assert gate.wiped
