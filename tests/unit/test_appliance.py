"""The whole appliance with honest stand-ins: camera → alert, and every way it can go wrong."""

import json
import threading

import cv2
import msgspec
import numpy as np

from device.capture import Camera
from device.errors import CameraError
from device.settings import DeviceSettings, MatchingSettings, VisionSettings
from tests.simulators.appliance import assembled
from tests.simulators.sink import RecordingSink
from tests.simulators.street import HEIGHT, Person, StreetSource, eye, gallery, settings

WALKERS = [Person(30, 10, y=40, speed=40), Person(90, 300, y=220, speed=-20)]


EVERY_FRAME = VisionSettings(searches_per_s=60, follows_per_s=60)
"""Every face is counted in every frame."""


def _appliance(folder, source, sink=None, **sections):
    configuration = settings(folder, **sections)
    sink = sink or RecordingSink()
    seeing = eye(configuration)
    appliance = assembled(configuration, seeing, gallery([30, 150]), Camera(source), sink)
    return appliance, sink, seeing


def _run(folder, source, sink=None, **sections):
    appliance, sink, seeing = _appliance(folder, source, sink, **sections)
    appliance.run()
    return appliance, sink, seeing


def test_an_enrolled_walker_raises_one_alert_and_a_stranger_none(tmp_path):
    appliance, sink, _ = _run(tmp_path, StreetSource(WALKERS, 60))
    assert [alert.data.reference_id for alert in sink.alerts] == ["ref-30"]
    assert sink.alerts[0].data.shots == 2
    assert sink.alerts[0].data.crop.data.startswith(b"\xff\xd8")
    assert appliance.ledger.faces == 2


def test_every_appearance_is_destroyed(tmp_path):
    appliance, _, seeing = _run(tmp_path, StreetSource(WALKERS, 60), vision=EVERY_FRAME)
    assert appliance.ledger.appearances == appliance.ledger.destroyed == 120
    assert all(not probe.template.any() for probe in seeing.embedder.probes)


def test_every_frame_is_released(tmp_path):
    source = StreetSource(WALKERS, 60)
    _run(tmp_path, source)
    assert len(source.given) == 60
    assert all(frame.released and not frame.main.pixels.any() for frame in source.given)


def test_the_cooldown_holds_back_a_second_passage(tmp_path):
    passages = [Person(30, 10, y=40, until_s=2), Person(30, 500, y=220, until_s=1e9)]
    source = StreetSource(passages[1:] + passages[:1], 60)
    _, sink, _ = _run(tmp_path, source)
    assert len(sink.alerts) == 1
    source = StreetSource(passages[1:] + passages[:1], 60)
    _, sink, _ = _run(tmp_path, source, matching=MatchingSettings(cooldown_s=0))
    assert len(sink.alerts) == 2


def test_the_gallery_is_wiped_at_the_end(tmp_path):
    appliance, _, _ = _run(tmp_path, StreetSource([], 3))
    assert not appliance._gallery.matrix.any()


def test_a_frame_that_fails_is_wiped_and_the_next_ones_go_on(tmp_path):
    source = StreetSource(WALKERS, 60)
    appliance, sink, seeing = _appliance(tmp_path, source, vision=EVERY_FRAME)
    good, calls = seeing.detector.detect, []

    def fail_now_and_then(lores, width):
        calls.append(1)
        if len(calls) % 10 == 5:
            raise RuntimeError("fault injected")
        return good(lores, width)

    seeing.detector.detect = fail_now_and_then
    appliance.run()
    assert appliance.ledger.faults == 6
    assert appliance.ledger.appearances == appliance.ledger.destroyed == 108
    assert [alert.data.reference_id for alert in sink.alerts] == ["ref-30"]
    assert all(not frame.main.pixels.any() for frame in source.given)
    assert any("could not be processed" in r for s in sink.statuses for r in s.reasons)
    assert not sink.statuses[-2].reasons


def test_without_demonstration_an_unsigned_list_compares_nothing(tmp_path):
    source = StreetSource(WALKERS, 20)
    appliance, sink, seeing = _appliance(tmp_path, source)
    strict = msgspec.structs.replace(
        settings(tmp_path), device=DeviceSettings("s1", "d1", str(tmp_path), demonstration=False)
    )
    appliance._conditions._settings = strict
    appliance.run()
    assert seeing.detector.calls == seeing.embedder.calls == 0
    assert sink.alerts == []
    assert any("unsigned" in reason for s in sink.statuses for reason in s.reasons)
    assert all(frame.released for frame in source.given)


