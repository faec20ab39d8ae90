"""`Frame` and `Picture`: they cannot leave the process, and their regions are the right pixels."""

import copy
import pickle

import numpy as np
import pytest

from device.capture import Frame, Picture, PixelFormat
from device.capture.workspace import Workspace
from device.opencv import cv2
from tests.simulators.sources import grey, make_frame

WIDTH, HEIGHT = 96, 64
REGIONS = [(0, 0, WIDTH, HEIGHT), (0, 0, 2, 2), (10, 20, 50, 44), (94, 62, 96, 64), (2, 0, 96, 30)]


def _scene():
    """Smooth colours and a few sharp edges, (HEIGHT, WIDTH, 3) uint8 BGR."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    scene = np.stack([columns * 2, rows * 3, 255 - columns - rows], axis=2).astype(np.uint8)
    scene[20:40, 30:60] = (10, 200, 120)
    return scene


def _i420(padding):
    """The scene as a camera gives it: (h * 3 / 2, stride), dirt in the padding."""
    packed = cv2.cvtColor(_scene(), cv2.COLOR_BGR2YUV_I420)
    stride = WIDTH + padding
    padded = np.full((HEIGHT * 3 // 2, stride), 77, np.uint8)
    padded[:HEIGHT, :WIDTH] = packed[:HEIGHT]
    chroma = padded[HEIGHT:].reshape(HEIGHT, stride // 2)
    chroma[:, : WIDTH // 2] = packed[HEIGHT:].reshape(HEIGHT, WIDTH // 2)
    return packed, Picture(padded, WIDTH, HEIGHT, PixelFormat.I420)


@pytest.mark.parametrize("padding", [0, 32])
@pytest.mark.parametrize("region", REGIONS)
def test_a_region_of_i420_equals_the_same_region_of_the_whole_converted_frame(region, padding):
    packed, picture = _i420(padding)
    left, top, right, bottom = region
    whole = cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_I420)
    expected = whole[top:bottom, left:right].astype(int)
    found = picture.region_bgr(left, top, right, bottom)
    assert found.shape == expected.shape
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 1


def test_the_region_of_i420_is_memory_of_its_own():
    _, picture = _i420(0)
    region = picture.region_bgr(0, 0, WIDTH, HEIGHT)
    before = region.copy()
    picture.pixels.fill(0)
    assert np.array_equal(region, before)


def test_a_region_of_bgr_is_a_view():
    scene = _scene()
    region = Picture.of_bgr(scene).region_bgr(10, 20, 50, 44)
    assert np.shares_memory(region, scene)
    assert np.array_equal(region, scene[20:44, 10:50])


@pytest.mark.parametrize("padding", [0, 32])
def test_luma_of_i420_is_a_view_of_y_without_the_padding(padding):
    packed, picture = _i420(padding)
    luma = picture.luma()
    assert np.shares_memory(luma, picture.pixels)
    assert np.array_equal(luma, packed[:HEIGHT])


def test_luma_of_bgr_is_its_grey():
    scene = _scene()
    expected = cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY)
    assert np.array_equal(Picture.of_bgr(scene).luma(), expected)


def test_a_bgr_picture_knows_its_size_and_does_not_copy():
    scene = _scene()
    picture = Picture.of_bgr(scene)
    assert (picture.width, picture.height, picture.format) == (WIDTH, HEIGHT, PixelFormat.BGR)
    assert picture.pixels is scene


EPHEMERAL = [
    pytest.param(lambda: Picture.of_bgr(grey()), id="Picture"),
    pytest.param(lambda: make_frame(3, 0.5, grey()), id="Frame"),
]


@pytest.mark.parametrize("make", EPHEMERAL)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled(make, protocol):
    with pytest.raises(TypeError, match=r"must not be stored \(R13\)"):
        pickle.dumps(make(), protocol)


@pytest.mark.parametrize("make", EPHEMERAL)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_it_cannot_be_copied(make, duplicate):
    with pytest.raises(TypeError, match=r"must not be stored \(R13\)"):
        duplicate(make())


@pytest.mark.parametrize("make", EPHEMERAL)
def test_it_cannot_be_copied_inside_something_else(make):
    with pytest.raises(TypeError, match="R13"):
        copy.deepcopy({"latest": [make()]})


@pytest.mark.parametrize("make", EPHEMERAL)
def test_its_text_shows_no_content(make):
    thing = make()
    expected = f"<{type(thing).__name__}>"
    assert [repr(thing), str(thing), f"{thing}"] == [expected] * 3


@pytest.mark.parametrize("make", EPHEMERAL)
def test_nothing_can_be_attached_to_it(make):
    with pytest.raises(AttributeError):
        make().note = "kept"


def test_release_wipes_once_and_says_so():
    calls = []
    picture = Picture.of_bgr(grey())
    frame = Frame(0, 0, 0.0, picture, picture, release=lambda: calls.append("wiped"))
    assert not frame.released
    frame.release()
    frame.release()
    assert frame.released
    assert calls == ["wiped"]


def test_a_release_that_fails_is_not_tried_again():
    calls = []

    def release():
        calls.append("tried")
        raise RuntimeError("the camera is gone")

    picture = Picture.of_bgr(grey())
    frame = Frame(0, 0, 0.0, picture, picture, release=release)
    with pytest.raises(RuntimeError):
        frame.release()
    frame.release()
    assert calls == ["tried"]


def test_the_frame_of_the_simulators_wipes_its_arrays():
    main, lores = grey(200, 64, 48), grey(200)
    make_frame(0, 0.0, main, lores).release()
    assert not main.any()
    assert not lores.any()


@pytest.mark.parametrize("padding", [0, 32])
@pytest.mark.parametrize("region", REGIONS)
def test_a_workspace_lends_the_memory_of_a_region_and_nothing_else_changes(region, padding):
    _, picture = _i420(padding)
    work = Workspace()
    lent = picture.region_bgr(*region, work)
    assert lent.tobytes() == picture.region_bgr(*region).tobytes()
    again = picture.region_bgr(*region, Workspace())
    assert not np.shares_memory(lent, again)
    work.wipe()
    assert not lent.any()
    assert work.wiped
    assert picture.pixels.any()


@pytest.mark.parametrize("padding", [0, 32])
def test_a_whole_picture_is_written_where_it_is_wanted(padding):
    _, picture = _i420(padding)
    canvas, work = np.zeros((HEIGHT + 8, WIDTH + 8, 3), np.uint8), Workspace()
    picture.write_bgr(canvas[:HEIGHT, :WIDTH], work)
    assert np.array_equal(canvas[:HEIGHT, :WIDTH], picture.region_bgr(0, 0, WIDTH, HEIGHT))
    assert not canvas[HEIGHT:].any()
    assert not canvas[:, WIDTH:].any()
    assert work.wiped


def test_a_whole_bgr_picture_is_written_too():
    canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    Picture.of_bgr(_scene()).write_bgr(canvas, Workspace())
    assert np.array_equal(canvas, _scene())


@pytest.mark.parametrize("step", [1, 2, 4])
def test_luma_of_every_so_manieth_row(step):
    packed, picture = _i420(32)
    assert np.array_equal(picture.luma(step=step), packed[:HEIGHT:step])
    work = Workspace()
    grey = Picture.of_bgr(_scene()).luma(work, step)
    assert np.array_equal(grey, cv2.cvtColor(_scene(), cv2.COLOR_BGR2GRAY)[::step])
    work.wipe()
    assert not grey.any()


@pytest.mark.parametrize("lent", [True, False])
def test_a_conversion_that_fails_leaves_nothing(lent, monkeypatch):
    """Also not in memory that nobody lent: it is held by the traceback."""
    seen = []

    def fail(source, _code, dst):
        dst.fill(9)
        seen.extend([source, dst])
        raise cv2.error("fault injected")

    _, picture = _i420(32)
    work = Workspace() if lent else None
    monkeypatch.setattr("device.capture.frame.cv2.cvtColor", fail)
    with pytest.raises(cv2.error):
        picture.region_bgr(10, 20, 50, 44, work)
    assert len(seen) == 2
    assert not any(each.any() for each in seen)
