"""Which detector sees far enough, which smaller one stands by, and what a signature forbids."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.capture.frame import Picture
from device.errors import ModelError
from device.policy.of_list import other_models
from device.protocol.alert import ModelHash
from device.settings import CameraSettings, ModelSettings, VisionSettings
from device.vision import Catalogue, Eye, Surroundings, depth
from device.vision.choice import choose
from device.vision.depth import View
from tests.conftest import ROOT
from tests.simulators.situations import ARMED, DETECTOR, EMBEDDER, signed

SMALL, USUAL, LARGE = "yunet-s-320x256", "yunet-s-640x480", "yunet-s-1280x736"
SIZES = [(320, 256), (640, 480), (1280, 736)]
NARROW = View(640, 360, 66.0)
NAMED = ModelSettings()
BUILT_IN = ModelSettings(
    detector="passerby-detector-640x480",
    embedder="passerby-embedder",
    small_detector="auto",
)


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue.read(ROOT / "models")


def camera(far=0.0, **other):
    return CameraSettings(kind="picamera2", farthest_m=far, **other)


def chosen(catalogue, far, *, allowed=None, models=NAMED, lores=1280):
    """Return what is chosen for a distance; lores: wide enough for every input by default."""
    names = (
        None if allowed is None else {catalogue.entry(one, "detector").sha256 for one in allowed}
    )
    around = Surroundings(
        camera(far, lores_width=lores), authorised=None if names is None else frozenset(names)
    )
    by_depth = msgspec.structs.replace(models, detector_by_depth=True)
    return choose(catalogue, by_depth, VisionSettings(), around)


# --- the formula ----------------------------------------------------------------------------------


def test_a_face_computed_by_hand():
    # 640 * 0.15 / (2 * 4 * tan 33°) = 18.48, and half of it in an input half as wide.
    assert depth.face_px(NARROW, (640, 480), 4.0) == pytest.approx(18.478, abs=0.001)
    assert depth.face_px(NARROW, (320, 256), 4.0) == pytest.approx(9.239, abs=0.001)


def test_an_input_larger_than_the_small_stream_shows_nothing_more():
    assert depth.face_px(NARROW, (1280, 736), 4.0) == depth.face_px(NARROW, (640, 480), 4.0)
    wide = View(1280, 720, 66.0)
    assert depth.face_px(wide, (1280, 736), 4.0) == pytest.approx(36.956, abs=0.001)


def test_an_input_that_is_too_low_shrinks_the_view_by_its_height():
    upright = View(360, 640, 66.0)
    assert depth.seen_width_px(upright, (640, 480)) == pytest.approx(360 * 480 / 640)


DISTANCE = st.floats(0.2, 50)
VIEW = st.builds(View, st.integers(64, 1920), st.integers(64, 1920), st.floats(5, 170))


@given(VIEW, DISTANCE)
def test_at_its_reach_a_face_is_as_wide_as_it_must_be(view, far):
    for size in SIZES:
        reach = depth.reach_m(view, size)
        assert depth.face_px(view, size, reach) == pytest.approx(depth.LEAST_FACE_PX)
        assert (depth.face_px(view, size, far) >= depth.LEAST_FACE_PX) == (reach >= far) or (
            far == pytest.approx(reach)
        )


@given(VIEW, DISTANCE, st.permutations(SIZES))
def test_nothing_cheaper_would_do_and_nothing_sees_farther_when_nothing_does(view, far, sizes):
    one = sizes[depth.cheapest(view, sizes, far)]
    cheaper = [other for other in sizes if math.prod(other) < math.prod(one)]
    best = max(depth.reach_m(view, other) for other in sizes)
    reach = depth.reach_m(view, one)
    assert reach >= far or reach == best
    assert all(depth.reach_m(view, other) < min(far, best) for other in cheaper)


def test_what_is_said_of_a_reach_is_never_more_than_it():
    assert [depth.metres(one) for one in (4.6, 4.69, 4.0, 0.3)] == ["4.6", "4.6", "4", "0.3"]


# --- the family -----------------------------------------------------------------------------------


def test_a_family_is_one_network_with_several_inputs(catalogue):
    for name in (SMALL, USUAL, LARGE):
        family = catalogue.family(catalogue.entry(name, "detector"))
        assert [one.name for one in family] == [SMALL, USUAL, LARGE]
    built_in = catalogue.family(catalogue.entry("passerby-detector-320x256", "detector"))
    assert [one.name for one in built_in] == [
        "passerby-detector-320x256",
        "passerby-detector-640x480",
    ]


def test_another_published_file_is_another_family_whatever_its_name(catalogue):
    usual = catalogue.entry(USUAL, "detector")
    other = msgspec.structs.replace(
        usual,
        name="yunet-s-800x600",
        upstream=msgspec.structs.replace(usual.upstream, sha256="0" * 64),
    )
    both = Catalogue(catalogue.directory, [usual, other])
    assert both.family(usual) == [usual]
    assert both.family(other) == [other]


# --- the choice -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("far", "name"), [(1, SMALL), (2.3, SMALL), (2.4, USUAL), (4.6, USUAL), (4.7, LARGE)]
)
def test_the_cheapest_detector_that_sees_as_far_is_chosen(catalogue, far, name):
    found = chosen(catalogue, far)
    assert found.detector.name == name
    assert found.notes == (f"detector chosen for {far:g} m",)


def test_any_of_the_family_may_be_named(catalogue):
    for name in (SMALL, USUAL, LARGE):
        assert chosen(catalogue, 4, models=ModelSettings(detector=name)).detector.name == USUAL


def test_where_none_sees_as_far_the_one_that_sees_farthest_runs_and_it_is_said(catalogue):
    found = chosen(catalogue, 20)
    assert found.detector.name == LARGE
    (note,) = found.notes
    assert "no detector sees as far as 20 m" in note
    assert "it sees to 9.2 m" in note


def test_behind_a_narrow_small_stream_no_larger_input_is_paid_for(catalogue):
    found = chosen(catalogue, 8, lores=640)
    assert found.detector.name == USUAL
    assert "camera.lores_width" in found.notes[0]


def test_unless_both_settings_are_there_the_named_detector_runs(catalogue):
    models = ModelSettings(detector=LARGE)
    off = choose(catalogue, models, VisionSettings(), Surroundings(camera(2.0)))
    assert (off.detector.name, off.notes) == (LARGE, ())
    untold = chosen(catalogue, 0, models=models)
    assert untold.detector.name == LARGE
    assert "camera.farthest_m is not told" in untold.notes[0]


# --- what is signed -------------------------------------------------------------------------------


def test_of_what_is_authorised_the_cheapest_that_sees_far_enough_runs(catalogue):
    # A smaller one would do, and may not run.
    assert chosen(catalogue, 2, allowed=[USUAL, LARGE]).detector.name == USUAL
    assert chosen(catalogue, 5, allowed=[USUAL, LARGE]).detector.name == LARGE


def test_what_only_a_detector_without_authorisation_sees_stops_the_start(catalogue):
    with pytest.raises(ModelError) as said:
        chosen(catalogue, 8, allowed=[SMALL, USUAL])
    assert str(said.value) == (
        "camera.farthest_m = 8 asks for the detector yunet-s-1280x736, which is not authorised: "
        "set camera.farthest_m to 4.6 or less, set models.detector_by_depth to false, or let the "
        "desk authorise that detector."
    )
    with pytest.raises(ModelError, match=r"authorised: set models\.detector_by_depth"):
        chosen(catalogue, 8, allowed=[])


def test_the_setting_that_the_sentence_names_helps(catalogue):
    assert chosen(catalogue, 4.6, allowed=[SMALL, USUAL]).detector.name == USUAL


def test_the_farthest_of_the_family_runs_when_it_is_authorised_though_it_sees_too_little(catalogue):
    assert chosen(catalogue, 20, allowed=[LARGE]).detector.name == LARGE
    with pytest.raises(ModelError, match=LARGE):
        chosen(catalogue, 20, allowed=[USUAL])


# --- the small detector ---------------------------------------------------------------------------


def small(catalogue, detector, named, allowed=None):
    """Return the small detector's name or None, and what is said of it."""
    names = (
        None if allowed is None else {catalogue.entry(one, "detector").sha256 for one in allowed}
    )
    around = Surroundings(authorised=None if names is None else frozenset(names))
    models = ModelSettings(detector=detector, small_detector=named)
    found = choose(catalogue, models, VisionSettings(), around)
    return found.small and found.small.name, "".join(found.notes)


