"""The proof's driver: the real `passerby run`, frame by frame, with faults, leaks and plants."""

import itertools
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.conftest import absent
from tests.privacy.forgetting.agent.plants import PLACES
from tests.privacy.forgetting.appliance import Appliance
from tests.privacy.forgetting.faults import OF_A_SIGNED_LIST, OUTSIDE, STAGES
from tests.privacy.forgetting.leaks import LEAKS
from tests.simulators.mosquitto import PROGRAM, Listener, Mosquitto
from tools.lab.people import Person, scene

OF_THE_CAMERA = {"decoder", "frame lost in the camera", "camera stall"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    if PROGRAM is None:
        absent("Mosquitto is not installed (apt install mosquitto)")
    one = Mosquitto(tmp_path_factory.mktemp("broker")).start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def frames():
    """Crowds by turns, each time with other noise: what stands still is not looked at.

    So many that the first one, which may have become the background, moves when its turn comes.
    """
    crowds = [_crowd(n, n + 1, n + 2) for n in range(5, 65, 10)]
    rng = np.random.default_rng(1)

    def endless():
        for image in itertools.cycle(crowds):
            noise = rng.integers(-3, 4, image.shape)
            yield _frame(np.clip(image + noise, 0, 255).astype(np.uint8))

    return endless()


@pytest.fixture(scope="module")
def appliance(broker, tmp_path_factory):
    """One that most tests share."""
    with Appliance(tmp_path_factory.mktemp("shared"), port=broker.port) as one:
        yield one


@pytest.fixture
def started(broker, scratch):
    """Start one of a test's own: `started(leak=…)`."""
    running = []

    def start(**options):
        options = {"port": broker.port} | options
        running.append(Appliance(scratch / f"a{len(running)}", **options).start())
        return running[-1]

    yield start
    for one in running:
        one.kill()


def _crowd(*seeds):
    return scene([Person.from_seed(seed) for seed in seeds], 3, (1280, 720)).image


def _frame(image):
    small = cv2.resize(image, (640, 360), interpolation=cv2.INTER_AREA)
    main, lores = (cv2.cvtColor(one, cv2.COLOR_BGR2YUV_I420) for one in (image, small))
    return SimpleNamespace(main=main, lores=lores)


def test_a_frame_is_filled_wiped_released_and_ended(appliance, frames):
    before = time.monotonic_ns()
    shown = [appliance.show(next(frames)) for _ in range(4)]
    for one in shown:
        assert before < one.filled_ns < one.released_ns < one.ended_ns < time.monotonic_ns()
        assert one.wiped
        assert one.compared == one.destroyed == one.faces > 1
        before = one.ended_ns
    assert [one.number for one in shown] == list(range(shown[0].number, shown[0].number + 4))
    assert "ready after" in appliance.stderr.read_text()


def test_a_frame_of_another_size_is_refused_with_the_sizes(appliance, frames):
    other = SimpleNamespace(main=np.zeros((108, 128), np.uint8), lores=np.zeros(5, np.uint8))
    with pytest.raises(RuntimeError, match=r"not taken: the camera's buffers have \[1382400, 3456"):
        appliance.show(other)
    assert appliance.show(next(frames)).faces


@pytest.mark.parametrize("stage", [one for one in STAGES if one not in OF_A_SIGNED_LIST])
def test_a_fault_fires_once_and_the_next_frame_is_processed(appliance, frames, stage):
    appliance.fault(stage)
    shown = appliance.show(next(frames))
    assert shown.fault == stage
    assert shown.dropped == (stage in OUTSIDE)
    # What was never given to the program, the program cannot wipe.
    assert shown.wiped == (not shown.dropped)
    assert shown.destroyed == shown.faces
    if stage not in OF_THE_CAMERA:
        assert "could not be processed" in shown.processing_fault
        # The one that failed is counted as tried; those behind it were not.
        assert shown.compared <= 1
    after = appliance.show(next(frames))
    assert after.fault is None
    assert after.processing_fault is None
    assert after.compared == after.faces > 1


def test_a_fault_that_stays_fires_in_every_frame_of_a_stream(appliance, frames):
    # Faces are compared in some frames only; each is searched for them.
    appliance.fault("detection", always=True)
    stream = appliance.stream(itertools.islice(frames, 6), 10)
    appliance.fault(None)
    assert [one.fault for one in stream] == ["detection"] * 6
    assert all(one.wiped and one.compared == 0 for one in stream)
    assert appliance.show(next(frames)).fault is None


def test_a_stream_gives_every_frame_a_life(appliance, frames):
    ready = list(itertools.islice(frames, 15))
    began = time.monotonic()
    stream = appliance.stream(ready, 10)
    assert time.monotonic() - began > 1.3
    lives = [one.life_ms for one in stream]
    assert all(0 < life < 5000 for life in lives)
    assert all(one.wiped for one in stream)
    assert sum(one.ended_ns is not None for one in stream) > 5


def test_a_frame_that_comes_too_late_is_told_and_not_lost(appliance, frames):
    # Faster than it can work: the newest frame wins, and the driver hears of the others.
    stream = appliance.stream(list(itertools.islice(frames, 12)), 1000)
    assert all(one.over and one.wiped for one in stream)
    assert any(one.superseded for one in stream)
    assert all(one.superseded == (one.ended_ns is None) for one in stream)


@pytest.mark.parametrize("size", [512, 20_000])
@pytest.mark.parametrize("place", PLACES)
def test_a_plant_lies_where_it_was_put_until_it_is_wiped(appliance, place, size):
    content = np.random.default_rng(size).bytes(size)
    appliance.plant("crop", content, place)
    there = place != "freed and overwritten"
    assert appliance.planted() == [("crop", place, there)]
    assert _holds(appliance.pid, content) == there
    assert _holds(appliance.pid, content[-size // 4 :]) == there
    appliance.unplant()
    assert appliance.planted() == []
    assert not _holds(appliance.pid, content[size // 2 : size // 2 + 128])


def test_the_agent_keeps_no_other_copy_of_a_frame(appliance, frames):
    frame = next(frames)
    appliance.show(frame)
    rows = [stream[stream.shape[0] // 2].tobytes() for stream in (frame.main, frame.lores)]
    assert not any(_holds(appliance.pid, row[:64]) for row in rows)


def _holds(pid, content):
    """Whether a process has these bytes in its own writable memory."""
    own = Path(f"/proc/{pid}")
    with (own / "mem").open("rb", buffering=0) as memory:
        for line in (own / "maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if "rw" not in rights or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                continue
            first, last = (int(part, 16) for part in span.split("-"))
            memory.seek(first)
            if content in memory.read(last - first):
                return True
    return False


def test_plants_in_an_unknown_place_are_refused(appliance):
    with pytest.raises(RuntimeError, match="no place called attic"):
        appliance.plant("crop", b"x" * 64, "attic")


@pytest.mark.parametrize("leak", LEAKS)
def test_each_leak_leaks(started, frames, leak, broker):
    listener = Listener(broker.port)
    appliance = started(leak=leak)
    shown = [appliance.show(next(frames)) for _ in range(2)]
    faces = sum(one.compared for one in shown)
    assert faces > 2
    assert sum(one.alerts for one in shown) == 0, "nobody here is on the list"
    expected = {"a frame in a queue": len(shown)}.get(leak, faces)
    assert appliance.leaked() >= expected
    if leak == "a template logged":
        # One of each look at a face.
        assert appliance.stderr.read_text().count("template: [") >= faces
    if leak == "an alert for a non-match":
        deadline = time.monotonic() + 20
        while len(listener.of("alert")) < faces and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(listener.of("alert")) >= faces
    listener.close()


def test_without_a_leak_nothing_has_leaked(appliance, frames):
    appliance.show(next(frames))
    assert appliance.leaked() == 0


def test_sigterm_is_held_at_the_end_and_exits_well(started, frames):
    appliance = started(ledger=True, verbose=True)
    shown = appliance.show(next(frames))
    appliance.end()
    assert appliance.alive
    assert '"event":"stop"' in (appliance.state / "audit.jsonl").read_text()
    assert appliance.release_end() == 0
    ledger = appliance.stdout.read_text()
    assert f"in {shown.faces} appearances, {shown.compared} of them compared" in ledger
    assert "INFO device.alerts.courier: connected" in appliance.stderr.read_text()


def test_kill_9_ends_it(started, frames):
    appliance = started()
    appliance.show(next(frames))
    assert appliance.kill() == -signal.SIGKILL
    with pytest.raises(OSError, match=r".+"):
        appliance.show(next(frames))


def test_a_wrapper_runs_it_and_the_program_itself_is_found(started, frames):
    appliance = started(wrapper=("env", "python", "-c", _WRAPPER))
    assert appliance.show(next(frames)).faces
    assert "device.toml" in Path(f"/proc/{appliance.pid}/cmdline").read_text()
    assert appliance.pid != appliance._process.pid
    assert appliance.stop() == 0


_WRAPPER = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"


def test_a_device_that_is_there_already_is_driven(started, frames, scratch, broker):
    other = Appliance(scratch / "device", port=broker.port)
    appliance = started(config=other.config)
    assert appliance.show(next(frames)).faces
    assert appliance.state == other.state
    assert (appliance.state / "audit.jsonl").exists()


def test_standing_still_for_a_search_is_no_stall_of_the_camera(started, frames):
    appliance = started()
    appliance.show(next(frames))
    os.kill(appliance.pid, signal.SIGSTOP)
    time.sleep(2.0)
    os.kill(appliance.pid, signal.SIGCONT)
    assert appliance.show(next(frames)).faces
    assert "gave no frame" not in appliance.stderr.read_text()


def test_one_that_cannot_start_says_why(scratch):
    appliance = Appliance(scratch / "a", port=1883, settings={"models": {"embedder": "nobody"}})
    with pytest.raises(RuntimeError, match="No embedder is called"):
        appliance.start()
    appliance.kill()


def test_unknown_names_are_refused(scratch, appliance):
    with pytest.raises(ValueError, match="no leak called"):
        Appliance(scratch / "a", leak="a tap")
    with pytest.raises(ValueError, match="no stage called"):
        appliance.fault("lunch")
