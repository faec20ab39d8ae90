"""Makes a `Draft` of a confirmed candidate: an alert that lacks only its number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device.protocol.alert import (
    LARGEST_CROP_BYTES,
    Alert,
    AlertData,
    Crop,
    ListVersion,
    ModelHash,
)
from device.protocol.bands import margin_band, score_band
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.wording import NO_PAD

if TYPE_CHECKING:
    # The desk loads this room for its connection: it must not carry the vision room with it.
    from device.matching.confirmation import Confirmed


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


@dataclass(frozen=True, slots=True)
class Draft:
    """An alert without its number. numbered: (epoch, sequence, queued_at) → alert."""

    id: str
    reference_id: str
    captured_at: str
    numbered: Callable[[str, int, str], Alert]


class AlertMaker:
    """Words alerts. `now_ns`: wall clock in nanoseconds since 1970."""

    def __init__(self, circumstances: Circumstances, now_ns: Callable[[], int]) -> None:
        self._circumstances = circumstances
        self._now_ns = now_ns

    def draft(self, confirmed: "Confirmed", captured_at_ns: int, crop: bytes | None) -> Draft:
        """Return the alert, but for its number.

        crop: JPEG of the face, for the verifier; one that no letter has room for is left out.
        """
        fixed = self._circumstances
        identifier, captured_at = uuid7(self._now_ns()), utc_text(captured_at_ns)
        fits = crop is not None and len(crop) <= LARGEST_CROP_BYTES

        def numbered(epoch: str, sequence: int, queued_at: str) -> Alert:
            return Alert(
                id=identifier,
                source=fixed.source,
                time=captured_at,
                data=AlertData(
                    epoch=epoch,
                    sequence=sequence,
                    watchlist=fixed.watchlist,
                    reference_id=confirmed.reference_id,
                    score_band=score_band(confirmed.score, fixed.bands),
                    margin_band=margin_band(confirmed.margin),
                    threshold_id=fixed.threshold_id,
                    models=fixed.models,
                    captured_at=captured_at,
                    queued_at=queued_at,
                    sent_at=None,
                    delayed=False,
                    quality=round(min(1.0, max(0.0, confirmed.quality)), 2),
                    shots=confirmed.shots,
                    demonstration=fixed.demonstration,
                    crop=Crop(crop) if crop is not None and fits else None,
                    presentation_attack_detection=fixed.attack_detection,
                ),
            )

        return Draft(identifier, confirmed.reference_id, captured_at, numbered)
