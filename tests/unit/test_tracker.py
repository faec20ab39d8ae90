import numpy as np

from device.vision.detector import COLUMNS
from device.vision.tracker import Tracker


def _rows(*boxes):
    rows = np.zeros((len(boxes), COLUMNS), np.float32)
    for row, box in zip(rows, boxes, strict=True):
        row[:4] = box
    return rows


def _numbers(pairs):
    return {row: track.number for track, row in pairs}


def test_a_face_keeps_its_number_while_it_moves():
    tracker = Tracker()
    seen = {_numbers(tracker.update(_rows((10 * i, 50, 40, 40)), i * 0.1))[0] for i in range(20)}
    assert seen == {1}
    assert tracker.begun == 1


def test_at_a_low_frame_rate_boxes_need_not_overlap():
    tracker = Tracker()
    seen = {_numbers(tracker.update(_rows((30 * i, 50, 40, 40)), i * 0.4))[0] for i in range(6)}
    assert seen == {1}


def test_two_people_who_cross_keep_their_numbers():
    tracker = Tracker()
    first = last = None
    for i in range(30):
        left, right = (10.0 * i, 50, 40, 40), (300 - 10.0 * i, 120, 40, 40)
        last = _numbers(tracker.update(_rows(left, right), i * 0.1))
        first = first or last
    assert last == first


def test_a_short_gap_does_not_end_a_track_and_a_long_one_does():
    tracker = Tracker()
    box = (100, 50, 40, 40)
    tracker.update(_rows(box), 0.0)
    tracker.update(_rows(), 0.3)
    assert _numbers(tracker.update(_rows(box), 0.6)) == {0: 1}
    tracker.update(_rows(), 2.0)
    assert tracker.ended == [1]
    assert not tracker.live
    assert _numbers(tracker.update(_rows(box), 2.1)) == {0: 2}


def test_when_time_runs_backwards_tracks_end():
    tracker = Tracker()
    tracker.update(_rows((0, 0, 40, 40)), 9.0)
    pairs = tracker.update(_rows((0, 0, 40, 40)), 0.0)
    assert tracker.ended == [1]
    assert _numbers(pairs) == {0: 2}


def test_a_crowd_is_followed_by_its_largest_faces():
    tracker = Tracker()
    boxes = [(50 * i, 0, 10 + i, 10 + i) for i in range(80)]
    pairs = tracker.update(_rows(*boxes), 0.0)
    followed = {row for _, row in pairs}
    assert followed == set(range(16, 80))


def test_a_track_holds_numbers_only():
    tracker = Tracker()
    ((track, _),) = tracker.update(_rows((0, 0, 40, 40)), 0.0)
    for name in track.__slots__:
        value = getattr(track, name)
        assert isinstance(value, (int, float)) or (
            isinstance(value, np.ndarray) and value.size <= 4
        )


def test_clear_ends_everything():
    tracker = Tracker()
    tracker.update(_rows((0, 0, 40, 40), (200, 0, 40, 40)), 0.0)
    tracker.clear()
    assert not tracker.live
    assert sorted(tracker.ended) == [1, 2]
