"""Raised shadows: what lies in the dark comes out, and ordinary faces stay as they are."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from device.vision import shadows
from device.vision.shadows import in_the_dark, raise_shadows
from device.vision.stills import find_faces
from tests.simulators.street import HueDetector, eye, picture, settings
from tests.simulators.street import Person as Walker
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
def side_lit():
    return face(azimuth=85, elevation=0, key=1.0, ambient=0.02, shadow=1.0)


@pytest.fixture
def half_lit(side_lit):
    return side_lit.copy()


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
    half_lit[:, 56:] = half_lit[:, :56][:, ::-1] // 8
    assert in_the_dark(half_lit)


@pytest.mark.parametrize("seed", range(6))
def test_the_quick_look_at_a_large_face_changes_no_answer(seed, monkeypatch):
    shot = render(Person.from_seed(seed), View.frontal(seed), 300)
    upright = cv2.resize(aligned(shot), (213, 213), interpolation=cv2.INTER_AREA)
    across = np.linspace(1, 0.05, 213)[None, :, None]
    shades = [(upright * level).astype(np.uint8) for level in np.geomspace(1, 0.05, 25)]
    shades += [(shade * across).astype(np.uint8) for shade in shades]
    quick = [in_the_dark(shade) for shade in shades]
    spared = sum(shadows._surely_lit(shade, np.empty((8, 8), np.uint8)) for shade in shades)
    monkeypatch.setattr(shadows, "_surely_lit", lambda *_: False)
    assert quick == [in_the_dark(shade) for shade in shades]
    assert True in quick
    assert spared > 0


@pytest.mark.parametrize("side", [1, 2, 7, 15, 17, 33])
def test_a_face_of_any_size_is_judged(side):
    assert in_the_dark(np.full((side, side, 3), 20, np.uint8))
    assert not in_the_dark(np.full((side, side, 3), 200, np.uint8))


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


def test_what_glares_in_the_dark_does_not_turn_over():
    glaring = np.full((112, 112, 3), 3, np.uint8)
    glaring[50:54, 50:54] = 255
    raise_shadows(glaring)
    assert np.all(glaring[50:54, 50:54] == 255)
    assert 3 < glaring[20, 20, 0] < 60


def test_a_mask_dark_glasses_and_the_edge_of_the_picture_are_not_the_dark(lit):
    masked, spectacled, cut = lit.copy(), lit.copy(), lit.copy()
    masked[70:] = 10
    spectacled[42:62, 20:54] = 10
    spectacled[42:62, 60:94] = 10
    cut[:, :42] = 0
    for ordinary in (masked, spectacled, cut):
        assert not in_the_dark(ordinary)


def test_a_big_picture_is_raised_as_a_small_one():
    small = cv2.GaussianBlur(
        np.random.default_rng(2).integers(0, 90, (96, 128, 3), np.uint8), (0, 0), 6
    )
    big = cv2.resize(small, (1024, 768), interpolation=cv2.INTER_LINEAR)
    raise_shadows(small)
    raise_shadows(big)
    again = cv2.resize(big, (128, 96), interpolation=cv2.INTER_AREA)
    assert np.abs(again.astype(int) - small)[4:-4, 4:-4].max() <= 3


def test_no_picture_of_a_face_stays_in_memory(half_lit, monkeypatch):
    kept = []
    for name in ("empty", "asarray"):
        make = getattr(np, name)

        def spy(*given, _make=make, **options):
            made = _make(*given, **options)
            if isinstance(made, np.ndarray):
                kept.append(made)
            return made

        monkeypatch.setattr(np, name, spy)
    in_the_dark(half_lit)
    raise_shadows(half_lit)
    monkeypatch.undo()
    pictures = [each for each in kept if each.ndim == 3 or each.shape == (8, 8)]
    assert len(pictures) >= 3
    assert not any(each.any() for each in pictures)


class DayDetector(HueDetector):
    """Sees nothing where it is dark."""

    def detect(self, lores, main_width):
        bright = lores.region_bgr(0, 0, lores.width, lores.height).max(axis=2)
        rows = super().detect(lores, main_width)
        return rows if np.quantile(bright, 0.9) > 30 else rows[:0]


@pytest.mark.parametrize("times", [1, 4])
def test_a_dark_still_is_looked_at_once_more(times):
    seeing = replace(eye(settings("x")), detector=DayDetector())
    street = picture([Walker(30, 200)], 0)
    size = (street.shape[1] * times, street.shape[0] * times)
    street = cv2.resize(street, size, interpolation=cv2.INTER_NEAREST)
    lit, dark = (
        max(find_faces(seeing, each), key=lambda face: face.box[2])
        for each in (street, street // 12)
    )
    assert (lit.dark, dark.dark) == (False, True)
    assert dark.box == pytest.approx(lit.box, abs=4 * times)
    assert dark.landmarks == pytest.approx(lit.landmarks, abs=4 * times)


def test_a_dark_still_without_anybody_has_no_face():
    seeing = replace(eye(settings("x")), detector=DayDetector())
    assert find_faces(seeing, picture([], 0) // 12) == []