def test_a_small_detector_is_none_the_next_smaller_or_the_named_one(catalogue):
    assert small(catalogue, LARGE, "") == (None, "")
    assert small(catalogue, LARGE, "auto") == (USUAL, "")
    assert small(catalogue, LARGE, SMALL) == (SMALL, "")


def test_a_small_detector_that_cannot_be_is_said_and_stops_nothing(catalogue):
    assert small(catalogue, SMALL, "auto") == (
        None,
        f"no small detector: there is none below {SMALL}",
    )
    assert small(catalogue, SMALL, USUAL) == (
        None,
        f"no small detector: {USUAL} is not smaller than {SMALL}",
    )
    assert small(catalogue, USUAL, "auto", [USUAL]) == (
        None,
        f"no small detector: {SMALL} is not authorised",
    )
    assert small(catalogue, USUAL, "auto", [USUAL, SMALL]) == (SMALL, "")


def test_a_small_detector_that_does_not_exist_is_refused(catalogue):
    with pytest.raises(ModelError, match="No detector is called"):
        small(catalogue, USUAL, "tiny")


@pytest.fixture(scope="module")
def eye(catalogue):
    return Eye.open(catalogue, BUILT_IN, VisionSettings())


def test_the_eye_opens_it_and_names_it_among_its_models(eye, catalogue):
    assert eye.small_detector.input_size == (320, 256)
    assert eye.detector.input_size == (640, 480)
    assert [(one.role, one.name) for one in eye.entries] == [
        ("detector", "passerby-detector-640x480"),
        ("detector", "passerby-detector-320x256"),
        ("embedder", "passerby-embedder"),
    ]
    without = msgspec.structs.replace(BUILT_IN, small_detector="")
    plain = Eye.open(catalogue, without, VisionSettings())
    assert plain.small_detector is None
    assert len(plain.entries) == 2


def test_what_the_small_detector_computed_counts_as_left_until_the_eye_is_wiped(eye):
    rng = np.random.default_rng(1)
    street = Picture.of_bgr(rng.integers(0, 256, (360, 640, 3)).astype("uint8"))
    eye.wipe()
    assert eye.wiped
    eye.small_detector.detect(street, 640)
    assert not eye.wiped
    eye.wipe()
    assert eye.wiped
    assert eye.small_detector.wiped


def told(loaded, authorised):
    situation = signed(models=authorised)
    return other_models(replace(situation, models=loaded), situation.authorisation, ARMED.opened)


def test_policy_forbids_a_second_detector_that_is_not_signed_and_asks_for_none():
    other = ModelHash("detector", "small", "c" * 64)
    assert "not authorised is the detector" in told(
        (DETECTOR, other, EMBEDDER), [DETECTOR, EMBEDDER]
    )
    assert told((DETECTOR, other, EMBEDDER), [DETECTOR, other, EMBEDDER]) is None
    assert told((DETECTOR, EMBEDDER), [DETECTOR, other, EMBEDDER]) is None
