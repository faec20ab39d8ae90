"""A short live run of the bench: the real programs, a rendered clip, the built-in models."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.errors import BrokerError, PasserbyError
from device.settings import ModelSettings
from tests.simulators.mosquitto import wait_until
from tests.simulators.pictures import photograph
from tools.lab.bench.live.appliance import Plan, running, surroundings
from tools.lab.bench.live.observation import counted, delivery, memory, observe, stretches
from tools.lab.bench.live.schedule import Schedule, Stretch
from tools.lab.people import Person, Street, walk_past

LISTED = 600_028
SECONDS = 5
MODELS = ModelSettings(detector="passerby-detector-640x480", embedder="passerby-embedder")
STREET = Street(size=(640, 480), rate=15.0, focal_px=900.0)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Somebody who is on the list walks past, again and again, with pauses in between."""
    folder = tmp_path_factory.mktemp("clip")
    scenes = [scene.image for scene in walk_past([Person.from_seed(LISTED)], 5, STREET)]
    for name, images in (("walk", scenes[18:48]), ("empty", scenes[:1])):
        (folder / name).mkdir()
        stream = np.stack([cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420) for image in images])
        for file in ("main", "lores"):
            np.save(folder / name / f"{file}.npy", stream)
    photograph(folder / "ref-1.png", LISTED)
    shown = [Stretch("walk", str(folder / "walk"), 2), Stretch("empty", str(folder / "empty"), 0.5)]
    return Plan(
        Schedule(shown), [folder / "ref-1.png"], models=MODELS, list_size=20, cooldown_s=0.5
    )


@pytest.fixture
def left_behind(tmp_path, monkeypatch):
    """Call it for what a bench has left: processes that know its folder, and files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def look():
        return [*_processes_of(tmp_path), *tmp_path.iterdir()]

    return look


def _processes_of(folder):
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in line and int(entry.name) != os.getpid():
            found.append(line)
    return found


def test_a_short_run_measures_everything_and_all_alerts_arrive(plan, left_behind):
    seen = observe(plan, SECONDS)
    assert seen.ended.code == 0
    sent = delivery(seen)
    assert sent.raised >= 1
    assert sent.received == sent.raised == len(seen.letters)
    assert {one.reference for one in seen.heard} == {"ref-1"}
    # Queued before it is received; its receipt comes after both. A captured_at is cut to whole ms.
    assert 0 < sent.queued_ms.most < sent.received_ms.most
    for letter in seen.letters:
        assert letter.queued_ns <= letter.kept_ns < letter.receipted_ns
    assert sent.waiting_end == 0
    assert sent.waiting_most >= 1
    _frames_add_up(seen)
    had = memory(seen)
    # Six buffers of two streams of 640 × 480.
    assert had.buffers_mb == pytest.approx(6 * 2 * 640 * 480 * 1.5 / 1e6, abs=0.2)
    assert 40 < had.start_mb <= had.most_mb
    assert 0.2 < seen.ready_s[0] < seen.ready_s[1] + 0.1
    assert left_behind() == []


def _frames_add_up(seen):
    camera = seen.ended.camera
    # The ledger also counts what came before the pencil was asked and after the watch ended.
    assert counted(seen, "frames processed") == len(seen.frames)
    out = camera.starved + camera.unasked + camera.slept + camera.given
    assert camera.ticks - 6 <= out <= camera.ticks
    assert len(seen.frames) + counted(seen, "too old, unread") <= camera.given
    for frame in seen.frames:
        assert frame.taken_ns <= frame.began_ns <= frame.ended_ns
        assert frame.worked_ns > 0
    parts = stretches(seen)
    assert sum(part.began_ms.number for part in parts.values()) == len(seen.frames)


def test_an_appliance_that_dies_is_one_sentence_and_leaves_nothing(plan, left_behind, tmp_path):
    def run():
        with surroundings(plan, work) as made, running(made) as runs:
            runs.wait_until_ready()
            os.kill(runs.process.process, signal.SIGKILL)
            runs.sleep(60)

    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(PasserbyError, match="The bench's appliance was ended by signal 9"):
        run()
    assert _processes_of(tmp_path) == []


def test_a_sensor_that_dies_is_one_sentence_too(plan, left_behind, tmp_path):
    def run():
        with surroundings(plan, work, gateway=False) as made, running(made) as runs:
            runs.wait_until_ready()
            os.kill(runs.sensor.process, signal.SIGKILL)
            runs.sleep(60)

    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(PasserbyError, match="The bench's sensor was ended by signal 9"):
        run()
    assert _processes_of(tmp_path) == []


def test_a_port_that_is_taken_is_told_before_anything_is_started(plan, left_behind, tmp_path):
    with surroundings(plan, _folder(tmp_path / "one"), gateway=False) as made:
        taken = Plan(plan.schedule, plan.photos, models=MODELS, port=made.settings.broker.port)
        with pytest.raises(BrokerError, match="is taken"), surroundings(taken, tmp_path):
            pass
    assert _processes_of(tmp_path) == []


def _folder(path):
    path.mkdir()
    return path


INTERRUPTED = """
import sys
import msgspec
from tools.console import guarded
from tools.lab.bench.live.appliance import Plan
from tools.lab.bench.live.observation import observe
sent = sys.stdin.buffer.read()
plan = msgspec.json.decode(sent, type=Plan, dec_hook=lambda kind, text: kind(text))
sys.exit(guarded("bench", lambda: observe(plan, 600) and 0))
"""


def test_ctrl_c_leaves_nothing_behind(plan, left_behind, tmp_path):
    import msgspec  # noqa: PLC0415

    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdin.write(msgspec.json.encode(plan, enc_hook=str))
    process.stdin.close()
    wait_until(lambda: list(tmp_path.glob("passerby-bench-*/notes")), 120, "the appliance")
    # Broker, gateway, sensor and appliance.
    assert len(_processes_of(tmp_path)) == 4
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    assert process.stderr.read().decode().strip().endswith("bench: stopped.")
    process.stderr.close()
    assert left_behind() == []
