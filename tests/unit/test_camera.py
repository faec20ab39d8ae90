"""`Camera`: the latest frame wins, none is lost from a file, and a lost source comes back."""

import logging
import threading
import time

import pytest

from device.capture.camera import STALL_S, Camera
from device.capture.video import VideoSource
from device.errors import CameraError
from tests.simulators.sources import END, PATIENCE_S, Hang, ScriptedSource, grey


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A lost source is opened again at once."""
    monkeypatch.setattr("device.capture.camera._RETRY_S", (0.001,))


@pytest.fixture
def started():
    """Starts cameras on scripted sources, and stops them at the end."""
    cameras = []

    def start(source, **options):
        camera = Camera(source, **options)
        cameras.append((camera, source))
        camera.start()
        return camera

    yield start
    for camera, source in cameras:
        if isinstance(source, ScriptedSource):
            source.add(END)  # whoever waits for a frame need not wait for its time limit
        camera.stop()


def _eventually(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


def _take(camera):
    frame = camera.next(PATIENCE_S)
    assert frame is not None
    return frame


def _take_numbers_until_the_end(camera):
    numbers = []
    while not camera.finished:
        if (frame := camera.next(PATIENCE_S)) is not None:
            numbers.append(frame.number)
            frame.release()
    return numbers


# --- which frames arrive -------------------------------------------------------------------------


def test_the_latest_frame_wins_and_stale_ones_are_released(started):
    source = ScriptedSource(*[grey() for _ in range(5)], END)
    camera = started(source)
    source.wait_until(lambda: source.closes == 1)
    frame = _take(camera)
    assert frame.number == 4
    assert source.released == [0, 1, 2, 3]
    assert frame.main.pixels.any()
    frame.release()


def test_stale_frames_are_wiped(started):
    source = ScriptedSource(grey(), grey(), END)
    started(source)
    source.wait_until(lambda: source.closes == 1)
    assert not source.frames[0].main.pixels.any()


def test_a_frame_that_was_taken_is_the_callers_alone(started):
    source = ScriptedSource(grey())
    camera = started(source)
    frame = _take(camera)
    source.add(grey(), grey())
    source.wait_until(lambda: source.released == [1])
    assert frame.main.pixels.any()
    frame.release()


def test_a_file_loses_no_frame_however_slow_the_processing(started):
    source = ScriptedSource(*[grey() for _ in range(20)], live=False)
    camera = started(source)
    numbers = []
    for _ in range(20):
        frame = _take(camera)
        time.sleep(0.002)
        numbers.append(frame.number)
        frame.release()
    assert numbers == list(range(20))
    assert source.released == list(range(20))


def test_a_file_is_not_read_ahead_of_its_processing(started):
    source = ScriptedSource(*[grey() for _ in range(20)], live=False)
    camera = started(source)
    for taken in range(1, 6):
        frame = _take(camera)
        # At most: those taken, the one that waits, the one that was read to follow it.
        assert len(source.frames) <= taken + 2
        frame.release()


def test_nothing_new_gives_none(started):
    camera = started(ScriptedSource())
    assert camera.next(0.01) is None
    assert not camera.finished


def test_each_frame_is_given_once(started):
    source = ScriptedSource(grey())
    camera = started(source)
    _take(camera).release()
    assert camera.next(0.01) is None


# --- the end of the material ---------------------------------------------------------------------


@pytest.mark.parametrize("live", [True, False])
def test_it_is_finished_only_when_the_last_frame_was_taken(started, live):
    source = ScriptedSource(grey(), END, live=live)
    camera = started(source)
    source.wait_until(lambda: source.closes == 1)
    assert not camera.finished
    _take(camera).release()
    _eventually(lambda: camera.finished)
    assert camera.fault is None
    assert camera.next(PATIENCE_S) is None


def test_the_end_wakes_whoever_waits(started):
    source = ScriptedSource()
    camera = started(source)
    got = []
    waiting = threading.Thread(target=lambda: got.append(camera.next(PATIENCE_S)))
    waiting.start()
    source.add(END)
    waiting.join(PATIENCE_S)
    assert got == [None]
    assert camera.finished
    assert source.opens == 1


# --- a source that is lost -----------------------------------------------------------------------


def test_a_source_that_hangs_is_noticed_within_two_seconds(started):
    clock, hang = Clock(), Hang()
    source = ScriptedSource(grey(), hang, grey())
    camera = started(source, now=clock)
    _take(camera).release()
    assert hang.entered.wait(PATIENCE_S)
    assert camera.fault is None
    clock.seconds += STALL_S - 0.1
    assert camera.fault is None
    clock.seconds += 0.2
    assert STALL_S + 0.1 <= 2.0
    assert "scripted source has given no frame for over 1.5 s: check its cable" in camera.fault
    hang.resume()
    _take(camera).release()
    assert camera.fault is None


def test_a_source_that_hangs_before_its_first_frame_is_noticed(started):
    clock, hang = Clock(), Hang()
    camera = started(ScriptedSource(hang), now=clock)
    assert hang.entered.wait(PATIENCE_S)
    clock.seconds += 2.0
    assert "has given no frame for over 1.5 s" in camera.fault
    hang.resume()


def test_frames_keep_a_source_alive_however_long_it_runs(started):
    clock = Clock()
    source = ScriptedSource()
    camera = started(source, now=clock)
    for _ in range(10):
        clock.seconds += 1.0
        source.add(grey())
        _take(camera).release()
        assert camera.fault is None


def test_a_file_may_take_its_time(started):
    """What is not live waits for the processing; silence is no fault there."""
    clock = Clock()
    source = ScriptedSource(grey(), grey(), grey(), live=False)
    camera = started(source, now=clock)
    source.wait_until(lambda: len(source.frames) == 2)
    clock.seconds += 100.0
    assert camera.fault is None
    assert _take_numbers_until_the_end(camera) == [0, 1, 2]


def test_a_source_that_raises_is_opened_again_and_the_fault_clears(started):
    source = ScriptedSource(grey(), CameraError("The cable is out."))
    camera = started(source, stall_s=PATIENCE_S)
    source.wait_until(lambda: source.opens == 2)
    assert camera.fault == "The cable is out."
    _take(camera).release()
    assert camera.fault == "The cable is out."
    source.add(grey())
    assert _take(camera).number == 1
    assert camera.fault is None
    assert source.closes == 1


def test_a_source_that_does_not_open_is_tried_again(started):
    errors = [CameraError("No camera found."), CameraError("Still none."), None]
    source = ScriptedSource(grey(), open_errors=errors)
    camera = started(source, stall_s=PATIENCE_S)
    _take(camera).release()
    assert (source.opens, source.closes) == (3, 2)
    assert camera.fault is None


def test_each_fault_is_shown_while_it_lasts(started):
    source = ScriptedSource(open_errors=[CameraError("No camera found.")])
    camera = started(source, stall_s=PATIENCE_S)
    source.wait_until(lambda: source.opens == 2)
    assert camera.fault == "No camera found."


@pytest.mark.parametrize("surprise", [ValueError("odd"), OSError("gone"), AssertionError("never")])
def test_no_driver_surprise_ends_the_thread(started, surprise, caplog):
    caplog.set_level(logging.CRITICAL)
    source = ScriptedSource(surprise)
    camera = started(source, stall_s=PATIENCE_S)
    source.wait_until(lambda: source.opens == 2)
    assert camera.fault == f"scripted source failed ({type(surprise).__name__}: {surprise})."
    source.add(grey())
    _take(camera).release()
    assert camera.fault is None


@pytest.mark.parametrize("fault", [CameraError("It is cut."), ValueError("odd")])
def test_a_file_with_a_fault_ends_for_good_and_keeps_the_fault(started, fault):
    source = ScriptedSource(grey(), fault, grey(), live=False)
    camera = started(source)
    assert _take_numbers_until_the_end(camera) == [0]
    assert str(fault) in camera.fault
    assert (source.opens, source.closes) == (1, 1)


class Patience:
    """Stands in for the camera's `_stopping` event: notes how long it would have waited."""

    def __init__(self, really):
        self.waits = []
        self._really = really

    def wait(self, timeout):
        self.waits.append(timeout)
        return self._really.wait(0)

    def is_set(self):
        return self._really.is_set()

    def set(self):
        self._really.set()


