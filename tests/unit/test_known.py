"""Rendered people are learnt by who they are: it costs little to be nearest to oneself."""

from importlib import import_module

import pytest

torch = pytest.importorskip("torch", reason="the training's environment has it: make venv-train")


@pytest.fixture
def known():
    return import_module("tools.lab.train.known").KnownPeople(3, 4)


def rows(*places):
    return torch.eye(4)[list(places)]


def test_nobody_is_no_loss(known):
    loss = known.loss(
        torch.empty(0, 4, requires_grad=True).float(), torch.empty(0, dtype=torch.long)
    )
    assert loss.item() == 0
    loss.backward()


def test_a_view_near_its_own_mean_costs_less_than_one_near_another(known):
    known.meet(rows(0, 1, 2), torch.tensor([0, 1, 2]))
    own = known.loss(rows(0), torch.tensor([0])).item()
    other = known.loss(rows(1), torch.tensor([0])).item()
    assert own < 0.01
    assert other > 10


def test_two_views_of_one_person_in_a_batch_both_count(known):
    known.meet(rows(0, 1), torch.tensor([2, 2]))
    assert known.means[2].tolist() == pytest.approx([0.7071, 0.7071, 0, 0], abs=1e-3)
    assert not known.means[:2].any()


def test_a_mean_moves_slowly_towards_new_views(known):
    known.meet(rows(0), torch.tensor([1]))
    known.meet(rows(3), torch.tensor([1]))
    assert known.means[1, 0] > known.means[1, 3] > 0.2
    assert known.means[1].norm().item() == pytest.approx(1)
