"""`Status`: how the device is. Retained, with a will; no counts, ever (R16, R45)."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import MessageError
from device.protocol.alert import AttackDetection, ListVersion, ModelHash, Time
from device.protocol.wording import NO_PAD

STATUS_TYPE: Final = "passerby.status.v1"
STATUS_SCHEMA: Final = "urn:passerby:schema:status:1"

State = Literal["starting", "comparing", "not comparing", "stopped"]
Link = Literal["online", "offline"]


class StatusData(Struct, frozen=True, forbid_unknown_fields=True):
    """What a technician and a back office learn of a device.

    link: "offline" is the will, published by the broker when the device vanishes. reasons: why
    nothing is compared, or what is degraded, each a sentence. presentation_attack_detection: "no
    PAD", or the id of the attack detector's threshold.
    """

    link: Link
    state: State
    reasons: list[str] = []
    demonstration: bool = False
    presentation_attack_detection: AttackDetection = NO_PAD
    software: str = ""
    runtime: str = ""
    models: list[ModelHash] = []
    watchlist: ListVersion | None = None


class Status(Struct, frozen=True, forbid_unknown_fields=True):
    """A status as a CloudEvents 1.0 event."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    source: Annotated[str, Meta(pattern=r"^urn:passerby:[a-z0-9-]+:[a-z0-9-]+$")]
    time: Time
    data: StatusData
    specversion: Literal["1.0"] = "1.0"
    type: Literal["passerby.status.v1"] = STATUS_TYPE
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:passerby:schema:status:1"] = STATUS_SCHEMA


def encode_status(status: Status) -> bytes:
    """Return the event as JSON."""
    return msgspec.json.encode(status)


def decode_status(payload: bytes) -> Status:
    """Return the status of a JSON event. Raises MessageError for anything else."""
    try:
        return msgspec.json.decode(payload, type=Status)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        msg = f"This is no status of Passerby: {error}."
        raise MessageError(msg) from error