@pytest.fixture
def patience(monkeypatch):
    """Makes a camera whose pauses are noted, not waited for: (source, seconds that it waited)."""
    monkeypatch.setattr("device.capture.camera._RETRY_S", (0.5, 1.0, 2.0, 5.0))

    def make(*script):
        camera = Camera(ScriptedSource(*script, END), stall_s=PATIENCE_S)
        camera._stopping = Patience(camera._stopping)
        camera.start()
        camera._thread.join(PATIENCE_S)
        camera.stop()
        return camera._stopping.waits

    return make


def test_a_source_that_stays_away_is_tried_less_and_less_often(patience):
    waits = patience(*[CameraError("Gone.")] * 6)
    assert waits == [0.5, 1.0, 2.0, 5.0, 5.0, 5.0]


@pytest.mark.parametrize("fault", [CameraError("Gone."), ValueError("odd")])
def test_a_source_that_worked_in_between_is_tried_soon_again(patience, fault):
    assert patience(fault, fault, grey(), fault, grey(), fault) == [0.5, 1.0, 0.5, 0.5]


# --- stopping ------------------------------------------------------------------------------------


@pytest.mark.parametrize("live", [True, False])
def test_stop_releases_the_waiting_frame_and_ends_the_thread(started, live):
    source = ScriptedSource(grey(), live=live)
    camera = started(source, stall_s=0.05)
    source.wait_until(lambda: len(source.frames) == 1)
    camera.stop()
    assert not camera._thread.is_alive()
    assert source.released == [0]
    assert not source.is_open
    assert camera.next(0) is None


