"""Attack detection in the pipeline: a held-up picture of somebody on the list raises no alert."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from device.capture import Camera
from device.cli.status import _attacks
from device.recognition import Recogniser
from device.search import Searcher
from device.settings import VisionSettings
from device.vision.eye import _joint
from device.vision.inference import RuntimeInfo
from tests.simulators.appliance import assembled
from tests.simulators.attacks import RimNetwork, attack_detector
from tests.simulators.sink import RecordingSink
from tests.simulators.street import (
    Person,
    StreetSource,
    eye,
    frame,
    gallery,
    picture,
    settings,
)

PERSON = Person(30, 200, y=120)
PAPER = replace(PERSON, paper=True)
STRANGER = Person(90, 200, y=120)


class Run:
    """One run of the appliance before a street; attack: the detector, or None."""

    def __init__(self, folder, people, attack):
        # Every face is counted in every frame.
        every_frame = VisionSettings(searches_per_s=60, follows_per_s=60)
        configuration = settings(folder, vision=every_frame)
        self.sink = RecordingSink()
        self.eye = replace(eye(configuration), attack=attack)
        source = StreetSource(people, 40)
        appliance = assembled(
            configuration, self.eye, gallery([30, 150]), Camera(source), self.sink
        )
        appliance.run()
        self.ledger = appliance.ledger
        self.events = [
            json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()
        ]


def test_without_attack_detection_a_picture_raises_an_alert_and_all_say_no_pad(tmp_path):
    run = Run(tmp_path, [PAPER], None)
    assert [alert.data.reference_id for alert in run.sink.alerts] == ["ref-30"]
    assert run.sink.alerts[0].data.presentation_attack_detection == "no PAD"
    assert {status.presentation_attack_detection for status in run.sink.statuses} == {"no PAD"}
    assert run.ledger.attacks == 0


def test_a_picture_of_somebody_on_the_list_raises_no_alert(tmp_path):
    run = Run(tmp_path, [PAPER], attack_detector())
    assert run.sink.alerts == []
    assert run.ledger.attacks == 1
    assert run.ledger.compared > 2


def test_the_person_does_and_the_alert_says_which_detection_was_passed(tmp_path):
    run = Run(tmp_path, [PERSON], attack_detector())
    (alert,) = run.sink.alerts
    assert alert.data.reference_id == "ref-30"
    assert alert.data.presentation_attack_detection == "stand-in-attack-detection-default-0.500"
    assert [model.role for model in alert.data.models] == [
        "detector",
        "embedder",
        "attack-detection",
    ]
    assert run.ledger.attacks == 0


def test_the_status_names_the_detection_and_tells_no_attack(tmp_path):
    attacked = Run(tmp_path / "a", [PAPER], attack_detector())
    quiet = Run(tmp_path / "b", [], attack_detector())
    names = {status.presentation_attack_detection for status in attacked.sink.statuses}
    assert names == {"stand-in-attack-detection-default-0.500"}
    comparing = [s for s in attacked.sink.statuses if s.state == "comparing"]
    assert comparing == [s for s in quiet.sink.statuses if s.state == "comparing"]


def test_a_judged_attack_is_logged_once_a_track_without_a_reference(tmp_path):
    run = Run(tmp_path, [PAPER], attack_detector())
    assert [event["event"] for event in run.events] == [
        "start",
        "presentation attack judged",
        "searched",
        "stop",
    ]
    assert run.events[1]["details"] == {}


def test_nobody_is_judged_but_who_would_become_a_candidate(tmp_path):
    network = RimNetwork()
    Run(tmp_path / "stranger", [STRANGER], attack_detector(network))
    assert network.shown == []
    Run(tmp_path / "candidate", [PERSON], attack_detector(network))
    assert network.shown


def test_every_appearance_is_destroyed_and_a_crop_that_stays_is_noticed(tmp_path, monkeypatch):
    run = Run(tmp_path / "wiped", [PAPER], attack_detector())
    assert run.ledger.appearances == run.ledger.destroyed == 40
    detector = attack_detector()
    judge = detector.is_attack

    def leave_something(main, box):
        answer = judge(main, box)
        detector._buffer[0, 0] = 1
        return answer

    monkeypatch.setattr(detector, "is_attack", leave_something)
    run = Run(tmp_path / "left", [PAPER], detector)
    assert run.ledger.destroyed < run.ledger.appearances == 40


def test_a_detector_that_fails_fails_the_frame_and_raises_no_alert(tmp_path):
    network = RimNetwork()

    def fail(_):
        raise RuntimeError("fault injected")

    network.run = fail
    run = Run(tmp_path, [PERSON], attack_detector(network))
    assert run.sink.alerts == []
    assert run.ledger.faults > 0
    assert run.ledger.appearances == run.ledger.destroyed == 40
    assert run.eye.wiped


class Judge:
    """An attack detector with set answers, one per shot; after them, live."""

    wiped = True

    def __init__(self, answers):
        self.answers = list(answers)

    def wipe(self):
        """It keeps nothing."""

    def is_attack(self, main, box):
        return bool(self.answers) and self.answers.pop(0)


@pytest.mark.parametrize(
    ("answers", "frames", "confirmed"),
    [
        ([False, False], 6, 2),
        ([False, True, False], 6, 2),
        ([False, *[True] * 40], 40, 0),
        ([*[True] * 40], 40, 0),
    ],
)
def test_a_shot_judged_an_attack_counts_for_nobody(answers, frames, confirmed):
    configuration = settings("x")
    seeing = replace(eye(configuration), attack=Judge(answers))
    recogniser = Recogniser(seeing, gallery([30, 150]), configuration)
    shots = []
    for number in range(frames):
        recogniser.process(frame([PERSON], number), lambda c, _: shots.append(c.shots))
    assert shots == ([confirmed] if confirmed else [])


def test_attacks_of_a_track_are_told_once_and_those_of_the_next_again():
    configuration = settings("x")
    seeing = replace(eye(configuration), attack=Judge([True] * 1000))
    recogniser = Recogniser(seeing, gallery([30, 150]), configuration)
    told = []
    for _ in range(2):
        for number in range(20):
            recogniser.process(frame([PERSON], number), lambda *_: None, lambda: told.append(1))
        recogniser.forget()
    assert len(told) == 2


@pytest.mark.parametrize(("person", "found", "judged"), [(PERSON, 1, 0), (PAPER, 0, 1)])
def test_a_still_goes_the_same_way(tmp_path, person, found, judged):
    file = tmp_path / "still.png"
    Image.fromarray(np.ascontiguousarray(picture([person], 0)[..., ::-1])).save(file)
    configuration = settings(tmp_path)
    seeing = replace(eye(configuration), attack=attack_detector())
    result = Searcher(seeing, gallery([30, 150]), configuration).search(file)
    assert len(result.candidates) == found
    assert result.judged_attacks == judged
    assert seeing.wiped


def test_the_runtime_names_a_detector_that_runs_elsewhere():
    cpu = RuntimeInfo("r", "1", "CPU", 1)
    tpu = RuntimeInfo("r", "1", "Edge TPU", 1)
    assert str(_joint({"detector": cpu, "embedder": cpu, "attack detector": cpu})) == str(cpu)
    assert "Edge TPU (detector), Edge TPU (embedder), CPU (attack detector)" in str(
        _joint({"detector": tpu, "embedder": tpu, "attack detector": cpu})
    )


def test_the_status_for_people_says_what_each_state_means():
    assert _attacks("no PAD") == "no PAD: a photograph can raise an alert"
    assert _attacks("m-default-0.500").startswith("m-default-0.500: some prints and screens pass")
