"""Which detection belongs to which passing face: boxes, velocities and a few numbers, no pixels.

Greedy assignment by overlap and distance, with constant velocity between frames. Enough for the
few faces of one camera; a Hungarian assignment or a Kalman filter bought nothing measurable here.
"""

from dataclasses import dataclass, field
from itertools import count

import numpy as np

from device.vision.detector import HEIGHT, WIDTH, X, Y, iou
from device.vision.inference import Floats

_LOST_AFTER_S = 0.9
"""A track ends when its face was not seen for so long."""
_MOST_TRACKS = 64
"""A crowd beyond this is followed by its largest faces; the rest are compared by none."""
_SMOOTHING = 0.5
_GROWN = (0.7, 1.4)
"""A face is expected to shrink or grow no further than this between two sights of it."""
_SIMILAR = (0.6, 1.7)
"""Width of a detection over the width expected, if both are to show the same face."""
_QUICK_PER_S = 0.6
"""Parts of its own width by which a face grows or moves in a second."""


@dataclass(slots=True)
class Track:
    """One face passing by. No pixels, no template.

    number: unique in this run. box: x, y, width, height in main-stream pixels. velocity: pixels per
    second of the box's centre. growth: of its width, per second, as a part of it. score: shot score
    of the newest sight of it, 0 where it was not fit to be compared. best_shot: highest score that
    was compared. shots: comparisons so far. last_shot_s: source time of the last comparison.
    waits_since_s: since when it waits for its turn, or infinity.
    """

    number: int
    box: Floats
    seen_s: float
    velocity: Floats = field(default_factory=lambda: np.zeros(2, np.float32))
    growth: float = 0.0
    score: float = 0.0
    best_shot: float = 0.0
    shots: int = 0
    last_shot_s: float = float("-inf")
    waits_since_s: float = float("inf")

    def predicted(self, now_s: float) -> Floats:
        """Return the box moved on to `now_s`, and grown."""
        elapsed = now_s - self.seen_s
        box = self.box.copy()
        box[:2] += self.velocity * np.float32(elapsed)
        grown = np.clip(1 + self.growth * elapsed, *_GROWN)
        box[:2] -= (grown - 1) / 2 * box[WIDTH : HEIGHT + 1]
        box[WIDTH : HEIGHT + 1] *= grown
        return box

    @property
    def quick(self) -> bool:
        """True when it must be looked at often, not to be lost."""
        across = float(np.hypot(*self.velocity)) / max(float(self.box[WIDTH]), 1.0)
        return abs(self.growth) > _QUICK_PER_S or across > _QUICK_PER_S


class Tracker:
    """Follows faces from frame to frame."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._numbers = count(1)
        self.begun = 0
        """How many tracks there have been."""

    @property
    def live(self) -> list[Track]:
        """The faces that are followed."""
        return self._tracks

    def expire(self, now_s: float) -> list[int]:
        """End the tracks whose face was not seen for too long, and return their numbers.

        now_s: source time in seconds; when it runs backwards (a clip starts again) all tracks end.
        Call it in every frame, also in one that is not searched.
        """
        if not self._tracks:
            return []
        alive = [track for track in self._tracks if 0 <= now_s - track.seen_s <= _LOST_AFTER_S]
        ended = [track.number for track in self._tracks if all(track is not one for one in alive)]
        self._tracks = alive
        return ended

    def update(self, detections: Floats, now_s: float) -> list[tuple[Track, int]]:
        """Assign detections (n, 15) to tracks. Returns (track, row of its detection) pairs.

        now_s: as in `expire`, which is called before.
        """
        pairs: list[tuple[Track, int]] = []
        free = set(range(len(detections)))
        for track, row in self._by_closeness(detections, now_s):
            if row in free and all(track is not taken for taken, _ in pairs):
                free.discard(row)
                self._advance(track, detections[row], now_s)
                pairs.append((track, row))
        for row in sorted(free, key=lambda row: -float(detections[row, WIDTH])):
            if len(self._tracks) < _MOST_TRACKS:
                track = Track(next(self._numbers), detections[row, :4].copy(), now_s)
                self._tracks.append(track)
                self.begun += 1
                pairs.append((track, row))
        return pairs

    def clear(self) -> None:
        """End all tracks."""
        self._tracks = []

    def _by_closeness(self, detections: Floats, now_s: float) -> list[tuple[Track, int]]:
        """Return every plausible pair, the closest first."""
        rated = []
        for track in self._tracks:
            box = track.predicted(now_s)
            for row, closeness in enumerate(_closeness(box, detections)):
                if closeness > 0:
                    rated.append((float(closeness), track, row))
        rated.sort(key=lambda item: -item[0])
        return [(track, row) for _, track, row in rated]

    @staticmethod
    def _advance(track: Track, detection: Floats, now_s: float) -> None:
        elapsed = now_s - track.seen_s
        if elapsed > 0:
            moved = _centre(detection) - _centre(track.box)
            track.velocity += _SMOOTHING * (moved / np.float32(elapsed) - track.velocity)
            grown = float(detection[WIDTH]) / max(float(track.box[WIDTH]), 1.0) - 1
            track.growth += _SMOOTHING * (grown / elapsed - track.growth)
        track.box = detection[:4].copy()
        track.seen_s = now_s


def _centre(box: Floats) -> Floats:
    return np.array([box[X] + box[WIDTH] / 2, box[Y] + box[HEIGHT] / 2], np.float32)


def _closeness(box: Floats, detections: Floats) -> Floats:
    """Rate detections for a predicted box; 0: not the same face.

    Overlap, or nearness within one box width, at a similar size: at low frame rates boxes of one
    walking person need not overlap.
    """
    if not len(detections):
        return np.empty(0, np.float32)
    overlap = iou(box, detections)
    centres = detections[:, :2] + detections[:, 2:4] / 2
    distance = np.hypot(*(centres - _centre(box)).T) / max(float(box[WIDTH]), 1.0)
    ratio = detections[:, WIDTH] / max(float(box[WIDTH]), 1.0)
    # A head neither doubles nor halves against what was expected: behind who leaves stands another.
    similar = (ratio > _SIMILAR[0]) & (ratio < _SIMILAR[1])
    near = np.where(distance < 1, 1 - distance, 0)
    closeness = np.where(overlap > 0.1, 1 + overlap, near)  # noqa: PLR2004
    return np.asarray(np.where(similar, closeness, 0), dtype=np.float32)
