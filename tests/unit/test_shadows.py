"""Raised shadows: what lies in the dark comes out, and ordinary faces stay as they are."""

import cv2
import numpy as np
import pytest

from device.vision.shadows import in_the_dark, raise_shadows
from tools.lab.people import Light, Person, View, render
from tools.lab.people.pool import aligned


def face(**light):
    """Return a rendered face, aligned, (112, 112, 3)."""
    shot = render(Person.from_seed(3), View(light=Light(**light)), 240)
    return cv2.resize(aligned(shot), (112, 112), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def lit():
    return face()


@pytest.fixture(scope="module")
def half_lit():
    return face(azimuth=85, elevation=0, key=1.0, ambient=0.02, shadow=1.0)


def alike(first, second):
    """Return the correlation of two inner faces."""
    grays = [cv2.cvtColor(each, cv2.COLOR_BGR2GRAY)[24:88, 24:88] for each in (first, second)]
    return np.corrcoef(*(gray.ravel() for gray in grays))[0, 1]


def test_a_face_in_ordinary_light_is_not_in_the_dark(lit):
    assert not in_the_dark(lit)
    for share in (0.75, 0.5):
        assert not in_the_dark((lit * share).astype(np.uint8))


def test_a_face_at_night_and_one_lit_from_the_side_are(lit, half_lit):
    assert in_the_dark(lit // 10)
    unlit = half_lit.copy()
    unlit[:, 56:] = half_lit[:, :56][:, ::-1] // 8
    assert in_the_dark(unlit)


@pytest.mark.parametrize("seed", range(40))
def test_dark_skin_in_ordinary_light_is_not_the_dark(seed):
    shot = render(Person.from_seed(seed), View.frontal(seed), 200)
    assert not in_the_dark(aligned(shot))


def test_a_tenth_of_the_light_gives_nearly_the_same_face(lit):
    dark = (lit // 10).astype(np.uint8)
    raise_shadows(dark)
    assert dark.mean() > 3 * (lit // 10).mean()
    assert alike(dark, lit) > 0.9


def test_the_dark_side_comes_out(lit, half_lit):
    before = half_lit.copy()
    raise_shadows(half_lit)
    dark = before.max(axis=2) < 15
    assert half_lit[dark].mean() > 1.5 * before[dark].mean()
    assert alike(half_lit, lit) > alike(before, lit) + 0.04


def test_black_stays_black_and_small_pictures_are_no_error():
    for shape in ((112, 112, 3), (2, 2, 3), (1, 300, 3), (5, 3, 3)):
        black = np.zeros(shape, np.uint8)
        raise_shadows(black)
        assert not black.any()


def test_no_value_leaves_the_range(half_lit):
    glaring = np.where(half_lit > 10, 255, 3).astype(np.uint8)
    raise_shadows(glaring)
    assert glaring.max() <= 255
    assert glaring[half_lit <= 10].mean() < 128