def test_stop_releases_what_a_file_had_read_ahead(started):
    source = ScriptedSource(*[grey() for _ in range(5)], live=False)
    camera = started(source)
    source.wait_until(lambda: len(source.frames) == 2)
    camera.stop()
    assert sorted(source.released) == [0, 1]
    assert not camera._thread.is_alive()


def test_stop_is_safe_twice_and_without_start():
    camera = Camera(ScriptedSource(END))
    camera.stop()
    camera.stop()


def test_stop_ends_the_pause_before_the_next_attempt(monkeypatch, started):
    monkeypatch.setattr("device.capture.camera._RETRY_S", (3600.0,))
    source = ScriptedSource(CameraError("Gone."))
    camera = started(source)
    source.wait_until(lambda: source.closes == 1)
    camera.stop()
    camera._thread.join(PATIENCE_S)
    assert not camera._thread.is_alive()
    assert source.opens == 1


def test_a_frame_that_arrives_after_stop_is_released_too(started, monkeypatch):
    """The driver hung, `stop` gave up waiting for it, and then it came back."""
    hang = Hang()
    source = ScriptedSource(hang, grey())
    camera = started(source)
    assert hang.entered.wait(PATIENCE_S)
    join = camera._thread.join
    monkeypatch.setattr(camera._thread, "join", lambda timeout: None)
    camera.stop()
    hang.resume()
    join(PATIENCE_S)
    assert len(source.frames) == 1
    assert source.released == [0]


def test_a_driver_that_does_not_come_back_is_told_for_its_camera_is_still_on(started, monkeypatch):
    monkeypatch.setattr("device.capture.camera._GIVE_UP_S", 0.01)
    hang = Hang()
    source = ScriptedSource(hang)
    camera = started(source)
    assert hang.entered.wait(PATIENCE_S)
    assert camera.stuck is None
    camera.stop()
    assert source.is_open
    assert "scripted source does not answer" in camera.stuck
    hang.resume()
    camera._thread.join(PATIENCE_S)
    assert not source.is_open
    assert camera.stuck is None


def test_a_camera_that_was_closed_or_never_opened_is_not_stuck(started):
    idle = Camera(ScriptedSource(END))
    idle.stop()
    assert idle.stuck is None
    camera = started(ScriptedSource(grey()), stall_s=0.05)
    _take(camera).release()
    camera.stop()
    assert camera.stuck is None


def test_a_damaged_clip_in_real_time_ends_and_is_not_opened_again(started, tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_text("no clip")
    camera = started(VideoSource(path, fast=False))
    assert camera.next(PATIENCE_S) is None
    assert camera.finished
    assert "cannot be read as a clip" in camera.fault


def test_the_source_is_discarded_when_watching_is_over_and_not_before(started):
    source = ScriptedSource(grey(), CameraError("The cable is out."))
    camera = started(source, stall_s=PATIENCE_S)
    _take(camera).release()
    source.wait_until(lambda: source.opens == 2)
    source.add(grey())
    _take(camera).release()
    assert not source.discarded
    source.add(END)
    camera.stop()
    assert source.discarded
