import numpy as np

from device.vision.shots import ShotBudget
from device.vision.tracker import Track


def _track():
    return Track(1, np.zeros(4, np.float32), 0.0)


def test_a_new_face_is_compared_at_once():
    assert ShotBudget(3).allows(_track(), 0.1, 0.0, pending=False)


def test_the_same_quality_waits_and_a_clearly_better_shot_does_not():
    budget, track = ShotBudget(10), _track()
    budget.spend(track, 0.5, 0.0)
    assert not budget.allows(track, 0.52, 0.2, pending=False)
    assert budget.allows(track, 0.6, 0.2, pending=False)
    assert budget.allows(track, 0.5, 0.6, pending=False)


def test_shots_of_neighbouring_frames_are_not_two_shots():
    budget, track = ShotBudget(10), _track()
    budget.spend(track, 0.5, 0.0)
    assert not budget.allows(track, 0.9, 0.05, pending=True)


def test_the_budget_is_bounded_also_while_a_candidate_waits():
    budget, track = ShotBudget(3), _track()
    now = 0.0
    while budget.allows(track, 0.5, now, pending=False):
        budget.spend(track, 0.5, now)
        now += 1
    assert track.shots == 3
    while budget.allows(track, 0.5, now, pending=True):
        budget.spend(track, 0.5, now)
        now += 1
    assert track.shots == 6
    assert budget.allows(track, 0.9, now, pending=False)
