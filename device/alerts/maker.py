"""Makes an `Alert` of a confirmed candidate."""

from collections.abc import Callable
from dataclasses import dataclass

from device.matching.confirmation import Confirmed
from device.protocol.alert import Alert, AlertData, Crop, ListVersion, ModelHash
from device.protocol.bands import margin_band, score_band
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.wording import NO_PAD


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is the same for all alerts of one run."""

    source: str
    watchlist: ListVersion
    models: list[ModelHash]
    threshold_id: str
    bands: tuple[float, float]
    demonstration: bool
    attack_detection: str = NO_PAD


class AlertMaker:
    """Numbers and words alerts. `now_ns`: wall clock in nanoseconds since 1970."""

    def __init__(self, circumstances: Circumstances, now_ns: Callable[[], int]) -> None:
        self._circumstances = circumstances
        self._now_ns = now_ns
        self._run = uuid7(now_ns())
        self._sequence = 0

    def make(self, confirmed: Confirmed, captured_at_ns: int, crop: bytes | None) -> Alert:
        """Return the alert. crop: JPEG of the face, for the verifier."""
        now_ns = self._now_ns()
        self._sequence += 1
        fixed = self._circumstances
        return Alert(
            id=uuid7(now_ns),
            source=fixed.source,
            time=utc_text(captured_at_ns),
            data=AlertData(
                run=self._run,
                sequence=self._sequence,
                watchlist=fixed.watchlist,
                reference_id=confirmed.reference_id,
                score_band=score_band(confirmed.score, fixed.bands),
                margin_band=margin_band(confirmed.margin),
                threshold_id=fixed.threshold_id,
                models=fixed.models,
                captured_at=utc_text(captured_at_ns),
                queued_at=utc_text(now_ns),
                sent_at=None,
                delayed=False,
                quality=round(min(1.0, max(0.0, confirmed.quality)), 2),
                shots=confirmed.shots,
                demonstration=fixed.demonstration,
                crop=Crop(crop) if crop is not None else None,
                presentation_attack_detection=fixed.attack_detection,
            ),
        )
