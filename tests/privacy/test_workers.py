"""What the second thread of a network leaves on its stack, which nobody overwrites (R13).

With `models.threads` above 1 an interpreter has threads of its own. They sleep between two frames,
and their stacks cannot be wiped from outside without the danger of a crash. So it is looked at what
lies there: nothing that also lies in the network's own memory, where all of a face is.
"""

import ctypes
import time
from pathlib import Path

import numpy as np
import pytest

from device.vision.inference import open_network
from tests.conftest import ROOT

TASKS = Path("/proc/self/task")
STRETCH = 16
"""Bytes of a find, of at least eight different values, as in the proof of forgetting."""
LEAST_DIFFERENT = 8
RED_ZONE = 128
"""Bytes below where a stack stands that are still in use: System V ABI, AMD64."""
MODELS = ("passerby-detector-320x256", "passerby-detector-640x480", "passerby-embedder")


class Worker:
    """A network with two threads, and the stack of the second."""

    def __init__(self, name):
        before = {task.name for task in TASKS.iterdir()}
        self.network = open_network(ROOT / f"models/built-in/{name}.tflite", 2)
        self.tasks = sorted({task.name for task in TASKS.iterdir()} - before)
        self.pointers = [parked(task) for task in self.tasks]
        self.stacks = [mapping_of(pointer) for pointer in self.pointers]
        for (first, _), pointer in zip(self.stacks, self.pointers, strict=True):
            # Stacks are used again: what another test's thread left there is not this one's.
            ctypes.memset(first, 0, pointer - RED_ZONE - first)

    def memory_after(self, seed):
        """Compute noise; return what the network's memory holds of it, and the picture."""
        _, height, width, _ = self.network.input_shape
        noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
        with self.network.outputs(noise):
            inside = [array.tobytes() for array in self.network._scratch._arrays]
        return [*inside, noise.tobytes(), (noise ^ 128).tobytes()]

    def dead_stacks(self):
        """Return what lies below where the sleeping threads stand, as bytes of each."""
        return [
            resident(first, parked(task))
            for task, (first, _) in zip(self.tasks, self.stacks, strict=True)
        ]


def parked(task):
    """Return where a thread's stack stands, once it sleeps: proc_pid_syscall(5)."""
    while (words := (TASKS / task / "syscall").read_text().split())[0] == "running":
        time.sleep(0.001)
    return int(words[-2], 16)


def mapping_of(address):
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, end = (int(part, 16) for part in line.split()[0].split("-"))
        if first <= address < end:
            return first, end
    raise AssertionError("a stack that is mapped nowhere")


def resident(first, end):
    """Return the memory of a range; what was never touched is zeros."""
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        memory.seek(first)
        return memory.read(end - first)


def found_in(stack, contents):
    """Return the stretches of a stack that lie in any of the contents, too."""
    used = np.flatnonzero(np.frombuffer(stack, np.uint8))
    starts = range(max(0, int(used[0]) - STRETCH), len(stack) - STRETCH) if used.size else ()
    stretches = {stack[start : start + STRETCH] for start in starts}
    telling = {one for one in stretches if len(set(one)) >= LEAST_DIFFERENT}
    return [one for one in telling if any(one in content for content in contents)]


@pytest.fixture(scope="module", params=MODELS)
def worker(request):
    found = Worker(request.param)
    if found.network.scratch_bytes is None:
        pytest.skip("SKIPPED: the network's memory is not known with this interpreter")
    assert len(found.tasks) == 1
    return found


def test_nothing_of_the_network_s_memory_lies_on_a_worker_s_stack(worker):
    for seed in range(6):
        contents = worker.memory_after(seed)
        (stack,) = worker.dead_stacks()
        assert any(stack), "the worker did nothing"
        assert found_in(stack, contents) == []
    worker.network.wipe()


def test_a_stretch_that_did_lie_there_would_be_found(worker):
    contents = worker.memory_after(100)
    largest = max(contents, key=len)
    piece = next(
        largest[at : at + 2 * STRETCH]
        for at in range(0, len(largest), STRETCH)
        if len(set(largest[at : at + STRETCH])) >= LEAST_DIFFERENT
    )
    # Far below all that the thread itself ever uses.
    place = worker.pointers[0] - 256 * 1024
    assert worker.stacks[0][0] < place
    ctypes.memmove(place, piece, len(piece))
    try:
        (stack,) = worker.dead_stacks()
        assert found_in(stack, contents)
    finally:
        ctypes.memset(place, 0, len(piece))
        worker.network.wipe()


def test_what_a_worker_uses_of_its_stack_is_small(worker):
    """Some hundred bytes: addresses, counters and constants of the network."""
    worker.memory_after(200)
    (stack,) = worker.dead_stacks()
    used = np.flatnonzero(np.frombuffer(stack, np.uint8))
    assert len(stack) - int(used[0]) < 16 * 1024
    worker.network.wipe()
