import numpy as np
import pytest

from device.capture.frame import Picture
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
