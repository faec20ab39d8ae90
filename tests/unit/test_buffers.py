"""The pool of frame buffers: a fixed set, wiped each time one comes back."""

import threading

import numpy as np

from device.capture.buffers import POOL_SIZE, BufferPool
from tests.simulators.sources import PATIENCE_S


def _take_all(pool):
    return [pool.take(PATIENCE_S) for _ in range(POOL_SIZE)]


def test_buffers_are_distinct_black_and_of_the_shape_asked_for():
    buffers = _take_all(BufferPool((4, 6, 3)))
    for number, buffer in enumerate(buffers, 1):
        assert buffer.shape == (4, 6, 3)
        assert buffer.dtype == np.uint8
        assert not buffer.any()
        buffer.fill(number)
    assert [int(b[0, 0, 0]) for b in buffers] == list(range(1, POOL_SIZE + 1))


def test_an_empty_pool_gives_none():
    pool = BufferPool((2, 2))
    kept = _take_all(pool)
    assert pool.take(0.01) is None
    assert len(kept) == POOL_SIZE


def test_what_comes_back_is_wiped_at_once():
    pool = BufferPool((2, 2))
    buffer = pool.take(PATIENCE_S)
    buffer.fill(255)
    pool.give_back(buffer)
    assert not buffer.any()


def test_the_same_memory_goes_round():
    pool = BufferPool((2, 2))
    first = {id(b) for b in _take_all_and_return(pool)}
    for _ in range(5):
        assert {id(b) for b in _take_all_and_return(pool)} == first


def _take_all_and_return(pool):
    buffers = _take_all(pool)
    for buffer in buffers:
        pool.give_back(buffer)
    return buffers


def test_whoever_waits_gets_the_buffer_that_comes_back():
    pool = BufferPool((2, 2))
    held = _take_all(pool)
    taken = []
    waiting = threading.Thread(target=lambda: taken.append(pool.take(PATIENCE_S)))
    waiting.start()
    held[0].fill(9)
    pool.give_back(held[0])
    waiting.join(PATIENCE_S)
    assert len(taken) == 1
    assert taken[0] is held[0]
    assert not taken[0].any()
