"""The governor keeps frames in time and the board cool, recovers, and does not swing to and fro."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.governor import (
    EASY,
    FEWEST_FRAMES,
    HOT_DWELL_S,
    LATE_DWELL_S,
    LONGEST_PATIENCE_S,
    PATIENCE_S,
    WINDOW_S,
    steps_for,
)
from tests.simulators.board import FULL, LIMITS, RATE, Board, governor

HOUR = 3600.0


def feed(one, age_s, seconds, start_s, *, celsius=45.0, rate=RATE):  # noqa: PLR0913
    """Frames of one age and readings of one temperature; return when it ended."""
    now_s = start_s
    for number in range(round(seconds * rate)):
        now_s = start_s + number / rate
        one.frame(age_s, now_s)
        if number % max(1, round(2 * rate)) == 0:
            one.temperature(celsius, now_s)
    return now_s + 1 / rate


# --- The steps ------------------------------------------------------------------------------------


def test_the_steps_are_numbered_and_each_asks_for_less():
    steps = steps_for(FULL, small_detector=True)
    assert [step.number for step in steps] == [0, 1, 2, 3, 4]
    assert steps[0].effort == FULL
    for one, less in pairwise(steps):
        assert less.effort.searches_per_s <= one.effort.searches_per_s
        assert less.effort.follows_per_s <= one.effort.follows_per_s
        assert 1 <= less.effort.faces_per_frame <= one.effort.faces_per_frame
        assert less.effort.small_detector >= one.effort.small_detector
        assert less.effort != one.effort
    assert len({step.sentence for step in steps}) == len({step.name for step in steps}) == 5


def test_without_a_smaller_detector_its_step_is_left_out_and_the_numbers_stay():
    steps = steps_for(FULL, small_detector=False)
    assert [step.number for step in steps] == [0, 1, 2, 4]
    assert not any(step.effort.small_detector for step in steps)


# --- Late frames ----------------------------------------------------------------------------------


def test_frames_in_time_change_nothing():
    one = governor()
    feed(one, LIMITS.latency_s, 600, 0.0)
    assert one.step.number == 0


def test_late_frames_take_one_step_after_the_other():
    one, seen = governor(), []
    now_s = 0.0
    for _ in range(6):
        now_s = feed(one, 0.5, LATE_DWELL_S, now_s)
        seen.append(one.step.number)
    assert seen[-1] == 4
    assert all(0 <= after - before <= 1 for before, after in pairwise(seen))
    assert one.loaded.number == 4
    assert one.heated.number == 0


@pytest.mark.parametrize(("late_of_a_thousand", "step"), [(5, 0), (25, 1)])
def test_it_is_the_99th_percentile_that_counts(late_of_a_thousand, step):
    one = governor()
    every = 1000 // late_of_a_thousand
    # A hundred frames a second, so that the window holds a thousand.
    for number in range(1700):
        age_s = 0.5 if number % every == 0 else 0.01
        one.frame(age_s, number / 100)
    assert one.step.number == step


def test_one_late_frame_alone_takes_no_step():
    one = governor()
    feed(one, 0.05, 20, 0.0, rate=5)
    one.frame(30.0, 20.0)
    feed(one, 0.05, 60, 20.1, rate=5)
    assert one.step.number == 0


def test_frames_that_come_seldom_are_judged_too():
    # Four seconds each: the window of ten seconds never holds the fewest.
    assert WINDOW_S / 4 + 1 < FEWEST_FRAMES
    one = governor()
    feed(one, 4.0, 100, 0.0, rate=0.25)
    assert one.step.number >= 1


def test_it_recovers_when_the_load_ends_and_more_slowly_than_it_fell():
    one = governor()
    fell_s = feed(one, 0.5, 4 * LATE_DWELL_S + 1, 0.0)
    assert one.step.number == 4
    now_s, changes = fell_s, []
    while one.step.number and now_s < HOUR:
        before = one.step.number
        now_s = feed(one, 0.05, 1, now_s)
        if one.step.number != before:
            changes.append(now_s)
    assert one.step.number == 0
    assert len(changes) == 4
    assert all(b - a >= PATIENCE_S - 1 for a, b in pairwise(changes))


def test_frames_that_are_hardly_in_time_are_a_reason_to_do_more_only_after_long():
    one = governor()
    now_s = feed(one, 0.5, LATE_DWELL_S + 1 / RATE, 0.0)
    number = one.step.number
    assert number == 1
    hardly_s = LIMITS.latency_s * (EASY + 0.1)
    now_s = feed(one, hardly_s, LONGEST_PATIENCE_S - 60, now_s)
    assert one.step.number == number
    feed(one, hardly_s, 120, now_s)
    assert one.step.number == 0


def test_a_busy_street_whose_searched_frames_take_what_they_may_recovers():
    one = governor()
    now_s = feed(one, 0.5, LATE_DWELL_S + 1 / RATE, 0.0)
    assert one.step.number == 1
    for number in range(round(2 * PATIENCE_S * RATE)):
        one.frame(0.65 * LIMITS.latency_s if number % 3 == 0 else 0.05, now_s + number / RATE)
        one.temperature(45.0, now_s + number / RATE)
    assert one.step.number == 0


# --- Heat -----------------------------------------------------------------------------------------


def test_a_hot_board_takes_a_step_each_dwell_and_recovers_with_hysteresis():
    one = governor()
    now_s = feed(one, 0.05, HOT_DWELL_S + 4, 0.0, celsius=79.0)
    assert one.step.number == one.heated.number == 1
    # Below the limit, not below the lower one: it stays.
    now_s = feed(one, 0.05, 3 * PATIENCE_S, now_s, celsius=76.0)
    assert one.step.number == 1
    feed(one, 0.05, PATIENCE_S + 4, now_s, celsius=74.0)
    assert one.step.number == 0


def test_a_board_that_its_firmware_slows_down_counts_as_hot():
    one = governor()
    for second in range(40):
        one.temperature(60.0, float(second), slowed=True)
    assert one.heated.number == 1


def test_at_the_critical_temperature_it_rests_at_once_until_it_has_cooled():
    one = governor()
    one.temperature(60.0, 0.0)
    one.temperature(85.0, 2.0)
    assert one.resting
    assert one.step.number == 4
    for celsius in (84.0, 79.0, 75.1, None, float("nan"), 500.0):
        one.temperature(celsius, 4.0)
        assert one.resting
    one.temperature(75.0, 6.0)
    assert not one.resting
    assert one.step.number == 4


@pytest.mark.parametrize("celsius", [None, float("nan"), float("inf"), -273.15, 1000.0])
def test_what_cannot_be_true_is_not_known(celsius):
    one = governor()
    for second in range(200):
        one.temperature(celsius, float(second))
    assert not one.temperature_known
    assert one.step.number == 0
    assert not one.resting


@pytest.mark.parametrize("age_s", [float("nan"), float("inf"), -1.0, 1e9])
def test_an_age_that_cannot_be_true_does_not_count(age_s):
    one = governor()
    feed(one, age_s, 120, 0.0)
    assert one.step.number == 0


def test_a_hot_board_whose_thermometer_fails_does_not_do_more():
    one = governor()
    now_s = feed(one, 0.05, HOT_DWELL_S + 4, 0.0, celsius=79.0)
    now_s = feed(one, 0.05, HOUR, now_s, celsius=None)
    assert one.step.number == 1
    feed(one, 0.05, PATIENCE_S + 4, now_s, celsius=60.0)
    assert one.step.number == 0


# --- Simulated hours ------------------------------------------------------------------------------


def hours(board, one, count):
    """Run for hours; return when the step changed, and to which."""
    changes = []
    board.run(one, count * HOUR, lambda now_s, step: changes.append((now_s, step)))
    return changes


def in_last_hour(board, changes):
    return [change for change in changes if change[0] > board.now_s - HOUR]


@pytest.mark.parametrize("ambient_c", [25, 30, 35, 40, 45, 50])
@pytest.mark.parametrize("faces", [0, 6])
def test_under_steady_heat_it_keeps_the_limit_and_does_not_swing(ambient_c, faces):
    board, one = Board(ambient_c=ambient_c, faces=faces), governor()
    hours(board, one, 1)
    hottest, changes = board.celsius, []
    for _ in range(120):
        board.run(one, 60, lambda now_s, step: changes.append((now_s, step)))
        hottest = max(hottest, board.celsius)
    # A trial of more, and what it costs: twice in an hour at most, each a step up and one down.
    assert len(in_last_hour(board, changes)) <= 4
    assert hottest < LIMITS.critical_c
    assert not one.resting


def test_without_a_governor_the_same_board_grows_too_hot():
    board, watching = Board(ambient_c=45, faces=6), governor()
    watching.temperature = lambda celsius, now_s: None
    board.run(watching, HOUR)
    assert board.celsius > LIMITS.hottest_c


@pytest.mark.parametrize("small", [True, False])
def test_a_crowd_takes_steps_and_its_end_gives_them_back(small):
    board, one = Board(faces=12, face_s=0.04), governor(small=small)
    board.run(one, 120)
    assert one.loaded.number >= 1
    lowest = one.step.effort
    ages = []
    note = one.frame
    one.frame = lambda age_s, now_s: (ages.append(age_s), note(age_s, now_s))
    board.run(one, 60)
    assert sorted(ages)[int(0.99 * len(ages))] <= LIMITS.latency_s
    assert lowest.faces_per_frame < FULL.faces_per_frame
    board.faces = 0
    board.run(one, HOUR)
    assert one.step.number == 0


def test_an_eye_that_is_always_too_slow_is_tried_again_ever_more_seldom():
    board, one = Board(faces=4, detector_s=0.35, small_s=0.15), governor()
    changes = hours(board, one, 6)
    assert one.step.number >= 3
    assert len(in_last_hour(board, changes)) <= 4
    assert LONGEST_PATIENCE_S > HOUR / 2


def test_in_an_oven_nothing_is_compared_and_after_it_all_is_as_before():
    board, one = Board(ambient_c=75, faces=4), governor()
    board.run(one, HOUR)
    assert one.resting
    board.ambient_c = 20
    board.run(one, 2 * HOUR)
    assert not one.resting
    assert one.step.number == 0


@given(
    ambient_c=st.floats(15, 65),
    kelvin_per_watt=st.floats(2, 9),
    faces=st.integers(0, 20),
    face_s=st.floats(0.001, 0.06),
    small=st.booleans(),
)
@settings(deadline=None, max_examples=8)
def test_whatever_the_board_it_comes_to_rest_and_recovers(
    ambient_c, kelvin_per_watt, faces, face_s, small
):
    board = Board(ambient_c, kelvin_per_watt, faces=faces, face_s=face_s)
    one = governor(small=small)
    changes = hours(board, one, 4)
    assert len(in_last_hour(board, changes)) <= 4
    board.faces, board.ambient_c, board.kelvin_per_watt = 0, 15, 2
    hours(board, one, 3)
    assert one.step.number == 0
    assert not one.resting


readings = st.one_of(
    st.none(), st.floats(), st.floats(-50, 160), st.sampled_from([74.9, 75.0, 78.1, 84.9, 85.0])
)
happenings = st.lists(
    st.tuples(
        st.floats(0, 200),
        st.one_of(
            st.tuples(st.just("frame"), st.one_of(st.floats(), st.floats(0, 1))),
            st.tuples(st.just("heat"), readings, st.booleans()),
        ),
    ),
    max_size=300,
)


@given(happenings, st.booleans())
@settings(deadline=None, max_examples=120)
def test_whatever_is_told_the_steps_are_in_range_one_by_one_and_never_hasty(told, small):
    one = governor(small=small)
    ladder = [step.number for step in steps_for(FULL, small_detector=small)]
    now_s, changed_s = 0.0, -math.inf
    for wait_s, (what, value, *more) in told:
        now_s += wait_s
        before, rested = ladder.index(one.step.number), one.resting
        if what == "frame":
            one.frame(value, now_s)
        else:
            one.temperature(value, now_s, slowed=more[0])
        after = ladder.index(one.step.number)
        if one.resting != rested:
            # Fail closed: at once, and to the last step.
            assert after == len(ladder) - 1
            changed_s = now_s
        elif after != before:
            assert abs(after - before) == 1
            assert now_s - changed_s >= LATE_DWELL_S
            changed_s = now_s
        assert not (one.resting and what == "frame" and not rested)
    now_s = feed(one, 0.01, 3.5 * HOUR, now_s + 1, celsius=45.0, rate=1)
    assert one.step.number == 0
    assert not one.resting
