"""The second look: five dots for a face, and a detector that really looks for dots."""

import cv2
import numpy as np
import pytest

from device.capture.frame import Picture
from device.vision.detector import COLUMNS
from device.vision.geometry import template_points
from device.vision.second_look import SecondLook

INPUT = (640, 480)
TILE = 213


class DotDetector:
    """Finds groups of five dots as a face detector finds faces: it names them by where they are."""

    input_size = INPUT

    def __init__(self, blind=lambda column, row: False, stray=0.0):
        self.blind, self.stray = blind, stray
        self.seen = 0

    def detect(self, lores, main_width):
        assert main_width == lores.width
        self.seen += 1
        gray = lores.region_bgr(0, 0, lores.width, lores.height)[:, :, 1]
        rows = []
        for index in range(6):
            column, row = index % 3, index // 3
            left, top = column * TILE, row * TILE
            points = _dots(gray[top : top + TILE, left : left + TILE])
            if points is not None and not self.blind(column, row):
                points = points + (left, top) + self.stray * (-1) ** row
                rows.append([0, 0, 1, 1, *points.reshape(-1), 0.9])
        return np.array(rows, np.float32).reshape(-1, COLUMNS)


def _dots(gray):
    count, _, _, centres = cv2.connectedComponentsWithStats((gray > 110).astype(np.uint8))
    if count != 6:
        return None
    by_height = centres[1:][np.argsort(centres[1:, 1])]
    eyes, nose, mouth = by_height[:2], by_height[2:3], by_height[3:]
    return np.concatenate([eyes[np.argsort(eyes[:, 0])], nose, mouth[np.argsort(mouth[:, 0])]])


def _face(scale=2.0, degrees=10.0, centre=(400, 300), size=(800, 600)):
    """Return a picture with one face of dots, and where they are."""
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (template_points(112) - 56) @ turn.T + centre
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y in points:
        place = (round(16 * float(x)), round(16 * float(y)))
        cv2.circle(pixels, place, round(16 * 4 * scale), (255, 255, 255), -1, cv2.LINE_AA, 4)
    return pixels, points.astype(np.float32)


def _strayed(points, by):
    return points + np.float32(by) * np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 1]], "f4")


@pytest.mark.parametrize("scale", [0.6, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_strayed_landmarks_come_back_to_the_dots(scale, degrees):
    pixels, true = _face(scale, degrees, (700, 700), (1400, 1400))
    eyes = np.hypot(*(true[1] - true[0]))
    first = _strayed(true, 0.08 * eyes)
    found = SecondLook(DotDetector())(Picture.of_bgr(pixels), first)
    assert found.dtype == np.float32
    assert np.abs(found - true).max() < 0.02 * eyes < np.abs(first - true).max()


def test_it_costs_one_pass_of_the_detector():
    pixels, true = _face()
    detector = DotDetector()
    SecondLook(detector)(Picture.of_bgr(pixels), true)
    assert detector.seen == 1


def test_what_strays_one_way_in_some_views_and_another_in_others_is_averaged_away():
    pixels, true = _face(degrees=0.0)
    strayed = DotDetector(stray=6.0)
    found = SecondLook(strayed)(Picture.of_bgr(pixels), true)
    assert np.abs(found - true)[:, 1].max() < 0.5


def test_a_face_seen_in_too_few_views_keeps_its_landmarks():
    pixels, true = _face()
    first = _strayed(true, 5)
    picture = Picture.of_bgr(pixels)
    one = SecondLook(DotDetector(blind=lambda column, row: (column, row) != (0, 0)))
    assert np.array_equal(one(picture, first), first)
    two = SecondLook(DotDetector(blind=lambda column, row: column != 0))
    assert not np.array_equal(two(picture, first), first)


def test_another_face_beside_it_is_not_taken_for_it():
    pixels, true = _face()
    aside = true + np.array([70, 0], "f4")
    found = SecondLook(DotDetector())(Picture.of_bgr(pixels), aside)
    assert np.array_equal(found, aside)


@pytest.mark.parametrize("bad", [np.zeros((5, 2)), np.full((5, 2), np.nan)])
def test_landmarks_that_make_no_face_are_refused(bad):
    pixels, _ = _face()
    with pytest.raises(ValueError, match=r".+"):
        SecondLook(DotDetector())(Picture.of_bgr(pixels), bad.astype("f4"))


def test_a_face_outside_the_picture_is_refused():
    pixels, true = _face()
    with pytest.raises(ValueError, match="outside"):
        SecondLook(DotDetector())(Picture.of_bgr(pixels), true + np.float32(9000))


def test_nothing_of_the_face_stays_also_when_the_detector_fails():
    pixels, true = _face()
    looking = SecondLook(DotDetector())
    looking(Picture.of_bgr(pixels), true)
    assert looking.wiped

    def fail(lores, main_width):
        assert lores.pixels.any()
        raise RuntimeError("fault injected")

    looking._detector.detect = fail
    with pytest.raises(RuntimeError, match="injected"):
        looking(Picture.of_bgr(pixels), true)
    assert looking.wiped
