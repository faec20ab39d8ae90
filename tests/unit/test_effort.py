"""How hard the eye works: what the settings say, and what may be changed between two frames."""

from dataclasses import replace

import pytest

from device.recognition import Recogniser
from device.settings import VisionSettings
from device.vision.effort import Effort, full_effort
from device.vision.observer import Observer
from tests.simulators.street import HueDetector, Person, eye, frame, gallery, settings

STANDING = [Person(60 + 30 * i, 5 + 105 * i, y=50, size=90) for i in range(4)]


def _recogniser(vision=None, **parts):
    configuration = settings("x", vision=vision or VisionSettings())
    seeing = replace(eye(configuration), **parts)
    return seeing, Recogniser(seeing, gallery([30, 150]), configuration)


def _watch(recogniser, people, frames, start=0):
    seen = []
    for number in range(start, start + frames):
        shown = frame(people, number)
        seen.append(recogniser.process(shown, lambda *_: None))
        shown.release()
    return seen


def test_full_effort_is_what_the_settings_say():
    vision = VisionSettings(searches_per_s=4, follows_per_s=6, faces_per_frame=3)
    assert full_effort(vision) == Effort(4, 6, 3, small_detector=False)
    _, recogniser = _recogniser(vision)
    assert recogniser.effort == full_effort(vision)


def test_less_effort_looks_less_often():
    detections = []
    for follows in (60.0, 5.0, 2.5):
        seeing, recogniser = _recogniser()
        recogniser.effort = replace(recogniser.effort, follows_per_s=follows)
        _watch(recogniser, STANDING, 40)
        detections.append(seeing.detector.calls)
    assert detections[0] == 40
    assert detections[0] > detections[1] > detections[2] >= 8


def test_less_effort_compares_fewer_faces_in_a_frame_and_none_is_left_out():
    configuration = settings("x")
    observer = Observer(eye(configuration), configuration.vision)
    observer.effort = replace(observer.effort, faces_per_frame=1)
    seen = []
    for number in range(4):
        shown = frame(STANDING, number)
        assert observer.observe(shown, lambda s: bool(seen.append(s.track))).compared == 1
        shown.release()
    assert sorted(seen) == [1, 2, 3, 4]


def test_the_small_detector_looks_while_it_is_asked_for():
    small = HueDetector()
    seeing, recogniser = _recogniser(small_detector=small)
    _watch(recogniser, STANDING, 10)
    large = seeing.detector.calls
    assert (large > 0, small.calls) == (True, 0)
    recogniser.effort = replace(recogniser.effort, small_detector=True)
    seen = _watch(recogniser, STANDING, 10, start=10)
    assert small.calls == sum(o.faces > 0 for o in seen) > 0
    assert seeing.detector.calls == large
    recogniser.effort = replace(recogniser.effort, small_detector=False)
    _watch(recogniser, STANDING, 10, start=20)
    assert seeing.detector.calls > large


def test_without_a_small_detector_the_only_one_goes_on():
    seeing, recogniser = _recogniser()
    recogniser.effort = replace(recogniser.effort, small_detector=True)
    _watch(recogniser, STANDING, 10)
    assert seeing.detector.calls > 0


@pytest.mark.parametrize("name", ["searches_per_s", "follows_per_s", "faces_per_frame"])
def test_an_effort_cannot_be_changed_by_half(name):
    with pytest.raises(AttributeError):
        setattr(full_effort(VisionSettings()), name, 1)
