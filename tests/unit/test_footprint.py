"""What `passerby run` loads and keeps in memory; programs of their own are asked."""

import subprocess
import sys

from tests.conftest import ROOT

WATCHING = """
import sys
from pathlib import Path
import device.cli.run
from device.capture import source_for
from device.settings import CameraSettings, ModelSettings, VisionSettings
from device.vision import Catalogue, Eye
source_for(CameraSettings("picamera2"))
eye = Eye.open(Catalogue.read(Path("models")), ModelSettings(), VisionSettings())
assert eye.detector.input_size
print(*sys.modules)
"""

OPENED = """
import ctypes
from device.allocator import giving_back, overwrite_what_is_freed, read
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
overwrite_what_is_freed()
def free(size):
    address, end = libc.malloc(size), libc.malloc(64)
    ctypes.memset(address, 7, size)
    libc.free(address)
    left = read((address + size // 2, address + size // 2 + 4096))
    print("gone" if left is None else 7 in left)
# Each larger than all before it: nothing that is free already is large enough.
free(500_000)
with giving_back():
    free(1_000_000)
    with giving_back():
        free(2_000_000)
    free(4_000_000)
free(8_000_000)
try:
    with giving_back():
        raise KeyError
except KeyError:
    free(16_000_000)
"""


def answer_of(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()


def test_beside_a_pi_camera_nothing_is_loaded_that_nobody_needs():
    loaded = set(answer_of(WATCHING))
    assert {"cv2", "numpy", "device.appliance", "device.vision.threads"} <= loaded
    assert not {"numpy.random", "PIL", "statistics", "tuf", "device.capture.stills"} & loaded


def test_what_an_opening_frees_goes_back_to_the_system_and_what_a_frame_frees_is_kept():
    kept, gone = "False", "gone"
    assert answer_of(OPENED) == [kept, gone, gone, gone, kept, kept]
