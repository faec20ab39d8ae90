import cv2
import numpy as np
import pytest

from device.capture.frame import Picture, PixelFormat
from device.capture.workspace import Workspace
from device.vision.geometry import similarity, template_points
from device.vision.sample import Aligner

SIDE = 128


def _scene(width=800, height=600):
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = np.stack([np.sin(x / 17), np.sin(y / 13), np.cos((x + y) / 23)], axis=2)
    return (120 + 80 * waves).astype(np.uint8)


def _landmarks(scale, degrees, centre):
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([SIDE / 2, SIDE / 2])
    return ((template_points(SIDE) - middle) @ turn.T + centre).astype(np.float32)


def _reference(pixels, landmarks):
    matrix = similarity(landmarks, template_points(SIDE))
    return cv2.warpAffine(pixels, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)


@pytest.mark.parametrize(("scale", "degrees"), [(0.8, 0), (1.0, 25), (1.6, -30)])
def test_cutting_first_gives_what_warping_the_whole_picture_gives(scale, degrees):
    pixels = _scene()
    landmarks = _landmarks(scale, degrees, (400, 300))
    sample = Aligner(SIDE).align(Picture.of_bgr(pixels), landmarks)
    assert np.abs(sample.pixels.astype(int) - _reference(pixels, landmarks)).mean() < 1


def test_a_large_face_is_shrunk_without_aliasing():
    pixels = np.zeros((1400, 1400, 3), np.uint8)
    pixels[:, ::2] = 255
    sample = Aligner(SIDE).align(Picture.of_bgr(pixels), _landmarks(8, 0, (700, 700)))
    inner = sample.pixels[20:-20, 20:-20].astype(int)
    assert abs(inner.mean() - 127) < 3
    assert inner.std() < 8


def test_a_large_face_lands_on_the_template():
    pixels = np.zeros((1400, 1400, 3), np.uint8)
    landmarks = _landmarks(5, 15, (700, 700))
    for x, y in landmarks:
        cv2.circle(pixels, (round(float(x)), round(float(y))), 10, (255, 255, 255), -1)
    sample = Aligner(SIDE).align(Picture.of_bgr(pixels), landmarks)
    for x, y in template_points(SIDE):
        patch = sample.pixels[
            round(float(y)) - 4 : round(float(y)) + 5, round(float(x)) - 4 : round(float(x)) + 5, 0
        ].astype(float)
        rows, columns = np.mgrid[-4:5, -4:5]
        assert abs((patch * columns).sum() / patch.sum()) < 0.75
        assert abs((patch * rows).sum() / patch.sum()) < 0.75


def test_i420_and_bgr_give_the_same_sample():
    pixels = cv2.GaussianBlur(_scene(), (0, 0), 2)
    yuv = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420)
    landmarks = _landmarks(1.2, 10, (400, 300))
    from_bgr = Aligner(SIDE).align(Picture.of_bgr(pixels), landmarks).pixels.astype(int)
    picture = Picture(yuv, 800, 600, PixelFormat.I420)
    from_yuv = Aligner(SIDE).align(picture, landmarks).pixels.astype(int)
    assert np.abs(from_bgr - from_yuv).mean() < 6


def test_a_face_at_the_edge_is_filled_with_black():
    sample = Aligner(SIDE).align(Picture.of_bgr(_scene()), _landmarks(1, 0, (0, 300)))
    assert sample.pixels[:, :40].max() == 0
    assert sample.pixels[:, 80:].max() > 0


@pytest.mark.parametrize("centre", [(-500, 300), (400, 9000), (np.nan, 300), (np.inf, 300)])
def test_a_face_outside_the_picture_is_refused(centre):
    with pytest.raises(ValueError, match=r".+"):
        Aligner(SIDE).align(Picture.of_bgr(_scene()), _landmarks(1, 0, centre))


def test_the_buffer_is_used_again_and_wiped():
    aligner = Aligner(SIDE)
    first = aligner.align(Picture.of_bgr(_scene()), _landmarks(1, 0, (400, 300)))
    second = aligner.align(Picture.of_bgr(_scene()), _landmarks(1, 0, (200, 200)))
    assert np.shares_memory(first.pixels, second.pixels)
    second.wipe()
    assert first.pixels.max() == 0


@pytest.mark.parametrize("padding", [0, 64])
def test_a_crop_is_the_same_in_used_memory_as_in_new(padding):
    yuv = cv2.cvtColor(_scene(), cv2.COLOR_BGR2YUV_I420)
    padded = np.full((900, 800 + padding), 77, np.uint8)
    padded[:600, :800] = yuv[:600]
    padded[600:].reshape(600, -1)[:, :400] = yuv[600:].reshape(600, 400)
    picture = Picture(padded, 800, 600, PixelFormat.I420)
    used = Aligner(SIDE)
    for place in ((400, 300), (10, 10), (790, 590), (400, 0)):
        for scale in (4, 0.5, 1.3):
            marks = _landmarks(scale, 20, place)
            fresh = Aligner(SIDE).align(picture, marks).pixels
            assert used.align(picture, marks).pixels.tobytes() == fresh.tobytes()
            assert used._work.wiped


def test_what_stays_on_the_way_to_a_crop_is_noticed(monkeypatch):
    aligner = Aligner(SIDE)
    monkeypatch.setattr(Workspace, "wipe", lambda _: None)
    aligner.align(Picture.of_bgr(_scene(3000, 3000)), _landmarks(9, 0, (1500, 1500))).wipe()
    assert not aligner._buffer.any()
    assert not aligner.wiped
