"""Confirmation: two or more shots of one track must name the same reference.

Between frames a track keeps reference ids and a few numbers here, and only of shots above the
threshold; the end of the track ends them.
"""

from dataclasses import dataclass

from device.matching.comparison import Candidate

MODERATE_FACTOR = 2
"""A candidate whose shots are only moderate needs this many times more of them."""
_MISSES_PER_SHOT = 2
"""Of the shots since the first candidate at least a third must name it; a stranger who stands there
long enough would otherwise gather chance hits."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A candidate that enough shots agree on. score, margin, quality: of the best of them."""

    reference_id: str
    score: float
    margin: float
    shots: int
    quality: float


@dataclass(slots=True)
class _Named:
    """What the shots of one track said of one reference."""

    shots: int = 0
    strong: int = 0
    score: float = -1.0
    margin: float = 0.0
    quality: float = 0.0


class Confirmation:
    """Counts, per track, which reference its shots named.

    shots: how many strong ones must agree, or twice as many of any strength.
    strong: score from which a shot counts as strong.
    """

    def __init__(self, shots: int, strong: float) -> None:
        self._shots = shots
        self._strong = strong
        self._tracks: dict[int, dict[str, _Named]] = {}
        self._misses: dict[int, int] = {}
        self._settled: set[int] = set()

    def add(self, track: int, candidate: Candidate, quality: float) -> Confirmed | None:
        """Note a shot's candidate. Returns it when it is confirmed, once per track.

        When shots of one track name different references, the tracker may have mixed up two people:
        the one ahead must then lead by all the shots that it needs.
        """
        references = self._tracks.setdefault(track, {})
        named = references.setdefault(candidate.reference_id, _Named())
        named.shots += 1
        named.strong += candidate.score >= self._strong
        named.score = max(named.score, candidate.score)
        named.margin = max(named.margin, candidate.margin)
        named.quality = max(named.quality, quality)
        others = max(
            (other.shots for other in references.values() if other is not named), default=0
        )
        bearable = _MISSES_PER_SHOT * named.shots
        enough = self._misses.get(track, 0) <= bearable and (
            named.strong >= self._shots + others
            or named.shots >= MODERATE_FACTOR * self._shots + others
        )
        if track in self._settled or not enough:
            return None
        self._settled.add(track)
        return Confirmed(
            candidate.reference_id, named.score, named.margin, named.shots, named.quality
        )

    def miss(self, track: int) -> None:
        """Note a shot that named nobody; after too many what was named before is forgotten."""
        if track not in self._tracks or track in self._settled:
            return
        self._misses[track] = self._misses.get(track, 0) + 1
        if self._misses[track] > _MISSES_PER_SHOT * MODERATE_FACTOR * self._shots:
            self.end(track)

    def waits(self, track: int) -> bool:
        """True while a track has a candidate that is not confirmed yet."""
        return track in self._tracks and track not in self._settled

    def end(self, track: int) -> None:
        """Forget a track."""
        self._tracks.pop(track, None)
        self._misses.pop(track, None)
        self._settled.discard(track)

    def clear(self) -> None:
        """Forget all tracks."""
        self._tracks.clear()
        self._misses.clear()
        self._settled.clear()