def test_without_a_place_to_write_nothing_is_compared(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    source = StreetSource(WALKERS, 20)
    _, sink, seeing = _run(blocked, source)
    assert seeing.embedder.calls == 0
    assert any(
        s.state == "not comparing" and "cannot be written" in s.reasons[0] for s in sink.statuses
    )


def test_a_lost_camera_is_said_and_recovered_from(tmp_path):
    lost = threading.Event()

    def unplug(number):
        if number == 30 and not lost.is_set():
            lost.set()
            raise CameraError("The camera was unplugged.")

    source = StreetSource(WALKERS, 60, on_read=unplug, live=True)
    appliance, sink, _ = _appliance(tmp_path, source)
    appliance.run()
    said = [reason for s in sink.statuses for reason in s.reasons]
    assert "The camera was unplugged." in said
    states = [s.state for s in sink.statuses]
    assert "comparing" in states[states.index("not comparing") :]


def test_a_full_sink_is_written_down(tmp_path):
    _, sink, _ = _run(tmp_path, StreetSource(WALKERS, 60), RecordingSink(capacity=0))
    events = [
        json.loads(line)["event"] for line in (tmp_path / "audit.jsonl").read_text().splitlines()
    ]
    assert sink.alerts == []
    assert events == ["start", "alert", "alert lost: there was no room for it", "searched", "stop"]


def test_stop_ends_the_run(tmp_path):
    appliance, sink, _ = _appliance(tmp_path, StreetSource(WALKERS, 10**9))
    threading.Timer(0.3, appliance.stop).start()
    appliance.run()
    assert sink.statuses[-1].state == "stopped"


def test_ready_is_said_once_after_the_first_frame(tmp_path):
    appliance, _, _ = _appliance(tmp_path, StreetSource([], 5))
    said = []
    appliance.run(lambda: said.append(appliance.ledger.frames))
    assert said == [1]


def test_the_status_says_what_runs_and_no_count(tmp_path):
    _, sink, _ = _run(tmp_path, StreetSource(WALKERS, 60))
    quiet = RecordingSink()
    _run(tmp_path / "quiet", StreetSource([], 60), quiet)
    busy = [s for s in sink.statuses if s.state == "comparing"]
    idle = [s for s in quiet.statuses if s.state == "comparing"]
    assert busy == idle
    assert busy[0].demonstration
    assert busy[0].presentation_attack_detection == "no PAD"


def test_the_crop_shows_the_alerting_face_and_little_else(tmp_path):
    _, sink, _ = _run(tmp_path, StreetSource(WALKERS, 60))
    crop = cv2.imdecode(np.frombuffer(sink.alerts[0].data.crop.data, np.uint8), cv2.IMREAD_COLOR)
    assert max(crop.shape[:2]) <= 160 < HEIGHT
    hsv = cv2.cvtColor(crop, cv2.COLOR_BGR2HSV)
    middle = hsv[crop.shape[0] // 3 : -crop.shape[0] // 3, crop.shape[1] // 3 : -crop.shape[1] // 3]
    assert abs(float(np.median(middle[:, :, 0])) - 30) < 4


def test_faces_of_a_frame_that_fails_after_detection_are_counted_and_destroyed(tmp_path):
    appliance, _, seeing = _appliance(tmp_path, StreetSource(WALKERS, 10), vision=EVERY_FRAME)

    def fail(_):
        raise RuntimeError("fault injected")

    seeing.embedder.embed = fail
    appliance.run()
    assert appliance.ledger.faults > 0
    assert appliance.ledger.appearances == appliance.ledger.destroyed == 20


def test_the_ledger_notices_a_face_that_was_not_wiped(tmp_path, monkeypatch):
    monkeypatch.setattr("device.vision.sample.Sample.wipe", lambda _: None)
    appliance, _, _ = _run(tmp_path, StreetSource(WALKERS, 60), vision=EVERY_FRAME)
    assert appliance.ledger.appearances == 120
    assert appliance.ledger.destroyed < 120


def test_a_neighbour_in_the_crop_is_painted_over(tmp_path):
    couple = [Person(30, 100, y=100), Person(90, 195, y=100)]
    _, sink, _ = _run(tmp_path, StreetSource(couple, 20))
    crop = cv2.imdecode(np.frombuffer(sink.alerts[0].data.crop.data, np.uint8), cv2.IMREAD_COLOR)
    hsv = cv2.cvtColor(crop, cv2.COLOR_BGR2HSV)
    saturated = hsv[hsv[:, :, 1] > 100]
    assert len(saturated) > 1000
    assert (abs(saturated[:, 0].astype(int) - 30) < 12).mean() > 0.98
