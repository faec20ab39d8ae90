"""`Alert`: a candidate put before people. It is not an identification (R18, R20, R51).

On the wire it is a CloudEvents 1.0 event in structured JSON; `docs/schemas/alert.schema.json` is
made from the types here. `state`, `notice` and `words` are fixed: there is no other value that an
alert could leave with.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import MessageError
from device.protocol.bands import MarginBand, ScoreBand
from device.protocol.wording import NO_PAD, NOTICE, POSSIBLE_MATCH

ALERT_TYPE: Final = "passerby.alert.v1"
ALERT_SCHEMA: Final = "urn:passerby:schema:alert:1"
LARGEST_EVENT_BYTES = 65_536
"""An alert is some 8 kB; nothing larger is decoded."""

Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
AttackDetection = Annotated[str, Meta(pattern=r"^(no PAD|[a-z0-9][a-z0-9.-]{0,127})$")]
"""Which detection of presentation attacks was at work: "no PAD", or the id of its threshold."""
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


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

    data: bytes
    media_type: Literal["image/jpeg"] = "image/jpeg"


class AlertData(Struct, frozen=True, forbid_unknown_fields=True):
    """What a verifier and a back office learn of a candidate.

    quality: of the best shot, 0 to 1. shots: comparisons that named this reference. threshold_id:
    name of the threshold that was applied. delayed: the alert waited before it was sent.
    presentation_attack_detection: "no PAD", or the id of the attack detector's threshold that every
    counted shot passed; that is no proof that a person stood there (docs/attack-detection.md).
    run, sequence: number of this alert, from 1, since the start named by `run`; a gap is a loss.
    """

    run: str
    sequence: Annotated[int, Meta(ge=1)]
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

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    source: Annotated[str, Meta(pattern=r"^urn:passerby:[a-z0-9-]+:[a-z0-9-]+$")]
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
    """Return the event as JSON, every field present."""
    return msgspec.json.encode(alert)


def decode_alert(payload: bytes) -> Alert:
    """Return the alert of a JSON event. Raises MessageError for anything else."""
    if len(payload) > LARGEST_EVENT_BYTES:
        msg = f"An alert of {len(payload)} bytes is refused: {LARGEST_EVENT_BYTES} at most."
        raise MessageError(msg)
    try:
        return msgspec.json.decode(payload, type=Alert)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        msg = f"This is no alert of Passerby: {error}."
        raise MessageError(msg) from error
