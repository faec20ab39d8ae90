import numpy as np
import pytest

from device.vision.geometry import ARCFACE_112, similarity, template_points
from tools.lab.train.pairs import crops_of


def _moved(points, scale, degrees, shift):
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points @ turn.T + shift).astype(np.float32)


@pytest.mark.parametrize(("scale", "degrees"), [(1, 0), (0.3, 20), (4, -35), (1.7, 180)])
def test_a_known_similarity_is_recovered(scale, degrees):
    target = _moved(ARCFACE_112, scale, degrees, (30, -12))
    matrix = similarity(ARCFACE_112, target)
    mapped = ARCFACE_112 @ matrix[:, :2].T + matrix[:, 2]
    assert np.allclose(mapped, target, atol=2e-3 * scale + 1e-3)


def test_the_fit_is_the_least_squares_one():
    rng = np.random.default_rng(3)
    noisy = ARCFACE_112 + rng.normal(0, 3, (5, 2)).astype(np.float32)
    matrix = similarity(noisy, ARCFACE_112)

    def error(m):
        return float(((noisy @ m[:, :2].T + m[:, 2] - ARCFACE_112) ** 2).sum())

    best = error(matrix)
    for _ in range(200):
        a, b = rng.normal(0, 1e-3, 2)
        change = np.array([[a, -b, rng.normal(0, 0.05)], [b, a, rng.normal(0, 0.05)]])
        assert error(matrix + change) >= best - 1e-3


def test_landmarks_that_coincide_are_refused():
    with pytest.raises(ValueError, match="coincide"):
        similarity(np.zeros((5, 2), np.float32), ARCFACE_112)


def test_the_template_scales_with_the_crop():
    assert np.allclose(template_points(224), 2 * ARCFACE_112)


def test_a_tight_crop_shows_the_same_face_larger_about_the_middle():
    wide, tight = template_points(112), template_points(112, "tight")
    middle = np.full(2, 55.5)
    assert np.allclose(tight - middle, (wide - middle) * 1.08, atol=1e-3)


def test_the_device_cuts_a_tight_crop_as_the_training_did():
    source = np.zeros((1, 160, 160, 3), np.uint8)
    for x, y in np.rint(ARCFACE_112 + 24).astype(int):
        source[0, y - 1 : y + 2, x - 1 : x + 2] = 255
    crop = crops_of(source)[0, ..., 0]
    marks = [
        crop[round(y) - 4 : round(y) + 5, round(x) - 4 : round(x) + 5]
        for x, y in template_points(128, "tight")
    ]
    assert sum(int(mark.astype(int).sum()) for mark in marks) > 0.97 * int(crop.astype(int).sum())
