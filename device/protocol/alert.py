"""`Alert`: a candidate put before people. It is not an identification (R18, R20, R51).

On the wire it is a CloudEvents 1.0 event in structured JSON; `docs/schemas/alert.schema.json` is
made from the types here. `state`, `notice` and `words` are fixed: there is no other value that an
alert could leave with.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from device.protocol.bands import MarginBand, ScoreBand
from device.protocol.event import Sequence, Sha256, Source, Time, Uuid, encode_event, read_event
from device.protocol.wording import NO_PAD, NOTICE, POSSIBLE_MATCH

ALERT_TYPE: Final = "passerby.alert.v1"
ALERT_SCHEMA: Final = "urn:passerby:schema:alert:1"
AttackDetection = Annotated[str, Meta(pattern=r"^(no PAD|[a-z0-9][a-z0-9.-]{0,127})\Z")]
"""Which detection of presentation attacks was at work: "no PAD", or the id of its threshold."""
LARGEST_CROP_BYTES = 5_120
"""Of the JPEG: what a letter has room for (docs/protocol.md)."""


class ListVersion(Struct, frozen=True, forbid_unknown_fields=True):
    """Which watchlist a candidate comes from."""

    id: str
    version: Annotated[int, Meta(ge=1)]


class ModelHash(Struct, frozen=True, forbid_unknown_fields=True):
    """Which model took part, by the SHA-256 of its file."""

    role: str
    name: str
    sha256: Sha256


class Crop(Struct, frozen=True, forbid_unknown_fields=True):
    """The alerting face, for the verifier. data: JPEG; base64 in JSON."""

    data: Annotated[bytes, Meta(max_length=LARGEST_CROP_BYTES)]
    media_type: Literal["image/jpeg"] = "image/jpeg"


class AlertData(Struct, frozen=True, forbid_unknown_fields=True):
    """What a verifier and a back office learn of a candidate.

    quality: of the best shot, 0 to 1. shots: comparisons that named this reference. threshold_id:
    name of the threshold that was applied. delayed: the alert waited before it was sent.
    presentation_attack_detection: "no PAD", or the id of the attack detector's threshold that every
    counted shot passed; that is no proof that a person stood there (docs/attack-detection.md).
    epoch, sequence: number of this alert in the life of the device's outbox that `epoch` names. The
    numbers go on over restarts; a gap is a loss, or an alert that was erased because it had waited
    too long. A new epoch means that the outbox was lost. sent_at, delayed: null and false until the
    desk learns them from the sending.
    """

    epoch: Uuid
    sequence: Sequence
    watchlist: ListVersion
    reference_id: str
    score_band: ScoreBand
    margin_band: MarginBand
    threshold_id: str
    models: list[ModelHash]
    captured_at: Time
    queued_at: Time
    sent_at: Time | None
    delayed: bool
    quality: Annotated[float, Meta(ge=0, le=1)]
    shots: Annotated[int, Meta(ge=1)]
    demonstration: bool
    crop: Crop | None = None
    presentation_attack_detection: AttackDetection = NO_PAD
    state: Literal["unreviewed"] = "unreviewed"
    words: Literal["possible match"] = POSSIBLE_MATCH
    notice: Literal[
        "Possible match; not an identification; not to be the sole ground of any decision."
    ] = NOTICE


class Alert(Struct, frozen=True, forbid_unknown_fields=True):
    """An alert as a CloudEvents 1.0 event. id: UUIDv7. source: urn:passerby:<site>:<device>."""

    id: Uuid
    source: Source
    time: Time
    data: AlertData
    specversion: Literal["1.0"] = "1.0"
    type: Literal["passerby.alert.v1"] = ALERT_TYPE
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:passerby:schema:alert:1"] = ALERT_SCHEMA

    def sent(self, sent_at: str, *, delayed: bool) -> "Alert":
        """Return the alert as it leaves now."""
        data = msgspec.structs.replace(self.data, sent_at=sent_at, delayed=delayed)
        return msgspec.structs.replace(self, data=data)

    def __repr__(self) -> str:
        return f"<Alert {self.id}>"


def encode_alert(alert: Alert) -> bytes:
    """Return the event as canonical JSON, every field present."""
    return encode_event(alert)


def decode_alert(payload: bytes) -> Alert:
    """Return the alert of a plain JSON event, for consumers. Raises MessageError."""
    return read_event(payload, Alert, "alert")
