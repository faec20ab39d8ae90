"""Attack detection: where it looks, what passes, what is refused, and that no crop stays."""

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.capture.frame import Picture, PixelFormat
from device.errors import ConfigurationError, ModelError
from device.settings import ModelSettings, VisionSettings
from device.vision.attack import AttackDetector, softmax, surroundings
from device.vision.catalogue import LiveScale
from device.vision.inference import Network, RuntimeInfo
from tests.simulators.attacks import LIVE, RimNetwork, attack_detector, attack_entry

WIDTH, HEIGHT = 640, 360


def box(x, y, width, height):
    return np.array([x, y, width, height], np.float32)


FACE = box(300, 150, 40, 50)


def wall(colour=90):
    return np.full((HEIGHT, WIDTH, 3), colour, np.uint8)


# --- where it looks -------------------------------------------------------------------------------


def test_the_crop_is_the_box_enlarged_about_its_centre():
    left, top, right, bottom = surroundings(FACE, WIDTH, HEIGHT, 2.7)
    assert (left + right) / 2 == pytest.approx(320, abs=2)
    assert (top + bottom) / 2 == pytest.approx(175, abs=2)
    assert right - left == pytest.approx(40 * 2.7, abs=2)
    assert bottom - top == pytest.approx(50 * 2.7, abs=2)


@pytest.mark.parametrize(
    ("place", "edges"),
    [
        (box(2, 150, 40, 50), {"left": 0}),
        (box(600, 150, 40, 50), {"right": WIDTH}),
        (box(300, 0, 40, 50), {"top": 0}),
        (box(300, 312, 40, 50), {"bottom": HEIGHT}),
        (box(-15, -20, 40, 50), {"left": 0, "top": 0}),
        (box(620, 340, 40, 50), {"right": WIDTH, "bottom": HEIGHT}),
    ],
)
def test_at_a_border_the_crop_is_shifted_into_the_picture_and_keeps_its_size(place, edges):
    found = surroundings(place, WIDTH, HEIGHT, 2.7)
    sides = dict(zip(("left", "top", "right", "bottom"), found, strict=True))
    for edge, expected in edges.items():
        assert sides[edge] == pytest.approx(expected, abs=2)
    assert sides["right"] - sides["left"] == pytest.approx(40 * 2.7, abs=2)
    assert sides["bottom"] - sides["top"] == pytest.approx(50 * 2.7, abs=2)


def test_a_face_too_large_for_its_surroundings_gets_less_of_them_in_the_same_shape():
    left, top, right, bottom = surroundings(box(200, 60, 180, 240), WIDTH, HEIGHT, 2.7)
    assert bottom - top == pytest.approx(HEIGHT, abs=2)
    assert (right - left) / (bottom - top) == pytest.approx(180 / 240, abs=0.01)


@given(
    place=st.tuples(*[st.floats(-2000, 2000, width=32)] * 2),
    size=st.tuples(*[st.floats(1, 3000, width=32)] * 2),
    width=st.integers(2, 1000),
    height=st.integers(2, 1000),
)
def test_whatever_the_box_the_crop_is_even_not_empty_and_inside(place, size, width, height):
    left, top, right, bottom = surroundings(box(*place, *size), width, height, 2.7)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert not any(corner % 2 for corner in (left, top, right, bottom))


def test_the_network_is_shown_the_surroundings_and_nothing_else():
    pixels = wall()
    left, top, right, bottom = surroundings(FACE, WIDTH, HEIGHT, LIVE.surroundings)
    pixels[top:bottom, left:right] = 10
    network = RimNetwork()
    attack_detector(network).live_score(Picture.of_bgr(pixels), FACE)
    assert np.unique(network.shown[0]).tolist() == [10]


def test_i420_and_bgr_show_the_network_the_same():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    pixels = (
        120 + 80 * np.stack([np.sin(x / 40), np.sin(y / 35), np.cos((x + y) / 50)], 2)
    ).astype(np.uint8)
    yuv = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420)
    network = RimNetwork()
    detector = attack_detector(network)
    detector.live_score(Picture.of_bgr(pixels), FACE)
    detector.live_score(Picture(yuv, WIDTH, HEIGHT, PixelFormat.I420), FACE)
    first, second = (shown.astype(int) for shown in network.shown)
    assert np.abs(first - second).mean() < 6


# --- what it says ---------------------------------------------------------------------------------


def test_softmax_gives_shares():
    shares = softmax(np.log(np.array([1, 2, 5], np.float32)))
    assert shares == pytest.approx([0.125, 0.25, 0.625])
    assert softmax(np.array([1000, 0], np.float32)) == pytest.approx([1, 0])


def test_a_person_passes_and_a_picture_of_one_does_not():
    detector = attack_detector()
    person, paper = wall(), wall(250)
    assert detector.live_score(Picture.of_bgr(person), FACE) > 0.9
    assert not detector.is_attack(Picture.of_bgr(person), FACE)
    assert detector.is_attack(Picture.of_bgr(paper), FACE)


@pytest.mark.parametrize(("threshold", "attack"), [(0.9, False), (0.99, True)])
def test_the_configured_threshold_decides(threshold, attack):
    # The stand-in's person scores 1 / (1 + exp(-4)) = 0.982.
    detector = attack_detector(configured=threshold)
    assert detector.is_attack(Picture.of_bgr(wall()), FACE) is attack


