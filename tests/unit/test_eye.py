"""From a landmark to a probe or a reference: what is refused, and what is wiped on every way."""

from dataclasses import replace

import numpy as np
import pytest

from device.capture.frame import Picture
from device.vision.eye import NUDGES
from device.vision.quality import QualityLimits
from device.vision.sample import Probe
from tests.simulators.street import LENGTH, SIDE, Person, eye, picture, settings, template

PERSON = Person(30, 200)


def _looked(pixels):
    seeing = eye(settings("x"))
    (row,) = seeing.detector.detect(Picture.of_bgr(pixels), pixels.shape[1])
    return seeing, Picture.of_bgr(pixels), row[4:14].reshape(5, 2)


def _dark(times=64):
    pixels = picture([PERSON], 0)
    return pixels, (pixels // times).astype(np.uint8)


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


def test_a_face_in_the_dark_is_raised_and_compared():
    bright, dark = _dark(10)
    seeing, _, landmarks = _looked(bright)
    probe, faults = seeing.probe(Picture.of_bgr(dark), landmarks)
    assert faults == []
    assert float(probe.template @ template(30)) > 0.95
    assert seeing.wiped


def test_a_dark_photograph_becomes_no_reference():
    bright, dark = _dark(10)
    seeing, _, landmarks = _looked(bright)
    reference, faults = seeing.reference(Picture.of_bgr(dark), landmarks)
    assert reference is None
    assert any(fault.startswith("too dark") for fault in faults)


def test_landmarks_that_make_no_face_are_a_fault_and_no_crash():
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    for bad in (np.zeros_like(landmarks), landmarks + 9000, landmarks * np.nan):
        probe, faults = seeing.probe(main, bad)
        assert probe is None
        assert len(faults) == 1


def test_a_reference_is_the_mean_over_slightly_strayed_alignments():
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    seen = []

    def features(sample):
        seen.append(sample.pixels.copy())
        return 16 * np.eye(16, dtype=np.float32)[len(seen) - 1]

    seeing.embedder.features = features
    reference, faults = seeing.reference(main, landmarks)
    assert faults == []
    assert len(seen) == len(NUDGES) == 10
    assert reference.template == pytest.approx([1.6] * 10 + [0] * 6)
    exact = seeing.aligner.align(main, landmarks).pixels
    assert [np.array_equal(crop, exact) for crop in seen] == [True] + [False] * 9
    seeing.aligner.align(main, landmarks).wipe()
    assert seeing.wiped


def test_a_reference_keeps_the_length_of_the_embedders_output():
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    reference, _ = seeing.reference(main, landmarks)
    assert np.linalg.norm(reference.template) == pytest.approx(LENGTH, rel=0.01)
    assert float(reference.template @ template(30)) / LENGTH > 0.99


def test_a_crop_too_poor_for_a_reference_is_never_embedded():
    bright, dark = _dark()
    seeing, _, landmarks = _looked(bright)
    reference, faults = seeing.reference(Picture.of_bgr(dark), landmarks)
    assert reference is None
    assert any(fault.startswith("too dark") for fault in faults)
    assert seeing.embedder.calls == 0
    assert seeing.wiped


def test_a_reference_whose_second_crop_fails_leaves_nothing():
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    good = seeing.embedder.features

    def fail_second(sample):
        if seeing.embedder.calls:
            raise RuntimeError("fault injected")
        return good(sample)

    seeing.embedder.features = fail_second
    with pytest.raises(RuntimeError, match="injected"):
        seeing.reference(main, landmarks)
    assert seeing.wiped


def test_an_embedder_that_returns_nothing_is_a_fault_of_the_reference():
    seeing, main, landmarks = _looked(picture([PERSON], 0))

    def nothing(sample):
        raise ValueError("The embedder returned no template.")

    seeing.embedder.features = nothing
    assert seeing.reference(main, landmarks) == (None, ["The embedder returned no template."])
    assert seeing.wiped


def test_both_look_again_before_they_cut():
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    asked = []

    def second_look(picture, first):
        asked.append(first)
        return first + np.float32(9000)

    seeing = replace(seeing, second_look=second_look)
    for make in (seeing.probe, seeing.reference):
        result, faults = make(main, landmarks)
        assert result is None
        assert faults == ["The face lies outside the picture."]
    assert len(asked) == 2
    assert all(np.array_equal(first, landmarks) for first in asked)


def test_the_limits_come_from_the_configuration():
    assert eye(settings("x")).limits == QualityLimits(
        interocular_px=16, yaw=0.35, roll_degrees=35, sharpness=0.05
    )
    assert eye(settings("x")).aligner._side == SIDE


def test_a_second_crop_is_another_one_and_leaves_nothing():
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    cut = []

    def embed(sample):
        cut.append(sample.pixels.copy())
        return Probe(np.eye(16, dtype=np.float32)[len(cut) - 1])

    seeing.embedder.embed = embed
    probe, _ = seeing.probe(main, landmarks)
    assert len(cut) == 1
    assert probe.look_closer()
    assert len(cut) == 2
    assert not np.array_equal(*cut)
    assert probe.template[:2] == pytest.approx(np.sqrt([0.5, 0.5]))
    assert not probe.look_closer()
    assert seeing.wiped


def test_without_another_way_to_cut_the_first_crop_stays():
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    probe, _ = replace(seeing, other_aligner=None).probe(main, landmarks)
    before = probe.template.copy()
    assert not probe.look_closer()
    assert np.array_equal(probe.template, before)
