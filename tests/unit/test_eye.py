"""From a landmark to a probe or a reference: what is refused, and what is wiped on every way."""

import numpy as np
import pytest

from device.capture.frame import Picture
from device.vision.quality import QualityLimits
from tests.simulators.street import SIDE, Person, eye, picture, settings, template

PERSON = Person(30, 200)


def _looked(pixels):
    seeing = eye(settings("x"))
    (row,) = seeing.detector.detect(Picture.of_bgr(pixels), pixels.shape[1])
    return seeing, Picture.of_bgr(pixels), row[4:14].reshape(5, 2)


def _dark():
    pixels = picture([PERSON], 0)
    return pixels, (pixels // 16).astype(np.uint8)


def test_a_good_face_becomes_a_probe_and_its_crop_is_wiped():
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    probe, faults = seeing.probe(main, landmarks)
    assert faults == []
    assert float(probe.template @ template(30)) > 0.99
    assert seeing.wiped


def test_a_crop_judged_too_poor_is_wiped_and_never_embedded():
    bright, dark = _dark()
    seeing, _, landmarks = _looked(bright)
    probe, faults = seeing.probe(Picture.of_bgr(dark), landmarks)
    assert probe is None
    assert any(fault.startswith("too dark") for fault in faults)
    assert seeing.embedder.calls == 0
    assert seeing.wiped


def test_landmarks_that_make_no_face_are_a_fault_and_no_crash():
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    for bad in (np.zeros_like(landmarks), landmarks + 9000, landmarks * np.nan):
        probe, faults = seeing.probe(main, bad)
        assert probe is None
        assert len(faults) == 1


def test_a_reference_is_the_mean_of_the_face_and_its_mirror_image():
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    embedded = []
    good = seeing.embedder.embed
    seeing.embedder.embed = lambda sample: embedded.append(sample.pixels.copy()) or good(sample)
    reference, faults = seeing.reference(main, landmarks)
    assert faults == []
    assert np.array_equal(embedded[1], embedded[0][:, ::-1])
    assert np.linalg.norm(reference.template) == pytest.approx(1, abs=1e-5)
    assert all(not probe.template.any() for probe in seeing.embedder.probes)
    assert seeing.wiped


def test_a_reference_whose_mirror_image_fails_leaves_nothing():
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    good = seeing.embedder.embed

    def fail_second(sample):
        if seeing.embedder.calls:
            raise RuntimeError("fault injected")
        return good(sample)

    seeing.embedder.embed = fail_second
    with pytest.raises(RuntimeError, match="injected"):
        seeing.reference(main, landmarks)
    assert not seeing.embedder.probes[0].template.any()
    assert seeing.wiped


def test_the_limits_come_from_the_configuration():
    assert eye(settings("x")).limits == QualityLimits(
        interocular_px=16, yaw=0.35, roll_degrees=35, sharpness=0.05
    )
    assert eye(settings("x")).aligner._side == SIDE
