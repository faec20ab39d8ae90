"""The observer with honest stand-ins: what it compares, how often, and what it leaves behind."""

import time
from collections import Counter
from contextlib import suppress

import msgspec
import pytest

from device.settings import VisionSettings
from device.vision.observer import Observer
from tests.simulators.street import Person, eye, frame, settings

EVERY_FRAME = VisionSettings(searches_per_s=60, follows_per_s=60)
CROWD = [Person(9 * i, 10 + 62 * (i % 10), y=40 + 150 * (i // 10), size=50) for i in range(20)]


class Clock:
    """Each comparison takes some time on it."""

    def __init__(self, seconds):
        self.now_s, self._takes_s = 0.0, seconds

    def __call__(self):
        return self.now_s

    def compared(self):
        self.now_s += self._takes_s


def _watch(people, frames, vision=None, compare=lambda _: False, clock=time.monotonic):
    configuration = settings("x", vision=vision or VisionSettings())
    seeing = eye(configuration)
    observer = Observer(seeing, configuration.vision, clock)
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


def test_without_the_motion_gate_an_empty_street_is_searched_as_often_as_configured():
    seeing, _ = _watch([], 30, VisionSettings(motion_gate=False))
    assert seeing.detector.calls == 15
    seeing, _ = _watch([], 30, msgspec.structs.replace(EVERY_FRAME, motion_gate=False))
    assert seeing.detector.calls == 30


def test_every_frame_can_be_searched_while_somebody_is_there():
    seeing, observations = _watch([Person(30, 200)], 60, EVERY_FRAME)
    assert seeing.detector.calls == 60
    assert all(o.faces == 1 for o in observations)


def test_a_walker_is_followed_as_one_and_compared_a_few_times():
    seeing, observations = _watch([Person(30, 20, speed=60)], 60)
    assert sum(o.new_tracks for o in observations) == 1
    assert sum(o.faces for o in observations) == seeing.detector.calls
    assert 15 <= seeing.detector.calls <= 31
    assert 2 <= seeing.embedder.calls <= 12


def test_a_frame_that_is_not_searched_shows_no_face_and_keeps_the_tracks():
    _, observations = _watch([Person(30, 200)], 60)
    assert {o.faces for o in observations} == {0, 1}
    assert all(o.compared == 0 for o in observations if o.faces == 0)
    assert sum(o.new_tracks for o in observations) == 1


def test_who_stands_still_and_has_had_all_comparisons_is_looked_at_seldom():
    vision = VisionSettings(shots_per_track=2)
    first, _ = _watch([Person(30, 200)], 20, vision)
    longer, observations = _watch([Person(30, 200)], 120, vision)
    assert longer.embedder.calls == 2
    assert sum(o.new_tracks for o in observations) == 1
    rate = (longer.detector.calls - first.detector.calls) / 10
    assert 2 <= rate <= 3.5


def test_whoever_joins_those_who_stand_there_is_seen_within_half_a_second():
    people = [Person(30, 100), Person(90, -200, speed=100)]
    vision = VisionSettings(shots_per_track=2)
    _, every = _watch(people, 90, msgspec.structs.replace(EVERY_FRAME, shots_per_track=2))
    _, paced = _watch(people, 90, vision)
    first = [[n for n, o in enumerate(seen) if o.new_tracks][1] for seen in (every, paced)]
    assert 0 <= first[1] - first[0] <= 5


def test_motion_between_two_searched_frames_is_not_forgotten():
    """Somebody steps in right after a search, and has stopped when the next is due."""
    people = [Person(30, 300, y=100, until_s=0.05), Person(90, 100, y=100, until_s=99)]
    configuration = settings("x", vision=VisionSettings(searches_per_s=2))
    seeing = eye(configuration)
    observer = Observer(seeing, configuration.vision)
    moved = [True, True] + [False] * 10
    observer._gate.moved = lambda _: moved.pop(0)
    seen = []
    for number in range(8):
        shown = frame(people[1:] if number else [], number)
        seen.append(observer.observe(shown, lambda _: False).faces)
        shown.release()
    assert seen[:5] == [0] * 5
    assert seen[5] == 1


def test_a_waiting_candidate_is_looked_at_again_at_once():
    calm, _ = _watch([Person(30, 200)], 20)
    eager, _ = _watch([Person(30, 200)], 20, compare=lambda _: True)
    assert calm.embedder.calls <= 4
    assert eager.embedder.calls == 20


def test_faces_beyond_the_limit_per_frame_wait_for_the_next():
    people = [Person(20 * i, 5 + 105 * i, y=50, size=90) for i in range(6)]
    vision = VisionSettings(faces_per_frame=2)
    seen = []
    _watch(people, 3, vision, compare=lambda s: bool(seen.append(s.track)))
    assert len(seen) == 6
    assert len(set(seen)) == 6


@pytest.mark.parametrize(("takes_s", "most"), [(0.03, 4), (0.06, 2), (0.5, 1)])
def test_a_crowd_takes_no_more_of_a_frame_than_the_budget(takes_s, most):
    clock = Clock(takes_s)
    vision = VisionSettings(frame_budget_ms=100, faces_per_frame=64, interocular_px=10)
    _, observations = _watch(CROWD, 40, vision, lambda _: clock.compared(), clock)
    assert max(o.compared for o in observations) == most
    assert max(o.faces for o in observations) == 20


def test_the_search_counts_too_and_one_face_has_its_turn_all_the_same():
    clock = Clock(0.04)
    vision = VisionSettings(frame_budget_ms=100, faces_per_frame=64, interocular_px=10)
    configuration = settings("x", vision=vision)
    for search_s, compared in ((0.0, 3), (0.05, 2), (0.2, 1)):
        seeing = eye(configuration)
        look = seeing.detector.detect

        def detect(lores, width, look=look, search_s=search_s):
            clock.now_s += search_s
            return look(lores, width)

        seeing.detector.detect = detect
        observer = Observer(seeing, vision, clock)
        assert observer.observe(frame(CROWD, 0), lambda _: clock.compared()).compared == compared


def test_without_a_budget_time_does_not_count():
    clock = Clock(10.0)
    vision = VisionSettings(frame_budget_ms=0, faces_per_frame=64, interocular_px=10)
    _, observations = _watch(CROWD, 1, vision, lambda _: clock.compared(), clock)
    assert observations[0].compared == 20


def test_in_a_crowd_everybody_is_compared_before_anybody_is_again():
    clock = Clock(0.05)
    vision = VisionSettings(frame_budget_ms=100, faces_per_frame=64, interocular_px=10)
    seen = []

    def compare(sighting):
        seen.append(sighting.track)
        clock.compared()
        return False

    _watch(CROWD, 40, vision, compare, clock)
    assert len(set(seen[:20])) == 20
    shots = Counter(seen)
    assert len(shots) == 20
    assert max(shots.values()) - min(shots.values()) <= 1


def test_those_who_wait_for_confirmation_go_first_and_starve_nobody():
    clock = Clock(0.05)
    vision = VisionSettings(frame_budget_ms=100, faces_per_frame=64, interocular_px=10)
    seen = []

    def compare(sighting):
        seen.append(sighting.track)
        clock.compared()
        return sighting.track <= 4

    _watch(CROWD, 60, vision, compare, clock)
    shots = Counter(seen)
    assert set(shots) == set(range(1, 21))
    calm = [shots[track] for track in range(5, 21)]
    assert min(shots[track] for track in range(1, 5)) > max(calm)


def test_a_face_too_small_is_never_cut_out():
    seeing, observations = _watch([Person(30, 200, size=30)], 20, EVERY_FRAME)
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
