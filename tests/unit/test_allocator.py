"""What the C library does with freed memory, tried in programs of their own."""

import os
import subprocess
import sys

import pytest

from device.allocator import in_pages_of_their_own, read, restarted_with
from tests.conftest import ROOT

SWITCHES = "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0"

FREED = """
import ctypes, sys
from device.allocator import overwrite_what_is_freed
if sys.argv[1] == "on":
    print(overwrite_what_is_freed())
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
sizes = (64, 1000, 100_000, 5_000_000)
# Without our settings the largest goes back to the kernel, and nobody may look at it.
for size in sizes if sys.argv[1] == "on" else sizes[:3]:
    address = libc.malloc(size)
    guard = libc.malloc(64)  # so that it is not given back to the kernel
    ctypes.memset(address, 7, size)
    # Called once before: its first call takes small pieces for itself.
    ctypes.string_at(address, size)
    libc.free(address)
    print(size, ctypes.string_at(address + size // 2, size // 4).count(7))
"""


def freed(switches, mode="on"):
    environment = {**os.environ, "GLIBC_TUNABLES": switches}
    done = subprocess.run(
        [sys.executable, "-c", FREED, mode],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_what_is_freed_is_overwritten_small_and_large():
    assert freed(SWITCHES) == ["True", "64", "0", "1000", "0", "100000", "0", "5000000", "0"]


def test_without_the_restart_small_pieces_stay_and_that_is_said():
    said, *pieces = freed("")
    left = dict(zip(pieces[::2], pieces[1::2], strict=True))
    assert said == "False"
    assert int(left["64"]) == 16
    assert left["100000"] == "0"


def test_without_any_of_it_everything_stays():
    assert [int(count) for count in freed("", "off")[1::2]] == [16, 250, 25_000]


def test_a_program_is_restarted_once():
    environment = restarted_with({"A": "b"})
    assert environment == {"A": "b", "GLIBC_TUNABLES": SWITCHES, "PASSERBY_STARTED_AGAIN": "1"}
    assert restarted_with(environment) is None
    # The system takes it from a program with capabilities of its own: it must not start for ever.
    assert restarted_with(environment | {"GLIBC_TUNABLES": ""}) is None


def test_other_switches_stay_and_contrary_ones_do_not():
    before = "odd:glibc.malloc.perturb=0:glibc.rtld.nns=8:glibc.malloc.tcache_count=7"
    kept = restarted_with({"GLIBC_TUNABLES": before})
    assert kept["GLIBC_TUNABLES"] == f"glibc.rtld.nns=8:{SWITCHES}"


PIECES = """
import sys, threading
import numpy as np
from device.allocator import in_pages_of_their_own, overwrite_what_is_freed, read
if sys.argv[1] == "used":
    # A heap with holes of all sizes, and heaps that threads have left behind.
    overwrite_what_is_freed()
    rng = np.random.default_rng(1)
    def holes():
        arrays = [np.ones(int(size)) for size in rng.integers(100, 300_000, 200)]
        return arrays[::2]
    kept = holes()
    threads = [threading.Thread(target=holes) for _ in range(20)]
    for one in threads: one.start()
    for one in threads: one.join()
    holes()
SIZES = (5_000, 40_000, 300_000)
kept = in_pages_of_their_own(lambda: [np.full(size, 7, np.uint8) for size in SIZES])
for array in kept.result:
    address = array.ctypes.data
    holds = [p for p in kept.taken if p[0] <= address and address + array.size <= p[1]]
    print(len(holds), [other for other in kept.result if other is not array
          and holds[0][0] <= other.ctypes.data < holds[0][1]], read((address, address + 4)))
"""


@pytest.mark.parametrize("heap", ["fresh", "used"])
def test_what_a_call_allocates_gets_pages_of_its_own(heap):
    done = subprocess.run(
        [sys.executable, "-c", PIECES, heap], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["1 [] b'\\x07\\x07\\x07\\x07'"] * 3


def test_what_the_call_raises_is_raised():
    def fails():
        raise ValueError("it fails")

    with pytest.raises(ValueError, match="it fails"):
        in_pages_of_their_own(fails)


def test_memory_that_is_not_there_is_none():
    assert read((0, 16)) is None


def test_the_programs_that_see_faces_start_themselves_with_the_switches(tmp_path, command):
    """Seen from outside: the environment that the kernel says it was started with."""
    program = tmp_path / "sitecustomize.py"
    program.write_text(
        "import os, sys\n"
        "print(os.getpid(), os.environ.get('GLIBC_TUNABLES'), file=sys.stderr, flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "GLIBC_TUNABLES": ""}
    said = {}
    for name in ("run", "match", "status"):
        arguments = ["--config", str(tmp_path / "none.toml")]
        if name == "match":
            arguments += ["--purpose", "p", "--case", "c", "none.jpg"]
        done = subprocess.run(
            [command("passerby"), name, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "none.toml" in done.stderr
        said[name] = [line.split() for line in done.stderr.splitlines() if line[0].isdigit()]
    assert [one[1:] for one in said["status"]] == [[]] or said["status"][0][1:] == [""]
    for name in ("run", "match"):
        before, after = said[name]
        assert before[0] == after[0], "the same process: a service manager follows its number"
        assert after[1] == SWITCHES
