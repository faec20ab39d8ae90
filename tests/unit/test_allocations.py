"""A frame allocates nothing of a frame's size, once the buffers are there."""

import numpy as np
import pytest

from device.opencv import cv2
from device.settings import VisionSettings
from device.vision import Eye
from tools.lab.bench.allocations import LARGE, Allocations, allocations_of
from tools.lab.bench.views import LAYOUTS, SCENES
from tools.lab.collection import models_of

VISION = VisionSettings(frame_budget_ms=0)


@pytest.fixture(scope="module")
def seeing(models):
    return Eye.open(models, models_of(models, "built-in"), VISION)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", SCENES)
def test_a_frame_allocates_nothing_of_its_size(seeing, name, layout):
    found, compared = allocations_of(seeing, VISION, SCENES[name], layout, 3)
    assert found == {}
    assert (compared > 0) == (SCENES[name] > 0)
    assert seeing.wiped


def _a_picture(picture):
    return picture.copy()


def _one_that_is_given_back(picture):
    return int((picture + picture).size)


def _of_opencv(picture):
    return cv2.resize(picture, (400, 400)).shape


@pytest.mark.parametrize("allocates", [_a_picture, _one_that_is_given_back, _of_opencv])
def test_what_allocates_is_found_with_its_line(allocates):
    picture = np.zeros((300, 300), np.uint8)
    with Allocations() as watch:
        allocates(picture)
    assert watch.found.total() == 1
    (place,) = watch.found
    line = allocates.__code__.co_firstlineno + 1
    assert place == f"{__file__}:{line}"


def test_what_is_smaller_is_not_counted():
    with Allocations() as watch:
        kept = [np.zeros(LARGE // 4, np.uint8)]
        kept.append(np.zeros(LARGE // 4, np.uint8))
    assert watch.found == {}