@pytest.mark.parametrize("output", [[np.nan, 1, 1], [np.inf, np.inf, 0], [-np.inf] * 3])
def test_an_answer_that_is_no_number_is_an_attack(output):
    network = RimNetwork()
    network.run = lambda _: [np.array([output], np.float32)]
    with np.errstate(invalid="ignore"):
        assert attack_detector(network).is_attack(Picture.of_bgr(wall()), FACE)


@pytest.mark.parametrize("face", [box(np.nan, 0, 9, 9), box(0, 0, np.inf, 9), box(0, 0, 0, 9)])
def test_a_box_that_is_none_is_an_attack_and_never_shown(face):
    network = RimNetwork()
    assert attack_detector(network).is_attack(Picture.of_bgr(wall()), face)
    assert network.shown == []


def test_the_threshold_says_which_model_and_whose_it_is():
    assert attack_detector().threshold_id == "stand-in-attack-detection-default-0.500"
    assert attack_detector(configured=0.8).threshold_id.endswith("-configured-0.800")


# --- which model ----------------------------------------------------------------------------------


class Interpreter:
    """The part of a TensorFlow Lite interpreter that `Network` uses, for one input type."""

    def __init__(self, dtype):
        self.tensors = {0: np.zeros((1, 80, 80, 3), dtype), 1: np.zeros((1, 3), np.float32)}
        self.invoked_with = None

    def get_input_details(self):
        return [{"index": 0, "shape": [1, 80, 80, 3], "dtype": self.tensors[0].dtype}]

    def get_output_details(self):
        return [{"index": 1, "shape": [1, 3], "quantization": (0.0, 0)}]

    def tensor(self, index):
        return lambda: self.tensors[index]

    def invoke(self):
        self.invoked_with = self.tensors[0].copy()
        self.tensors[1][:] = (0, 3, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_float_and_8_bit_models_get_the_same_values_and_keep_none(dtype):
    interpreter = Interpreter(dtype)
    network = Network(interpreter, RuntimeInfo("stand-in", "1", "CPU", 1))
    detector = attack_detector(network)
    assert detector.live_score(Picture.of_bgr(wall(200)), FACE) > 0.9
    assert interpreter.invoked_with.dtype == dtype
    assert np.unique(interpreter.invoked_with).tolist() == [200]
    assert not any(tensor.any() for tensor in interpreter.tensors.values())


@pytest.mark.parametrize(
    "network",
    [
        RimNetwork(dtype="int8"),
        RimNetwork(outputs=((1, 3), (1, 3))),
        RimNetwork(outputs=((1, 5, 5, 3),)),
        RimNetwork(outputs=((1, 1),)),
    ],
    ids=["signed input", "two outputs", "a map", "no live class"],
)
def test_a_network_that_cannot_judge_is_refused_by_name(network):
    with pytest.raises(ModelError, match="stand-in-attack-detection is no attack detector"):
        attack_detector(network)


def test_a_picture_that_is_not_square_is_refused():
    network = RimNetwork()
    network.input_shape = (1, 80, 60, 3)
    with pytest.raises(ModelError, match="square"):
        attack_detector(network)


def test_an_entry_that_does_not_say_how_it_judges_is_refused():
    with pytest.raises(ModelError, match=r"models\.toml has no \[model\.live\]"):
        AttackDetector(RimNetwork(), attack_entry(live=None))


@pytest.mark.parametrize("change", [{"threshold": 1.0}, {"surroundings": 0.5}, {"live_class": -1}])
def test_a_scale_that_makes_no_sense_is_refused(change):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.to_builtins(LIVE) | change, LiveScale)


def test_a_threshold_without_a_model_is_refused():
    with pytest.raises(ConfigurationError, match=r"models\.attack_detector names no model"):
        AttackDetector.configured(None, ModelSettings(), VisionSettings(live_threshold=0.5))


def test_no_model_named_means_no_attack_detection():
    assert AttackDetector.configured(None, ModelSettings(), VisionSettings()) is None


# --- what stays -----------------------------------------------------------------------------------


def test_the_buffer_is_used_again_and_wiped():
    network = RimNetwork()
    detector = attack_detector(network)
    buffer = detector._buffer
    for colour in (90, 250):
        detector.live_score(Picture.of_bgr(wall(colour)), FACE)
        assert network.shown[-1].any()
        assert detector._buffer is buffer
        assert detector.wiped
        assert not buffer.any()


def test_the_crop_is_wiped_when_the_network_fails():
    network = RimNetwork()

    def fail(image):
        assert image.any()
        raise RuntimeError("fault injected")

    network.run = fail
    detector = attack_detector(network)
    with pytest.raises(RuntimeError, match="injected"):
        detector.live_score(Picture.of_bgr(wall()), FACE)
    assert detector.wiped


def test_a_region_converted_from_yuv_is_wiped_and_a_view_of_the_frame_is_not(monkeypatch):
    regions = []
    whole = Picture.region_bgr

    def keep(self, *corners):
        regions.append(whole(self, *corners))
        return regions[-1]

    monkeypatch.setattr(Picture, "region_bgr", keep)
    pixels = wall()
    yuv = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420)
    detector = attack_detector()
    detector.live_score(Picture(yuv, WIDTH, HEIGHT, PixelFormat.I420), FACE)
    detector.live_score(Picture.of_bgr(pixels), FACE)
    converted, view = regions
    assert not converted.any()
    assert view.all()
