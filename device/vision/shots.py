"""Which faces of a frame are worth a comparison: clearly better shots, and not too many."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from device.vision.inference import Floats
from device.vision.quality import Pose
from device.vision.tracker import Track

_CLEARLY_BETTER = 1.3
_APART_S = 0.09
"""Shots of one track closer than this show the same picture twice."""
_RENEW_S = 0.5
"""After this long another shot of the same quality may show another expression or angle."""
_RENEW_NEARING_S = 1.0
"""Likewise of a face that comes nearer: its better shot is on the way."""
_PATIENCE = 1.5
"""Who was no candidate so far is asked again after so many times the wait before, each time."""
_NEARING_PER_S = 0.15
"""A face that grows by more than this part of its width in a second comes nearer."""
_LOOK_AHEAD_S = 0.2
"""So long before a comparison is expected a track is worth a closer look."""
_PENDING_FACTOR = 2
"""A track with an unconfirmed candidate may be compared this many times more often."""
_OVERDUE_S = 0.5
"""A face that was worth a comparison and got none for so long goes before others of its kind."""


@dataclass(frozen=True, slots=True)
class ShotBudget:
    """How often one passing face is compared. shots: most comparisons that found no candidate."""

    shots: int

    def allows(self, track: Track, score: float, now_s: float, *, pending: bool) -> bool:
        """Tell whether to compare this track now.

        score: shot score in [0, 1]. pending: an earlier shot found a candidate that waits for
        confirmation; then more shots are allowed, as soon as they show another picture.
        """
        elapsed = now_s - track.last_shot_s
        if elapsed < _APART_S:
            return False
        if pending:
            return track.shots < _PENDING_FACTOR * self.shots
        # Scores end at 1, so that clearly better shots are few even for who stays for hours.
        if score > _CLEARLY_BETTER * track.best_shot:
            return True
        return track.shots < self.shots and elapsed >= _renewal_s(track)

    def hopeful(self, track: Track, now_s: float) -> bool:
        """Tell whether a closer look soon may find a shot that is worth a comparison."""
        if track.shots == 0:
            return True
        elapsed = now_s - track.last_shot_s
        if track.shots < self.shots and elapsed >= _renewal_s(track) - _LOOK_AHEAD_S:
            return True
        expected = track.score * (1 + max(0.0, track.growth) * _LOOK_AHEAD_S)
        return expected > _CLEARLY_BETTER * track.best_shot

    @staticmethod
    def spend(track: Track, score: float, now_s: float) -> None:
        """Note that the track was compared."""
        track.waits_since_s = float("inf")
        track.shots += 1
        track.best_shot = max(track.best_shot, score)
        track.last_shot_s = now_s


def _renewal_s(track: Track) -> float:
    """Return after how many seconds a shot as good as the best is worth a comparison.

    The more shots have found nobody, the less another one is likely to.
    """
    first_s = _RENEW_NEARING_S if track.growth > _NEARING_PER_S else _RENEW_S
    return float(first_s * _PATIENCE ** max(0, track.shots - 1))


@dataclass(frozen=True, slots=True)
class Shot:
    """A face of this frame that is worth a comparison. row: of the detections, (15,) float32.

    landmarks: (5, 2) float32, in main-stream pixels. score: shot score in [0, 1].
    """

    track: Track
    row: Floats
    landmarks: Floats
    pose: Pose
    score: float


def in_turn(shots: list[Shot], pending: AbstractSet[int], now_s: float) -> list[Shot]:
    """Return shots in the order in which to compare them, where there may be no time for all.

    First who was never compared and has waited too long: it is one shot each. Then the tracks that
    wait for confirmation, whose shots are bounded; then who else has waited too long, the longest
    first; then who was never compared, or longest ago; of these the best. So nobody waits for ever.
    """

    def turn(shot: Shot) -> tuple[int, float, float, float]:
        track = shot.track
        overdue = now_s - track.waits_since_s > _OVERDUE_S
        if overdue and track.shots == 0:
            return 0, track.waits_since_s, track.last_shot_s, -shot.score
        if track.number in pending:
            return 1, 0.0, track.last_shot_s, -shot.score
        if overdue:
            return 2, track.waits_since_s, track.last_shot_s, -shot.score
        return 3, 0.0, track.last_shot_s, -shot.score

    return sorted(shots, key=turn)
