"""The memory in which an interpreter computes is found and wiped, and nothing else is."""

import subprocess
import sys

import numpy as np
import pytest

from device.vision import Catalogue, default_directory
from device.vision.inference import Network, RuntimeInfo, open_network
from device.vision.scratch import find
from tests.conftest import ROOT

BUILT_IN = [
    entry for entry in Catalogue.read(default_directory()).entries if entry.collection == "built-in"
]
PAGE = 4096


def range_of(array):
    return array.ctypes.data, array.ctypes.data + array.nbytes


class Worker:
    """Computes in one piece of memory, as an interpreter does, and has weights in another."""

    def __init__(self):
        self.work = np.zeros(10 * PAGE, np.uint8)
        self.weights = np.full(3 * PAGE, 7, np.uint8)
        self.foreign = np.zeros(PAGE, np.uint8)
        self.calls = 0

    def compute(self, seed):
        self.calls += 1
        self.foreign += 1  # somebody else's, who goes on meanwhile
        self.work[64:] = np.random.default_rng(seed).integers(1, 255, self.work.size - 64, np.uint8)
        return [bytes(self.work[64:80] + self.weights[:16])]

    def pieces(self):
        return [range_of(one) for one in (self.work, self.weights, self.foreign)]


def test_what_follows_the_input_is_wiped_and_weights_and_others_are_not():
    worker = Worker()
    scratch = find(worker.pieces(), worker.compute)
    assert not worker.work[64:].any()
    assert (worker.weights == 7).all()
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
    find(worker.pieces(), worker.compute).wipe()
    assert worker.work[48:64].tobytes() == noted.tobytes()


def test_memory_without_which_the_answer_is_another_is_none_of_it():
    worker = Worker()
    kept = worker.work[:64]
    kept[:] = 9
    honest = worker.compute

    def compute(seed):
        return [honest(seed)[0] + bytes(kept[32:40])]

    assert find(worker.pieces(), compute) is None


def test_memory_that_is_gone_is_left_alone():
    worker = Worker()
    assert find([(0x1000, 0x2000)], worker.compute) is None


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
