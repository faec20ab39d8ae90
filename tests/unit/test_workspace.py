"""Memory for pixels on their way: taken once, used again, black whenever nobody has it."""

import numpy as np
import pytest

from device.capture.workspace import Workspace, is_black


def test_the_same_memory_is_lent_again():
    work = Workspace()
    first = work.take(30, 40, 3)
    other = work.take(10, 10)
    work.wipe()
    size = work.size
    again, smaller = work.take(30, 40, 3), work.take(4, 4)
    assert np.shares_memory(first, again)
    assert np.shares_memory(other, smaller)
    assert not np.shares_memory(again, smaller)
    assert work.size == size


def test_it_grows_to_the_largest_and_stays():
    work = Workspace()
    work.take(100, 100)
    work.wipe()
    large = work.take(1000, 1000)
    assert large.shape == (1000, 1000)
    assert not large.any()
    work.wipe()
    size = work.size
    work.take(1000, 1000)
    assert work.size == size


def test_what_is_lent_is_black_whoever_had_it_before():
    work = Workspace()
    work.take(50, 50).fill(9)
    work.wipe()
    assert not work.take(40, 60).any()


def test_what_was_taken_last_is_given_back_first():
    work = Workspace()
    kept, given = work.take(5, 5), work.take(5, 5)
    kept.fill(1)
    given.fill(2)
    work.give_back()
    assert not given.any()
    assert kept.all()
    assert not work.wiped
    work.wipe()
    assert not kept.any()
    assert work.wiped


@pytest.mark.parametrize("place", [0, 1234, -1])
def test_a_single_byte_that_stays_is_noticed(place):
    work = Workspace()
    taken = work.take(50, 50).reshape(-1)
    work.wipe()
    # Through a view that somebody kept, before anybody looked.
    taken[place] = 1
    assert not work.wiped
    taken[place] = 0
    assert work.wiped


def test_one_that_was_never_used_is_wiped():
    assert Workspace().wiped


def test_black_is_nothing_but_zeros():
    assert is_black(np.zeros((0, 3), np.uint8))
    assert is_black(np.zeros((480, 640, 3), np.uint8))
    grey = np.zeros((480, 640, 3), np.uint8)
    grey[-1, -1, -1] = 1
    assert not is_black(grey)
    assert not is_black(np.full((3, 3), 255, np.uint8))
