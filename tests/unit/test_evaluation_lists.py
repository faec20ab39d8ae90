"""Lists of a wanted size: drawn from the gallery, or filled with people who are never probed."""

import numpy as np
import pytest

from tools.lab.evaluate.lists import draw

ALL = np.ones(300, np.bool_)


def test_the_whole_gallery_is_one_list_for_every_stranger():
    (drawn,) = draw(90, 90, ALL)
    assert drawn.members.tolist() == list(range(90))
    assert drawn.strangers.all()


def test_smaller_lists_are_drawn_often_and_everybody_is_on_as_many():
    lists = draw(25, 100, ALL)
    assert len(lists) >= 20
    assert all(len(set(drawn.members.tolist())) == 25 for drawn in lists)
    on = np.bincount(np.concatenate([drawn.members for drawn in lists]), minlength=100)
    assert set(on.tolist()) == {len(lists) * 25 // 100}
    assert all(drawn.strangers.all() for drawn in lists)


def test_a_list_that_does_not_divide_the_gallery_leaves_out_others_each_time():
    on = np.bincount(np.concatenate([d.members for d in draw(60, 100, ALL)]), minlength=100)
    assert on.min() > 0


@pytest.mark.parametrize("size", [110, 200, 280, 360])
def test_imposed_impostors_are_never_searched_for_in_their_list(size):
    lists = draw(size, 100, ALL)
    for drawn in lists:
        assert len(set(drawn.members.tolist())) == size
        assert drawn.members[:100].tolist() == list(range(100))
        imposed = drawn.members[100:] - 100
        assert not drawn.strangers[imposed].any()
    searched = np.sum([drawn.strangers for drawn in lists], axis=0)
    assert set(searched.tolist()) == {1}


def test_only_who_can_be_enrolled_fills_a_list():
    fillers = np.arange(300) % 2 == 0
    for drawn in draw(180, 100, fillers):
        assert fillers[drawn.members[100:] - 100].all()


def test_too_few_people_fill_no_list():
    assert draw(400, 100, ALL) == []
    assert draw(101, 100, np.zeros(300, np.bool_)) == []
    assert draw(101, 100, np.zeros(0, np.bool_)) == []


def test_the_same_lists_are_drawn_again():
    for size in (20, 250):
        once, again = draw(size, 100, ALL), draw(size, 100, ALL)
        assert [d.members.tolist() for d in once] == [d.members.tolist() for d in again]
        assert [d.strangers.tolist() for d in once] == [d.strangers.tolist() for d in again]
