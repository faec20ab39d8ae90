"""The real appliance on a board that grows hot or falls behind: less is done and said, and more."""

import time
from dataclasses import replace

import pytest

from device.appliance import Appliance
from device.audit.reading import Snapshot
from device.capture import Camera
from device.notebook import Notebook
from device.obedience import Obedience
from device.pacing import BLIND, HEAT, LOAD, TOO_HOT, Pacing
from device.protocol.topics import Topics
from device.settings import VisionSettings
from device.temperature import Thermometer
from tests.simulators.board import folder
from tests.simulators.queueing_camera import HandClock, QueueingCamera, SlowDetector
from tests.simulators.sink import RecordingSink
from tests.simulators.street import Person, StreetSource, eye, gallery, settings

VISION = VisionSettings(motion_gate=False)
STRANGER = Person(90, 100)


class Treated(Camera):
    """It loses no frame, so that all can be counted, but is treated as one that could."""

    live = True


class Stage:
    """An appliance with a thermometer, a clock and a camera of the test's own."""

    def __init__(self, tmp_path, *, vision=VISION, celsius=45.0):
        self.clock = HandClock()
        self.sys = folder(tmp_path / "sys", celsius, flags=0)
        self.folder = tmp_path / "state"
        self.folder.mkdir()
        self.settings = settings(self.folder, vision=vision)
        self.detector = SlowDetector(self.clock)
        self.eye = replace(eye(self.settings), detector=self.detector)
        self.sink = RecordingSink()
        self.begun_s = self.clock.now_s

    def run(self, camera):
        notebook = Notebook(self.folder)
        appliance = Appliance(
            self.settings,
            self.eye,
            gallery([30, 150]),
            camera,
            self.sink,
            notebook=notebook,
            obedience=Obedience(self.folder, Topics("s1", "d1").source, notebook),
            pacing=Pacing(
                self.settings.vision,
                small_detector=False,
                live=camera.live,
                note=notebook.note,
                thermometer=Thermometer(self.sys),
                now_ns=self.clock.now_ns,
            ),
        )
        appliance.run()
        return appliance

    def watch(self, seconds, at=None, people=lambda seconds: []):
        # Nobody is followed, and without the gate every frame moves: each is searched if it may be.
        camera = QueueingCamera(people, self.clock, seconds, at=at)
        return self.run(camera), camera

    def heat(self, celsius):
        return lambda: folder(self.sys, celsius)

    def per_second(self, from_s, to_s):
        return self.detector.per_second(self.begun_s + from_s, self.begun_s + to_s)

    def steps(self):
        """Return the steps that the statuses told, one after the other."""
        said = [status.pace.step for status in self.sink.statuses if status.pace is not None]
        return [step for at, step in enumerate(said) if at == 0 or said[at - 1] != step]

    def audit(self, event):
        lines = [line for _, line in Snapshot.of(self.folder / "audit.jsonl").lines()]
        return [line.details for line in lines if line.event == event]


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def test_a_hot_board_searches_less_often_says_so_and_recovers(stage):
    appliance, camera = stage.watch(240, at={20: stage.heat(80), 90: stage.heat(50)})
    assert stage.steps() == [0, 1, 2, 1, 0]
    full, less, again = (stage.per_second(*s) for s in ((0, 20), (70, 90), (220, 240)))
    assert full > 4.5
    assert less < 0.7 * full
    assert again == full
    hot = {s.pace.sentence for s in stage.sink.statuses if s.pace and s.pace.step}
    assert all(HEAT in sentence and LOAD not in sentence for sentence in hot)
    assert all(s.state == "comparing" for s in stage.sink.statuses[1:-1])
    assert [line["step"] for line in stage.audit("slowed by heat")] == [1, 2, 1, 0]
    assert all(frame.released and not frame.main.pixels.any() for frame in camera.given)
    assert appliance.ledger.late == 0


