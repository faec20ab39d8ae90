"""When a frame is searched: the rule, and what it makes of cameras that are not punctual."""

import numpy as np
import pytest

from device.vision.effort import Effort
from device.vision.pace import Outlook, detections_per_s, due

FULL = Effort(4.0, 5.0, 8)


def _outlook(**known):
    return Outlook(
        **{"moved": False, "followed": False, "hopeful": False, "waiting": False, **known}
    )


FOLLOWED = _outlook(followed=True)
HOPEFUL = _outlook(followed=True, hopeful=True)
WAITING = _outlook(followed=True, waiting=True)


@pytest.mark.parametrize(
    ("outlook", "rate"),
    [
        (_outlook(), 0.0),
        (_outlook(moved=True), 4.0),
        (FOLLOWED, 3.0),
        (HOPEFUL, 5.0),
        (WAITING, 10.0),
        (_outlook(moved=True, followed=True, hopeful=True, waiting=True), 10.0),
    ],
)
def test_the_rate_follows_from_the_outlook(outlook, rate):
    assert detections_per_s(outlook, FULL, FULL) == rate


def test_a_governor_slows_everything_down_but_loses_no_track():
    half = Effort(2.0, 2.5, 8)
    assert detections_per_s(WAITING, half, FULL) == 5.0
    assert detections_per_s(HOPEFUL, half, FULL) == 2.5
    assert detections_per_s(FOLLOWED, half, FULL) == 2.5
    assert detections_per_s(WAITING, Effort(1.0, 0.5, 1), FULL) == 2.5
    assert detections_per_s(_outlook(moved=True), half, FULL) == 2.0
    assert detections_per_s(_outlook(moved=True), Effort(0.0, 1.0, 1), FULL) == 0.0


def test_settings_that_ask_for_more_than_the_camera_gives_get_every_frame():
    most = Effort(60.0, 60.0, 8)
    for outlook in (_outlook(moved=True), FOLLOWED, HOPEFUL, WAITING):
        assert due(1 / 30, detections_per_s(outlook, most, most))


def _searched(rate, per_s, seconds=60.0, jitter_s=0.0):
    """Return the times of the frames that are searched, of a camera with some jitter."""
    rng = np.random.default_rng(7)
    last, times = float("-inf"), []
    for number in range(round(rate * seconds)):
        now = number / rate + rng.uniform(-jitter_s, jitter_s)
        if due(now - last, per_s):
            last = now
            times.append(now)
    return times


@pytest.mark.parametrize(
    ("rate", "per_s", "frames"),
    [(15, 5.0, 3), (15, 7.5, 2), (30, 5.0, 6), (30, 10.0, 3), (10, 10.0, 1), (15, 60.0, 1)],
)
@pytest.mark.parametrize("jitter_s", [0.0, 0.002])
def test_searched_frames_are_evenly_spaced_also_when_the_camera_is_not(
    rate, per_s, frames, jitter_s
):
    gaps = np.diff(_searched(rate, per_s, jitter_s=jitter_s))
    assert np.allclose(gaps, frames / rate, atol=2.1 * jitter_s + 1e-9)


@pytest.mark.parametrize("rate", [7.0, 12.0, 15.0, 24.0, 29.97, 60.0])
@pytest.mark.parametrize("per_s", [2.5, 5.0, 7.5, 10.0])
def test_no_more_frames_are_searched_than_asked_for_by_a_tenth(rate, per_s):
    times = _searched(rate, per_s)
    assert len(times) <= 60 * per_s / 0.9 + 1
    assert max(np.diff(times)) < 0.9 / per_s + 1 / rate + 1e-9


def test_nothing_is_due_where_nothing_is_asked_for():
    assert not due(1e9, 0.0)
    assert not due(float("inf"), 0.0)


def test_the_first_frame_and_a_clip_that_starts_again_are_due():
    assert due(float("inf"), 1.0)
    assert due(-5.0, 1.0)
