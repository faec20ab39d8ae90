"""The memory in which an interpreter computes is found and wiped, and nothing else is."""

import mmap
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from device.vision import Catalogue, Eye, default_directory
from device.vision.inference import Network, RuntimeInfo, open_network
from device.vision.scratch import find
from tests.conftest import ROOT

BUILT_IN = [
    entry for entry in Catalogue.read(default_directory()).entries if entry.collection == "built-in"
]
PAGE = 4096


def range_of(array):
    return array.ctypes.data, array.ctypes.data + array.nbytes


def pages(number, value=0):
    """Memory of its own, as the C library maps it for a large piece."""
    kept = mmap.mmap(-1, number * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    array = np.frombuffer(kept, np.uint8)
    array.fill(value)
    return array


class Worker:
    """Computes in one piece of memory, as an interpreter does, and has weights in another."""

    def __init__(self):
        self.work = pages(10)
        self.weights = pages(3, 7)
        self.foreign = pages(1)
        self.calls = 0

    def compute(self, seed):
        self.calls += 1
        # Somebody else's, who fills and wipes it meanwhile.
        self.foreign.fill(self.calls % 2 * 9)
        self.work[64:] = np.random.default_rng(seed).integers(1, 255, self.work.size - 64, np.uint8)
        return [bytes(self.work[64:80] + self.weights[:16])]

    def ends(self):
        return [self.work.ctypes.data + 64]

    def pieces(self):
        return [range_of(one) for one in (self.work, self.weights, self.foreign)]


def test_what_follows_the_input_is_wiped_and_weights_and_others_are_not():
    worker = Worker()
    scratch = find(worker.pieces(), worker.compute, worker.ends())
    assert not worker.work[64:].any()
    assert (worker.weights == 7).all()
    worker.foreign.fill(9)
    worker.compute(5)
    worker.foreign.fill(9)
    scratch.wipe()
    assert worker.foreign.all()
    worker.compute(5)
    assert not scratch.wiped
    scratch.wipe()
    assert scratch.wiped
    assert not worker.work[64:].any()


def test_the_c_librarys_notes_in_front_stay():
    worker = Worker()
    # A piece that was aligned to 64 bytes: how much was skipped, and the length of the rest.
    noted = np.array([48, (10 * PAGE - 48) | 2], np.uint64)
    worker.work[48:64] = noted.view(np.uint8)
    find(worker.pieces(), worker.compute, worker.ends()).wipe()
    assert worker.work[48:64].tobytes() == noted.tobytes()


def test_memory_without_which_the_answer_is_another_is_none_of_it():
    worker = Worker()
    kept = worker.work[:64]
    kept[:] = 9
    honest = worker.compute

    def compute(seed):
        return [honest(seed)[0] + bytes(kept[32:40])]

    assert find(worker.pieces(), compute, worker.ends()) is None


def test_what_does_not_hold_the_input_is_not_all_of_it():
    worker = Worker()
    assert find(worker.pieces(), worker.compute, [*worker.ends(), 0x1000]) is None


def test_memory_that_is_gone_is_left_alone():
    worker = Worker()
    assert find([(0x1000, 0x2000)], worker.compute, worker.ends()) is None


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_a_real_network_gives_the_same_answers_after_every_wipe(entry):
    network = open_network(ROOT / "models" / entry.file, 1)
    height, width, _ = network.input_shape[1:]
    picture = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    first = network.run(picture)
    assert network.scratch_bytes > picture.nbytes
    assert not network.wiped
    network.wipe()
    assert network.wiped
    for _ in range(3):
        again = network.run(picture)
        network.wipe()
        assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


class Interpreter:
    """One whose memory cannot be found: it computes in a Python object."""

    def __init__(self):
        self.tensors = {0: np.zeros((1, 4, 4, 3), np.uint8), 1: np.zeros((1, 48), np.uint8)}
        self.between = b""

    def get_input_details(self):
        return [{"index": 0, "shape": np.array([1, 4, 4, 3]), "dtype": np.uint8}]

    def get_output_details(self):
        return [{"index": 1, "shape": np.array([1, 48]), "quantization": (1.0, 0)}]

    def tensor(self, index):
        return lambda: self.tensors[index]

    def invoke(self):
        self.between = self.tensors[0].tobytes()
        self.tensors[1][:] = self.tensors[0].reshape(1, -1)


def test_where_nothing_is_found_it_computes_once_more_on_black():
    interpreter = Interpreter()
    network = Network(interpreter, RuntimeInfo("stand-in", "1", "CPU", 1))
    network.find_scratch([])
    assert network.scratch_bytes is None
    network.run(np.full((4, 4, 3), 200, np.uint8))
    assert interpreter.between.count(200) == 48
    assert not network.wiped
    network.wipe()
    assert network.wiped
    assert not any(interpreter.between)


def test_an_idle_network_does_nothing_to_be_wiped():
    interpreter = Interpreter()
    network = Network(interpreter, RuntimeInfo("stand-in", "1", "CPU", 1))
    network.find_scratch([])
    interpreter.between = b"untouched"
    network.wipe()
    assert interpreter.between == b"untouched"


THREADS = """
import sys, threading, numpy as np
from pathlib import Path
from device.vision.inference import open_network
stop = threading.Event()
def busy():
    rng = np.random.default_rng()
    while not stop.is_set():
        arrays = [rng.integers(0, 255, int(rng.integers(1, 60)) * 4096, np.uint8) for _ in range(9)]
        assert all(a.sum() == a.copy().sum() for a in arrays)
threads = [threading.Thread(target=busy) for _ in range(2)]
for one in threads: one.start()
for _ in range(15):
    network = open_network(Path(sys.argv[1]), 1)
    picture = np.full(network.input_shape[1:], 99, np.uint8)
    first = network.run(picture)
    network.wipe()
    again = network.run(picture)
    assert all(np.array_equal(*pair) for pair in zip(first, again))
    print(network.scratch_bytes is not None)
stop.set()
"""


def test_models_open_well_while_other_threads_allocate():
    entry = next(entry for entry in BUILT_IN if entry.role == "embedder")
    done = subprocess.run(
        [sys.executable, "-c", THREADS, str(ROOT / "models" / entry.file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"] * 15


AGAIN = """
import sys, threading, numpy as np
from pathlib import Path
from device.allocator import overwrite_what_is_freed
from device.vision.inference import open_network
overwrite_what_is_freed()
def churn():
    arrays = [np.ones(int(megabytes) << 20, np.uint8) for megabytes in sys.argv[2:]]
for _ in sys.argv[2:]:
    thread = threading.Thread(target=churn); thread.start(); thread.join()
churn()
kept = [open_network(Path(sys.argv[1]), 1) for _ in range(5)]
print({network.scratch_bytes for network in kept})
"""


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_all_of_it_is_found_however_the_heap_was_used_before(entry):
    file = str(ROOT / "models" / entry.file)
    found = [
        subprocess.run(
            [sys.executable, "-c", AGAIN, file, *churned],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for churned in ([], ["4", "6", "14"])
    ]
    assert found[0] == found[1]
    assert "None" not in found[0]
    assert "," not in found[0]


def test_a_part_that_cannot_be_wiped_keeps_no_other_from_it():
    wiped = []

    class Part:
        def __init__(self, name, error=None):
            self.name, self.error = name, error

        def wipe(self):
            wiped.append(self.name)
            if self.error:
                raise self.error

    eye = SimpleNamespace(
        detector=Part("detector"),
        small_detector=None,
        embedder=Part("embedder", RuntimeError("no")),
        attack=Part("attack"),
    )
    with pytest.raises(RuntimeError, match="no"):
        Eye.wipe(eye)
    assert sorted(wiped) == ["attack", "detector", "embedder"]