def test_a_board_that_is_too_hot_compares_nothing_until_it_has_cooled(stage):
    people = [Person(30, 200)]
    heats = {5: stage.heat(86), 30: stage.heat(70)}
    _, camera = stage.watch(60, at=heats, people=lambda s: people if s > 10 else [])
    # Two seconds are the most until the thermometer is read.
    assert stage.per_second(7.5, 30) == 0
    assert stage.per_second(33, 60) > 0
    resting = [s for s in stage.sink.statuses if TOO_HOT in s.reasons]
    assert resting
    assert all(s.state == "not comparing" and s.pace.step == 4 for s in resting)
    assert all(frame.released and not frame.main.pixels.any() for frame in camera.given)
    # Who came while it rested is found once it has cooled, also at the last step.
    assert [alert.data.reference_id for alert in stage.sink.alerts] == ["ref-30"]


def test_a_slow_eye_makes_frames_old_they_are_wiped_and_less_is_done(stage):
    stage.detector.cost_s = 0.3

    def quick():
        stage.detector.cost_s = 0.02

    appliance, camera = stage.watch(300, at={40: quick})
    assert appliance.ledger.late > 0
    assert appliance.ledger.late + appliance.ledger.frames == len(camera.given)
    assert all(frame.released and not frame.main.pixels.any() for frame in camera.given)
    assert stage.per_second(30, 40) < stage.per_second(0, 10)
    assert stage.per_second(280, 300) > 4
    # The desk sees that it fell behind, not when that ended.
    steps = stage.steps()
    assert steps == sorted(steps)
    assert steps[-1] >= 1
    assert LOAD in stage.sink.statuses[-2].pace.sentence
    assert stage.audit("slowed by heat") == []
    assert sum(line["late"] for line in stage.audit("searched")) == appliance.ledger.late


def test_through_the_real_camera_an_old_frame_is_wiped_and_nobody_looks_at_it(stage):
    old = stage.clock.now_ns() - 10**9
    source = StreetSource([Person(30, 10), STRANGER], 20)
    read = source.read

    def read_old(timeout_s):
        frame = read(timeout_s)
        if frame is not None:
            frame.taken_ns = old
        return frame

    source.read = read_old
    camera = Treated(source)
    appliance = stage.run(camera)
    assert appliance.ledger.late == 20
    assert appliance.ledger.frames == stage.detector.calls == 0
    assert all(frame.released and not frame.main.pixels.any() for frame in source.given)
    assert stage.sink.alerts == []


def test_if_every_frame_is_too_old_the_status_says_that_nothing_is_compared(stage):
    def late(frame):
        frame.taken_ns -= 10**9
        return frame

    camera = QueueingCamera(lambda _: [STRANGER], stage.clock, 20)
    take = camera.next
    camera.next = lambda timeout_s: late(take(timeout_s))
    stage.run(camera)
    said = [s.state for s in stage.sink.statuses if BLIND in s.reasons]
    assert set(said) == {"not comparing", "stopped"}
    assert stage.detector.calls == 0


def test_a_file_is_processed_whole_however_old_its_frames_are(tmp_path):
    stage = Stage(tmp_path)
    source = StreetSource([STRANGER], 12)
    stage.clock.now_s = time.monotonic() + 3600
    appliance = stage.run(Camera(source))
    assert appliance.ledger.frames == 12
    assert appliance.ledger.late == 0
    assert stage.steps() == [0]


def test_frames_that_are_late_without_being_too_old_take_a_step_too(tmp_path):
    stage = Stage(tmp_path, vision=VisionSettings(motion_gate=False, oldest_frame_ms=0))
    stage.detector.cost_s = 0.3
    appliance, _ = stage.watch(30)
    assert appliance.ledger.late == 0
    assert stage.steps()[:2] == [0, 1]


def test_a_stopped_appliance_says_no_pace(stage):
    stage.watch(2)
    assert [s.pace for s in stage.sink.statuses if s.state == "stopped"] == [None]
