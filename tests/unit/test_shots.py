import numpy as np

from device.vision.quality import Pose
from device.vision.shots import Shot, ShotBudget, in_turn
from device.vision.tracker import Track


def _track(number=1, **numbers):
    return Track(number, np.zeros(4, np.float32), 0.0, **numbers)


def _shot(track, score=0.5):
    return Shot(track, np.zeros(15, np.float32), np.zeros((5, 2), np.float32), POSE, score)


def _order(shots, pending=frozenset(), now_s=10.0):
    return [shot.track.number for shot in in_turn(shots, pending, now_s)]


POSE = Pose(40, 0, 0, 0)


def test_a_new_face_is_compared_at_once():
    assert ShotBudget(3).allows(_track(), 0.1, 0.0, pending=False)


def test_the_same_quality_waits_and_a_clearly_better_shot_does_not():
    budget, track = ShotBudget(10), _track()
    budget.spend(track, 0.5, 0.0)
    assert not budget.allows(track, 0.62, 0.2, pending=False)
    assert budget.allows(track, 0.66, 0.2, pending=False)
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


def test_who_was_no_candidate_is_asked_again_more_and_more_seldom():
    budget, track = ShotBudget(10), _track()
    now, shots_s = 0.0, []
    while now < 12:
        if budget.allows(track, 0.5, now, pending=False):
            budget.spend(track, 0.5, now)
            shots_s.append(now)
        now += 0.05
    waits = np.diff(shots_s)
    assert np.all(waits[1:] > 1.2 * waits[:-1])
    # A clearly better shot, or a candidate, waits for none of it.
    assert budget.allows(track, 0.66, shots_s[-1] + 0.2, pending=False)
    assert budget.allows(track, 0.5, shots_s[-1] + 0.2, pending=True)


def test_of_who_comes_nearer_a_better_shot_is_awaited():
    budget, track = ShotBudget(10), _track(growth=0.5)
    budget.spend(track, 0.5, 0.0)
    assert not budget.allows(track, 0.6, 0.9, pending=False)
    assert budget.allows(track, 0.66, 0.2, pending=False)
    assert budget.allows(track, 0.5, 1.0, pending=False)


def test_a_face_is_hopeful_until_it_has_had_all_it_will_get():
    budget = ShotBudget(2)
    track = _track(score=0.5)
    assert budget.hopeful(track, 0.0)
    budget.spend(track, 0.5, 0.0)
    assert [budget.hopeful(track, now) for now in (0.1, 0.31, 9.0)] == [False, True, True]
    budget.spend(track, 0.5, 0.6)
    assert not budget.hopeful(track, 9.0)
    track.score = 0.62
    assert not budget.hopeful(track, 9.0)
    track.growth = 0.5
    assert budget.hopeful(track, 9.0)


def test_who_waits_for_confirmation_comes_first_then_who_was_never_compared_then_the_best():
    old, new, better, pending = (
        _track(1, last_shot_s=5.0),
        _track(2),
        _track(3),
        _track(4, last_shot_s=9.8),
    )
    shots = [_shot(old, 0.9), _shot(new, 0.3), _shot(better, 0.4), _shot(pending, 0.1)]
    assert _order(shots, {4}) == [4, 3, 2, 1]


def test_who_was_compared_longest_ago_comes_before_who_is_better():
    tracks = [_track(1, last_shot_s=9.0), _track(2, last_shot_s=7.0), _track(3, last_shot_s=8.0)]
    assert _order([_shot(track, track.number / 4) for track in tracks]) == [2, 3, 1]


def test_who_has_waited_too_long_comes_before_all_others():
    patient, longer, pending = _track(1, waits_since_s=9.4), _track(2, waits_since_s=9.0), _track(3)
    lately = _track(4, waits_since_s=9.6)
    shots = [_shot(track) for track in (patient, longer, pending, lately)]
    assert _order(shots, {3}) == [2, 1, 3, 4]


def test_a_candidate_does_not_wait_behind_those_who_matched_nobody():
    late = [_track(number, shots=2, waits_since_s=1.0, last_shot_s=0.5) for number in (1, 2)]
    new = _track(3, waits_since_s=9.0)
    candidate = _track(4, shots=1, waits_since_s=9.95, last_shot_s=9.9)
    shots = [_shot(track) for track in (*late, new, candidate)]
    assert _order(shots, frozenset({4})) == [3, 4, 1, 2]
