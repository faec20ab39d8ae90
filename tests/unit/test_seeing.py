"""What `passerby doctor` says of threads, and of how far the detector sees."""

import msgspec
import pytest

from device.cli import seeing
from device.errors import ModelError
from device.settings import CameraSettings, ModelSettings, VisionSettings
from device.vision import Surroundings

SMALL, USUAL = "yunet-s-320x256", "yunet-s-640x480"
BUILT_IN = ModelSettings(detector="passerby-detector-640x480", embedder="passerby-embedder")


def camera(far=0.0):
    return CameraSettings(kind="picamera2", farthest_m=far)


def test_the_doctor_says_how_far_the_detector_sees():
    models = ModelSettings(detector_by_depth=True, threads=0)
    line = seeing.distance(models, VisionSettings(), camera(2.0))
    assert line == f"{SMALL} sees a face to 2.3 m; camera.farthest_m = 2"
    untold = seeing.distance(ModelSettings(), VisionSettings(), camera())
    assert untold == f"{USUAL} sees a face to 4.6 m; camera.farthest_m is not told"


def test_the_doctor_says_what_to_do_where_it_sees_too_little():
    with pytest.raises(ModelError, match=r"a face is 9 pixels .* it sees to 4\.6 m\. Mount"):
        seeing.distance(ModelSettings(), VisionSettings(), camera(8.0))


def test_the_doctor_s_figures_are_of_this_board_and_its_detector():
    models = msgspec.structs.replace(BUILT_IN, threads=2)
    line = seeing.threads(models, VisionSettings(), Surroundings())
    assert "uses 2 (models.threads)" in line
    assert "1 thread " in line
    assert line.endswith("what more than one leaves: docs/forgetting.md")
    measured = msgspec.structs.replace(BUILT_IN, threads=0)
    assert "(measured)" in seeing.threads(measured, VisionSettings(), Surroundings())
