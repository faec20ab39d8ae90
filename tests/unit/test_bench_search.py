"""What a comparison costs: the lists that are timed are real lists of the size that they say."""

import numpy as np
import pytest

from device.matching import scores_of
from tests.simulators.sealed import plain, templates
from tools.lab.bench import search
from tools.lab.bench.search import PLAIN, PRODUCT, PROTECTED, search_costs
from tools.lab.turns import in_turns


def test_every_contestant_has_one_figure_per_repeat_and_the_protected_list_ends_at_the_cap():
    found = search_costs((1, 20, 2001), 16, 3)
    assert {name: list(by_size) for name, by_size in found.items()} == {
        PLAIN: [1, 20, 2001],
        PROTECTED: [1, 20],
        PRODUCT: [1, 20, 2001],
    }
    assert all(len(figures) == 3 for by_size in found.values() for figures in by_size.values())
    assert min(figure for by in found.values() for row in by.values() for figure in row) >= 0


def test_the_timed_list_scores_as_a_list_of_the_same_rows():
    rows = templates(40, dimension=16)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    real = plain(rows)
    blocks = np.zeros((3, 16, 16), np.float32)
    blocks.reshape(-1, 16)[:40] = rows
    timed = search._plain(blocks, 40)
    assert len(timed) == 40
    assert np.shares_memory(timed.matrix, blocks)
    timed.surplus, timed.level = real.surplus, real.level
    assert scores_of(timed, rows) == pytest.approx(scores_of(real, rows), abs=1e-5)


def test_contestants_take_turns():
    called = []
    found = in_turns({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, 3, 2)
    assert called == list("aabb" * 3)
    assert {name: len(figures) for name, figures in found.items()} == {"a": 3, "b": 3}
