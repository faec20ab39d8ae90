"""What more threads bring: wall and processor time of each network with one thread, with two."""

import os
import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from device.capture import Pixels
from device.vision import Catalogue, default_directory
from device.vision.inference import Network
from device.vision.threads import MOST_THREADS

_PASSES: Final = 3
_REST_S: Final = 0.02
"""Threads that have nothing to do look for work for some milliseconds: none of it is the next's."""
_SEED: Final = 7

Sweep = dict[str, dict[int, dict[str, list[float]]]]
"""Network, threads, "wall_ms" or "cpu_ms": milliseconds per pass, one figure per repeat."""


def thread_sweep(models: Sequence[str], repeats: int) -> Sweep:
    """Return what a pass of each network costs with one thread up to as many as there are cores.

    models: names in `models.toml`. Every repeat goes through all networks and counts, so that a
    noisy machine is noisy for all; a figure is the mean of three passes on noise. cpu_ms is the
    whole process's. At most four threads. Raises ModelError.
    """
    counts = range(1, min(MOST_THREADS, len(os.sched_getaffinity(0))) + 1)
    opened = {(name, count): _opened(name, count) for name in models for count in counts}
    found: Sweep = {
        name: {count: {"wall_ms": [], "cpu_ms": []} for count in counts} for name in models
    }
    noise = {name: _noise(opened[name, 1]) for name in models}
    for (name, _), network in opened.items():
        network.run(noise[name])
    for _ in range(repeats):
        for (name, count), network in opened.items():
            wall_ms, cpu_ms = _timed(network, noise[name])
            found[name][count]["wall_ms"].append(wall_ms)
            found[name][count]["cpu_ms"].append(cpu_ms)
    return found


def _opened(name: str, threads: int) -> Network:
    catalogue = Catalogue.read(default_directory())
    entry = next((entry for entry in catalogue.entries if entry.name == name), None)
    return catalogue.open_bare(entry or catalogue.entry(name, "detector"), threads)


def _noise(network: Network) -> Pixels:
    _, height, width, _ = network.input_shape
    return np.random.default_rng(_SEED).integers(0, 256, (height, width, 3)).astype(np.uint8)


def _timed(network: Network, noise: Pixels) -> tuple[float, float]:
    """Return milliseconds of wall and of processor time per pass."""
    time.sleep(_REST_S)
    began, spent = time.perf_counter(), time.process_time()
    for _ in range(_PASSES):
        network.run(noise)
    wall, cpu = time.perf_counter() - began, time.process_time() - spent
    return 1000 * wall / _PASSES, 1000 * cpu / _PASSES
