"""From a landmark to a probe or a reference: what is refused, and what is wiped on every way."""

from dataclasses import replace
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from device.capture.frame import Picture
from device.stack import SHALLOW
from device.vision.geometry import NUDGES
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


@pytest.mark.parametrize(
    ("computed", "depth"),
    [((False, False), (SHALLOW,)), ((True, False), ()), ((False, True), ())],
)
def test_the_whole_stack_is_overwritten_only_when_a_network_ran(computed, depth, monkeypatch):
    seeing, asked = eye(settings("x")), []
    seeing.detector.wipe, seeing.embedder.wipe = (lambda ran=ran: ran for ran in computed)
    monkeypatch.setattr(
        "device.vision.eye._STACK", SimpleNamespace(wipe=lambda *d: asked.append(d))
    )
    seeing.wipe()
    assert asked == [depth]


def test_the_whole_stack_is_overwritten_when_a_network_cannot_be_wiped(monkeypatch):
    seeing, asked = eye(settings("x")), []

    def fail():
        raise RuntimeError("fault injected")

    seeing.detector.wipe = fail
    monkeypatch.setattr(
        "device.vision.eye._STACK", SimpleNamespace(wipe=lambda *d: asked.append(d))
    )
    with pytest.raises(RuntimeError, match="injected"):
        seeing.wipe()
    assert asked == [()]


class Look:
    """A second look that moves the landmarks a little, and counts; or does what it is told."""

    def __init__(self, moved=1.0, error=None):
        self.moved, self.error, self.calls = moved, error, 0
        self.wiped = True

    def __call__(self, picture, landmarks):
        self.calls += 1
        if self.error is not None:
            raise self.error
        return landmarks if self.moved == 0 else landmarks + np.float32(self.moved)


def _later(look, *, scores=True):
    """Return an eye that leaves the second look to the probe, the picture and the landmarks."""
    seeing, main, landmarks = _looked(picture([PERSON], 0))
    entry = seeing.embedder_entry
    if scores:
        scale = msgspec.structs.replace(entry.scores, second_look_from=0.5)
        entry = msgspec.structs.replace(entry, scores=scale)
    return replace(seeing, second_look=look, embedder_entry=entry), main, landmarks


def _crops_of(seeing, monkeypatch):
    """Note what is embedded, and answer each crop with features of its own."""
    cut = []
    size = np.float32(1e-3)

    def features(sample):
        cut.append(sample.pixels.copy())
        found = size * cut[-1].reshape(-1).astype(np.float32)[:: cut[-1].size // 16][:16] + 1
        return found / np.float32(np.linalg.norm(found))

    monkeypatch.setattr(seeing.embedder, "features", features)
    monkeypatch.setattr(seeing.embedder, "embed", lambda sample: Probe(features(sample)))
    return cut


def test_a_probe_is_made_without_a_second_look_where_the_scale_says_from_when():
    look = Look()
    seeing, main, landmarks = _later(look)
    probe, faults = seeing.probe(main, landmarks)
    assert (faults, look.calls, seeing.embedder.calls) == ([], 0, 1)
    probe.wipe()
    assert not probe.look_again()
    assert look.calls == 0
    assert seeing.wiped


def test_what_is_looked_at_again_is_to_the_last_bit_what_a_look_before_gives(monkeypatch):
    look = Look()
    later, main, landmarks = _later(look)
    first = _later(look, scores=False)[0]
    cut_later, cut_first = (_crops_of(each, monkeypatch) for each in (later, first))
    probe, _ = later.probe(main, landmarks)
    exact, _ = first.probe(main, landmarks)
    assert not np.array_equal(probe.template, exact.template)
    assert probe.look_again()
    assert np.array_equal(probe.template, exact.template)
    assert not exact.look_again()
    assert probe.look_closer()
    assert exact.look_closer()
    assert np.array_equal(probe.template, exact.template)
    # And the second crop is cut out at the exact landmarks, not at the first.
    assert np.array_equal(cut_later[-1], cut_first[-1])
    assert look.calls == 2
    assert later.wiped


@pytest.mark.parametrize("look", [Look(0), Look(9000), Look(error=ValueError("no face"))])
def test_a_second_look_that_fails_leaves_template_and_landmarks(look, monkeypatch):
    seeing, main, landmarks = _later(look)
    cut = _crops_of(seeing, monkeypatch)
    probe, _ = seeing.probe(main, landmarks)
    before = probe.template.copy()
    assert not probe.look_again()
    assert np.array_equal(probe.template, before)
    assert probe.look_closer()
    sample = seeing.other_aligner.align(main, landmarks)
    assert np.array_equal(cut[-1], sample.pixels)
    sample.wipe()
    assert seeing.wiped


def test_a_second_look_whose_embedding_breaks_leaves_no_crop():
    seeing, main, landmarks = _later(Look())
    probe, _ = seeing.probe(main, landmarks)

    def fail(sample):
        assert sample.pixels.any()
        raise RuntimeError("fault injected")

    seeing.embedder.embed = fail
    with pytest.raises(RuntimeError, match="injected"):
        probe.look_again()
    assert seeing.wiped


def test_a_face_too_poor_at_its_first_landmarks_is_looked_at_before_it_is_refused():
    pixels = picture([PERSON], 0)
    look = Look()
    seeing, _, landmarks = _later(look)
    away = landmarks + np.float32([600, 0])
    there = Look(moved=[-600, 0])
    seeing = replace(seeing, second_look=there)
    assert seeing.probe(Picture.of_bgr(pixels), away)[0] is not None
    assert there.calls == 1
    probe, faults = replace(seeing, second_look=look).probe(Picture.of_bgr(pixels // 64), landmarks)
    assert probe is None
    assert any(fault.startswith("too dark") for fault in faults)
    assert look.calls == 1
    assert seeing.wiped
