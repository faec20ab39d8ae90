"""Pictures for people: whoever raised no alert is unrecognisable, and nothing else changes."""

import numpy as np
import pytest

from device.opencv import cv2
from device.vision import StillFace
from device.vision.quality import Pose
from tools.lab.picture import TILE, Marked, annotate, sheet, tile

MARGIN = 0.25
AMBER = (0, 170, 255)


def noise(height=240, width=320):
    """A picture of detail only: the hardest to hide."""
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


def face(x, y, width, height):
    pose = Pose(interocular_px=30, yaw=0, pitch=0, roll_degrees=0)
    box = np.array([x, y, width, height], np.float32)
    return StillFace(box, np.zeros((5, 2), np.float32), 0.9, pose)


def detail(pixels):
    """Energy of the high frequencies: mean square of the Laplacian."""
    return float(np.square(cv2.Laplacian(pixels.astype(np.float32), cv2.CV_32F)).mean())


def around(shape, x, y, width, height):
    """Mask of a box with its margin and one pixel for rounding."""
    mask = np.zeros(shape[:2], bool)
    left, top = max(0, int(x - MARGIN * width)), max(0, int(y - MARGIN * height))
    right, bottom = int(x + (1 + MARGIN) * width) + 1, int(y + (1 + MARGIN) * height) + 1
    mask[top : max(0, bottom), left : max(0, right)] = True
    return mask


def test_a_face_without_an_alert_loses_all_its_detail():
    pixels = noise()
    result = annotate(pixels, [face(100, 80, 60, 80)], [])
    region = np.s_[80:160, 100:160]
    assert detail(pixels[region]) > 1000
    assert detail(result[region]) < detail(pixels[region]) / 10_000


def test_hair_and_ears_around_the_face_are_blurred_too():
    pixels = noise()
    result = annotate(pixels, [face(100, 80, 60, 80)], [])
    for region in (np.s_[62:80, 90:170], np.s_[162:178, 90:170], np.s_[80:160, 86:100]):
        assert detail(result[region]) < detail(pixels[region]) / 1000


def test_what_is_left_of_a_face_is_a_few_grey_cells():
    pixels = noise()
    result = annotate(pixels, [face(100, 80, 60, 80)], [])
    cells = cv2.resize(result[60:181, 85:176], (5, 5), interpolation=cv2.INTER_AREA)
    rebuilt = cv2.resize(cells, (91, 121), interpolation=cv2.INTER_LINEAR)
    assert np.abs(rebuilt.astype(int) - result[60:181, 85:176]).max() < 40


def test_pixels_outside_the_margin_are_unchanged():
    pixels = noise()
    result = annotate(pixels, [face(100, 80, 60, 80)], [])
    outside = ~around(pixels.shape, 100, 80, 60, 80)
    assert outside.any()
    assert np.array_equal(result[outside], pixels[outside])


@pytest.mark.parametrize("place", [(-20, -20), (290, 210), (-30, 100), (150, -70)])
def test_a_face_cut_by_the_edge_is_blurred_where_it_shows(place):
    pixels = noise()
    result = annotate(pixels, [face(*place, 60, 80)], [])
    mask = around(pixels.shape, *place, 60, 80)
    inside = np.s_[max(0, place[1]) : place[1] + 80, max(0, place[0]) : place[0] + 60]
    assert detail(result[inside]) < detail(pixels[inside]) / 100
    assert np.array_equal(result[~mask], pixels[~mask])


@pytest.mark.parametrize("place", [(-100, 50), (50, -130), (900, 50), (50, 900)])
def test_a_face_outside_the_picture_changes_nothing(place):
    pixels = noise()
    assert np.array_equal(annotate(pixels, [face(*place, 60, 80)], []), pixels)


def test_a_face_with_an_alert_stays_untouched_within_its_box_lines():
    pixels = noise()
    result = annotate(pixels, [face(100, 80, 60, 80)], [Marked((100, 80, 60, 80), "r-001")])
    changed = np.argwhere((result != pixels).any(axis=2))
    on_a_line = np.isin(changed[:, 0], (79, 80, 81, 159, 160, 161)) | np.isin(
        changed[:, 1], (99, 100, 101, 159, 160, 161)
    )
    assert len(changed)
    assert on_a_line.all()
    assert np.array_equal(result[82:159, 102:159], pixels[82:159, 102:159])
    assert tuple(result[80, 130]) == AMBER


def test_the_face_beside_an_alert_is_blurred_all_the_same():
    pixels = noise()
    faces = [face(40, 80, 60, 80), face(200, 80, 60, 80)]
    result = annotate(pixels, faces, [Marked((40, 80, 60, 80), "r-001")])
    assert np.array_equal(result[85:155, 45:95], pixels[85:155, 45:95])
    beside = np.s_[80:160, 200:260]
    assert detail(result[beside]) < detail(pixels[beside]) / 10_000


def test_an_alert_elsewhere_does_not_spare_a_face():
    pixels = noise()
    result = annotate(pixels, [face(200, 80, 60, 80)], [Marked((250, 150, 60, 80), "r-001")])
    region = np.s_[80:145, 200:245]
    assert detail(result[region]) < detail(pixels[region]) / 1000


def test_the_picture_that_was_handed_in_is_not_changed():
    pixels = noise()
    annotate(pixels, [face(100, 80, 60, 80)], [Marked((10, 10, 50, 50), "r-001")])
    assert np.array_equal(pixels, noise())


def test_without_faces_the_picture_is_what_it_was():
    assert np.array_equal(annotate(noise(), [], []), noise())


@pytest.mark.parametrize("shape", [(100, 100), (2000, 30), (30, 2000), (1080, 1920)])
def test_a_tile_has_one_size_whatever_the_picture(shape):
    field = tile(noise(*shape), "title", [])
    assert field.shape == (TILE[1] + 54, TILE[0], 3)


def test_a_tile_says_in_colour_whether_there_was_an_alert():
    with_alert = tile(noise(), "title", [Marked((0, 0, 5, 5), "r-001")])
    without = tile(noise(), "title", [])
    words = np.s_[TILE[1] + 28 :, :]
    blue, red = with_alert[words][..., 0].astype(int), with_alert[words][..., 2].astype(int)
    assert (red - blue).max() > 100
    assert np.ptp(without[words], axis=2).max() == 0
    assert np.ptp(without[words]) > 0


def test_a_sheet_fills_its_last_row_with_blanks():
    fields = [np.full((10, 20, 3), value, np.uint8) for value in (50, 60, 70)]
    result = sheet(fields, columns=2)
    assert result.shape == (20, 40, 3)
    assert (result[10:, :20] == 70).all()
    assert (result[10:, 20:] == 24).all()
