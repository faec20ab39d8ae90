"""`Status`: how the device is. Retained, with a will; no counts, ever (R16, R45)."""

from typing import Final, Literal

from msgspec import Struct

from device.protocol.alert import AttackDetection, ListVersion, ModelHash
from device.protocol.authorisation import Operation
from device.protocol.event import Sha256, Source, Time, Uuid, encode_event, read_event
from device.protocol.wording import NO_PAD

STATUS_TYPE: Final = "passerby.status.v1"
STATUS_SCHEMA: Final = "urn:passerby:schema:status:1"

State = Literal["starting", "comparing", "not comparing", "stopped"]
Link = Literal["online", "offline"]
PaceStep = Literal[0, 1, 2, 3, 4]


class Pace(Struct, frozen=True, forbid_unknown_fields=True):
    """How hard a device works: less when it is hot, or when its frames are late.

    step: 0 is full effort; what each means is in docs/protocol.md. of: the last step there is.
    sentence: what is done less and why, from a closed list; nothing in it is a count or a time.
    """

    step: PaceStep
    of: Literal[4]
    sentence: str


class StatusData(Struct, frozen=True, forbid_unknown_fields=True):
    """What a technician and a back office learn of a device.

    link: "offline" is the will, published by the broker when the device vanishes. reasons: why
    nothing is compared, or what is degraded, each a sentence. presentation_attack_detection: "no
    PAD", or the id of the attack detector's threshold. connection: which connection to the broker
    it belongs to; a will is believed only as long as this is the newest. last_order: id of the
    newest order that was obeyed. checkpoint: SHA-256 of the newest signed checkpoint of the audit
    log, a new one every hour at most whatever happens: a log that is cut later no longer has it.
    bundle: SHA-256 of the newest bundle that came whole over MQTT, so that the desk stops sending.
    mode: what becomes of a candidate, while the device is armed. pace: how hard it works, while it
    watches; a step that late frames have caused is told for an hour after it was last in force.
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
    connection: Uuid | None = None
    last_order: Uuid | None = None
    checkpoint: Sha256 | None = None
    bundle: Sha256 | None = None
    mode: Operation | None = None
    pace: Pace | None = None


class Status(Struct, frozen=True, forbid_unknown_fields=True):
    """A status as a CloudEvents 1.0 event."""

    id: Uuid
    source: Source
    time: Time
    data: StatusData
    specversion: Literal["1.0"] = "1.0"
    type: Literal["passerby.status.v1"] = STATUS_TYPE
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:passerby:schema:status:1"] = STATUS_SCHEMA


def encode_status(status: Status) -> bytes:
    """Return the event as canonical JSON."""
    return encode_event(status)


def decode_status(payload: bytes) -> Status:
    """Return the status of a plain JSON event, for consumers. Raises MessageError."""
    return read_event(payload, Status, "status")
