"""The observer with honest stand-ins: what it compares, how often, and what it leaves behind."""

from contextlib import suppress

import pytest

from device.settings import VisionSettings
from device.vision.observer import Observer
from tests.simulators.street import Person, eye, frame, settings


def _watch(people, frames, vision=None, compare=lambda _: False, tmp="x"):
    configuration = settings(tmp, vision=vision or VisionSettings())
    seeing = eye(configuration)
    observer = Observer(seeing, configuration.vision)
    observations = []
    for number in range(frames):
        shown = frame(people, number)
        observations.append(observer.observe(shown, compare))
        shown.release()
    return seeing, observations


def test_an_empty_street_is_not_searched():
    seeing, observations = _watch([], 30)
    assert seeing.detector.calls == 1
    assert sum(o.faces for o in observations) == 0


def test_without_the_motion_gate_every_frame_is_searched():
    seeing, _ = _watch([], 30, VisionSettings(motion_gate=False))
    assert seeing.detector.calls == 30


def test_a_walker_is_followed_as_one_and_compared_a_few_times():
    seeing, observations = _watch([Person(30, 20, speed=60)], 60)
    assert sum(o.new_tracks for o in observations) == 1
    assert sum(o.faces for o in observations) == 60
    assert 2 <= seeing.embedder.calls <= 12


def test_a_person_who_stands_still_is_still_followed():
    seeing, observations = _watch([Person(30, 200)], 60)
    assert all(o.faces == 1 for o in observations)
    assert sum(o.new_tracks for o in observations) == 1
    assert seeing.embedder.calls <= 12


def test_a_waiting_candidate_is_looked_at_again_at_once():
    calm, _ = _watch([Person(30, 200)], 20)
    eager, _ = _watch([Person(30, 200)], 20, compare=lambda _: True)
    assert eager.embedder.calls > 2 * calm.embedder.calls


def test_faces_beyond_the_limit_per_frame_wait_for_the_next():
    people = [Person(20 * i, 5 + 105 * i, y=50, size=90) for i in range(6)]
    vision = VisionSettings(faces_per_frame=2)
    seen = []
    _watch(people, 3, vision, compare=lambda s: bool(seen.append(s.track)))
    assert len(seen) == 6
    assert len(set(seen)) == 6


def test_a_face_too_small_is_never_cut_out():
    seeing, observations = _watch([Person(30, 200, size=30)], 20)
    assert sum(o.faces for o in observations) == 20
    assert seeing.embedder.calls == 0


def test_every_probe_and_sample_is_wiped():
    probes_alive = []

    def compare(sighting):
        probes_alive.append(float(abs(sighting.probe.template).max()))
        return True

    seeing, _ = _watch([Person(30, 200)], 20, compare=compare)
    assert min(probes_alive) > 0
    assert all(
        probe.template.max() == probe.template.min() == 0 for probe in seeing.embedder.probes
    )
    assert seeing.aligner._buffer.max() == 0


def test_probes_and_samples_are_wiped_when_the_comparison_fails():
    def compare(_):
        raise RuntimeError("fault injected")

    configuration = settings("x")
    seeing = eye(configuration)
    observer = Observer(seeing, configuration.vision)
    with pytest.raises(RuntimeError, match="injected"):
        observer.observe(frame([Person(30, 200)], 0), compare)
    assert seeing.embedder.calls == 1
    assert seeing.embedder.probes[0].template.max() == 0
    assert seeing.aligner._buffer.max() == 0


def test_the_sample_is_wiped_when_the_embedder_fails():
    configuration = settings("x")
    seeing = eye(configuration)

    def fail(_):
        raise RuntimeError("fault injected")

    seeing.embedder.embed = fail
    with pytest.raises(RuntimeError, match="injected"):
        Observer(seeing, configuration.vision).observe(frame([Person(30, 200)], 0), lambda _: False)
    assert seeing.aligner._buffer.max() == 0


def test_tracks_that_end_are_told_once_also_when_the_frame_failed():
    configuration = settings("x")
    observer = Observer(eye(configuration), configuration.vision)
    people = [Person(30, 100, until_s=1.0), Person(90, 400)]

    def fail(_):
        raise RuntimeError("fault injected")

    ended = []
    for number in range(40):
        compare = fail if number > 15 else lambda _: False
        with suppress(RuntimeError):
            observer.observe(frame(people, number), compare)
        if number % 3 == 0:
            ended.append(observer.ended())
    assert [tracks for tracks in ended if tracks] == [[1]]
