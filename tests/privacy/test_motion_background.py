"""The one picture that is kept between frames, the motion gate's background, holds no face."""

import cv2
import numpy as np
import pytest

from device.capture.frame import Picture
from device.capture.stills import read_still
from device.settings import ModelSettings, VisionSettings
from device.vision import Eye, find_faces
from device.vision.motion import MotionGate

ACCEPTED = 0.45


def _street(photograph, share):
    """Put a photograph's face into a frame so that it is `share` of the width."""
    height, width, _ = photograph.shape
    side = round(1280 * share * 2.2)
    street = np.full((720, 1280, 3), 110, np.uint8)
    small = cv2.resize(photograph, (side, round(height * side / width)))[:720, :1280]
    street[: small.shape[0], : small.shape[1]] = small
    return street


def _recognised(eye, pixels, template):
    faces = find_faces(eye, pixels)
    probes = [eye.probe(Picture.of_bgr(pixels), face.landmarks)[0] for face in faces]
    return any(p is not None and float(p.template @ template) >= ACCEPTED for p in probes)


def _found_in_background(eye, faces, share):
    """Return how often 12 people were recognised in their frames, and in the backgrounds."""
    control = found = 0
    for path in sorted((faces / "london").glob("*/*neutral.jpg"))[:12]:
        street = _street(read_still(path), share)
        (face, *_) = find_faces(eye, street)
        probe, _ = eye.probe(Picture.of_bgr(street), face.landmarks)
        template = probe.template.copy()
        control += _recognised(eye, street, template)
        gate = MotionGate(0.002)
        gate.moved(Picture.of_bgr(street))
        background = np.clip(gate._background, 0, 255).astype(np.uint8)
        for interpolation in (cv2.INTER_CUBIC, cv2.INTER_LINEAR):
            enlarged = cv2.resize(background, (1280, 720), interpolation=interpolation)
            found += _recognised(eye, cv2.cvtColor(enlarged, cv2.COLOR_GRAY2BGR), template)
    return control, found


@pytest.fixture(scope="module")
def eye(models):
    """Eyes that are less strict than the appliance's: what they do not find, it does not hold."""
    easy = VisionSettings(detection_threshold=0.3, interocular_px=8, sharpness=0)
    return Eye.open(models, ModelSettings(), easy)


@pytest.mark.parametrize("share", [0.15, 0.25, 0.4])
def test_nobody_is_recognised_in_the_background(eye, faces, share):
    assert _found_in_background(eye, faces, share) == (12, 0)


def test_in_a_wider_background_people_would_be_recognised(eye, faces, monkeypatch):
    monkeypatch.setattr("device.vision.motion._WIDTH", 160)
    control, found = _found_in_background(eye, faces, 0.25)
    assert control == 12
    assert found > 6
