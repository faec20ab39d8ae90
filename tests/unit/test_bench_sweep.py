"""The benchmark's own sweeps: every figure is there, and what follows from the lens is right."""

import os

import pytest

from device.errors import ModelError
from tools.lab.bench.depths import depths
from tools.lab.bench.sweep import thread_sweep

NAMES = ["passerby-detector-320x256", "passerby-embedder"]


def test_every_network_and_count_of_threads_is_timed_in_every_repeat():
    found = thread_sweep(NAMES, 2)
    counts = list(range(1, min(4, len(os.sched_getaffinity(0))) + 1))
    assert list(found) == NAMES
    for by_count in found.values():
        assert list(by_count) == counts
        for figures in by_count.values():
            assert set(figures) == {"wall_ms", "cpu_ms"}
            assert all(len(values) == 2 and min(values) > 0 for values in figures.values())


def test_a_network_that_there_is_not_is_refused():
    with pytest.raises(ModelError, match="No detector is called"):
        thread_sweep(["tiny"], 1)


def test_a_larger_input_costs_more_and_sees_farther():
    small, large = depths("passerby-detector-640x480", 3)
    assert (small.width, large.width) == (320, 640)
    assert large.mmac > 3 * small.mmac
    assert sum(large.cpu_ms) > sum(small.cpu_ms)
    # 640 * 0.15 / (2 * 16 * tan 33°) = 4.62 m, and half of it.
    assert large.reach_m == pytest.approx(4.62, abs=0.005)
    assert small.reach_m == pytest.approx(2.31, abs=0.005)
    assert large.usual_reach_m == large.reach_m
