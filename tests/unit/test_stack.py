"""The dead part of a stack is overwritten, the living part is not."""

import ctypes
import platform
import threading

import numpy as np
import pytest

from device import stack
from device.allocator import read
from device.capture.frame import Picture, PixelFormat
from device.opencv import cv2
from device.stack import DeadStack
from device.vision.motion import MotionGate

pytestmark = pytest.mark.skipif(
    not DeadStack().known, reason=f"SKIPPED: the stack of {platform.machine()} is not known"
)
DEPTH = 200_000


def pointer_of(dead):
    """Where the stack stands."""
    stack._LIBC.getcontext(dead._context)
    return int.from_bytes(dead._context.raw[dead._offset : dead._offset + 8], "little")


def fill(dead):
    """Leave something behind, as functions do that have returned."""
    ctypes.memset(pointer_of(dead) - DEPTH, 7, DEPTH - 4096)


def left(dead):
    here = pointer_of(dead)
    return read((here - DEPTH, here - 4096)).count(7)


def in_a_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("somewhere", [lambda function: function(), in_a_thread])
def test_what_calls_left_is_overwritten(somewhere):
    dead = DeadStack()

    def leaves_and_wipes():
        fill(dead)
        before = left(dead)
        return before, dead.wipe(), left(dead)

    before, possible, after = somewhere(leaves_and_wipes)
    assert before > 0.9 * DEPTH
    assert possible
    assert after == 0


def test_who_calls_it_goes_on_well():
    dead = DeadStack()

    def deeper(level):
        values = list(range(level))
        if level:
            assert deeper(level - 1)
        assert dead.wipe()
        return values == list(range(level))

    assert deeper(60)
    assert sorted([3, 1, 2], key=lambda one: dead.wipe() and one) == [1, 2, 3]


def test_scores_of_linear_algebra_are_gone():
    """What a search of the whole process once found: NumPy's small products."""
    dead = DeadStack()
    rng = np.random.default_rng(1)
    rows, one = rng.normal(size=(100, 128)).astype("f4"), rng.normal(size=(1, 128)).astype("f4")
    scores = (one @ rows.T)[0, 8:24].tobytes()
    here = pointer_of(dead)
    dead.wipe()
    assert scores not in read((here - DEPTH, here - 4096))


def test_an_address_that_is_no_stack_is_left_alone(monkeypatch):
    dead = DeadStack()
    monkeypatch.setattr(stack, "_mapping_of", lambda _: (0, 0))
    monkeypatch.setattr(stack.ctypes, "memset", pytest.fail)
    assert not dead.wipe()


def test_another_machine_is_left_alone(monkeypatch):
    monkeypatch.setattr(stack.platform, "machine", lambda: "riscv64")
    assert not DeadStack().wipe()


def _used_by(dead, call):
    """How far down a call reaches into a stack that was filled before."""
    here = pointer_of(dead)
    ctypes.memset(here - DEPTH, 7, DEPTH - 2048)
    call()
    touched = np.frombuffer(read((here - DEPTH, here - 2048)), np.uint8) != 7
    return DEPTH - int(touched.argmax()) if touched.any() else 0


@pytest.mark.parametrize("layout", ["BGR", "I420"])
def test_looking_for_motion_uses_a_small_part_of_what_is_overwritten(layout):
    pixels = np.random.default_rng(1).integers(0, 256, (360, 640, 3), np.uint8)
    picture = Picture.of_bgr(pixels)
    if layout == "I420":
        yuv = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420)
        picture = Picture(yuv, 640, 360, PixelFormat.I420)
    gate, dead = MotionGate(0.002), DeadStack()
    for _ in range(3):
        used = _used_by(dead, lambda: gate.moved(picture))
        assert 0 < used < stack.SHALLOW / 2


def test_a_shallow_wipe_overwrites_that_part():
    dead = DeadStack()
    fill(dead)
    assert dead.wipe(stack.SHALLOW)
    here = pointer_of(dead)
    near, far = here - stack.SHALLOW + 4096, here - DEPTH
    assert 7 not in read((near, here - 4096))
    assert read((far, near - 8192)).count(7) > DEPTH / 2
