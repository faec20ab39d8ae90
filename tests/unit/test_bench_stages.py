"""Clocks round stages, wrapped functions, and pictures that move."""

import numpy as np
import pytest

from device.matching import comparison
from device.vision import observer
from device.vision.embedder import Embedder
from tools.lab.bench.frigate import Motion, Person, joined
from tools.lab.bench.reading import Reading
from tools.lab.bench.stages import STAGES, StageClock
from tools.lab.bench.wraps import Wraps


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def ran(clock, *steps):
    """Let stages run: a name enters it, a number passes seconds, None leaves."""
    stages = StageClock(clock)
    for step in steps:
        if step is None:
            stages.leave()
        elif isinstance(step, str):
            stages.enter(step)
        else:
            clock.now += step
    return {name: value for name, value in stages.seconds.items() if value}


def test_time_belongs_to_the_innermost_stage():
    found = ran(Clock(), "rest", 1, "compare", 2, "align", 4, None, 8, None, 16, None)
    assert found == {"rest": 17, "compare": 10, "align": 4}


def test_the_second_look_counts_with_the_detection_inside_it():
    found = ran(Clock(), "rest", "second look", 1, "detect", 2, None, 4, None, 8, None)
    assert found == {"second look": 7, "rest": 8}


def test_what_passes_outside_all_stages_belongs_to_none():
    assert ran(Clock(), 5, "rest", 1, None, 7) == {"rest": 1}


def test_a_stage_that_fails_still_ends():
    clock = Clock()
    stages = StageClock(clock)

    def fails():
        clock.now += 3
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one above
        stages.around("detect")(fails)()
    clock.now += 5
    stages.enter("rest")
    stages.leave()
    assert stages.seconds["detect"] == 3
    assert stages.seconds["rest"] == 0


def test_every_stage_is_a_function_of_the_device():
    for _, owner, function in STAGES:
        assert callable(vars(owner)[function])


def test_wrapped_functions_are_put_back():
    before = (comparison.scores_of, Embedder.features, observer.detections_per_s)
    reading, wraps = Reading(), Wraps()
    wraps.around(observer, "detections_per_s", lambda _: lambda *_: 60.0)
    assert comparison.scores_of is not before[0]
    assert Embedder.features is not before[1]
    reading.close()
    wraps.undo()
    assert (comparison.scores_of, Embedder.features, observer.detections_per_s) == before


def test_what_was_renamed_is_not_wrapped_in_silence():
    with pytest.raises(AttributeError, match="Embedder has no embeds"):
        Wraps().around(Embedder, "embeds", lambda original: original)


# Frigate-like


def test_nothing_moves_in_a_still_picture():
    motion, street = Motion(), np.full((720, 1280), 90, np.uint8)
    assert [motion.boxes(street) for _ in range(3)] == [[], [], []]


def test_a_box_lies_round_what_came():
    motion, street = Motion(), np.full((720, 1280), 90, np.uint8)
    motion.boxes(street)
    street[200:600, 500:700] = 200
    ((left, top, right, bottom),) = motion.boxes(street)
    # Sixty pixels of margin across and as many down, and what a row of a hundred rounds to.
    assert (left, top) == pytest.approx((470, 140), abs=25)
    assert (right, bottom) == pytest.approx((730, 660), abs=25)


def test_boxes_that_touch_through_a_third_become_one():
    apart = [(0, 0, 10, 10), (20, 0, 30, 10), (100, 100, 110, 110)]
    assert joined(apart) == apart
    assert sorted(joined([*apart, (5, 2, 25, 4)])) == [(0, 0, 30, 10), (100, 100, 110, 110)]


def test_larger_faces_weigh_more_and_the_heaviest_name_is_given():
    attempts = [("ref-1", 0.5, 100.0), ("ref-1", 0.9, 300.0), ("ref-2", 0.95, 100.0)]
    person = Person(np.zeros(4, np.float32), 0.0, attempts)
    name, score = person.decision()
    assert name == "ref-1"
    assert score == pytest.approx((0.5 * 100 + 0.9 * 300) / 400)


def test_attempts_end_sooner_once_there_is_a_name():
    person = Person(np.zeros(4, np.float32), 0.0, [("ref-1", 0.5, 1.0)] * 6)
    assert not person.settled
    person.named = True
    assert person.settled
    person.named = False
    person.attempts *= 2
    assert person.settled
