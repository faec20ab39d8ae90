"""Which faces of a frame are worth a comparison: clearly better shots, and not too many."""

from dataclasses import dataclass

from device.vision.tracker import Track

_CLEARLY_BETTER = 1.15
_APART_S = 0.1
"""Shots of one track closer than this show the same picture twice."""
_RENEW_S = 0.5
"""After this long another shot of the same quality may show another expression or angle."""


_PENDING_FACTOR = 2
"""A track with an unconfirmed candidate may be compared this many times more often."""


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
        return track.shots < self.shots and elapsed >= _RENEW_S

    @staticmethod
    def spend(track: Track, score: float, now_s: float) -> None:
        """Note that the track was compared."""
        track.shots += 1
        track.best_shot = max(track.best_shot, score)
        track.last_shot_s = now_s
