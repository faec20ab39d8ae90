"""The parties and the messages of the test vectors: the same in every run."""

import hashlib
from base64 import b64decode
from dataclasses import dataclass
from typing import Final, Literal

from device.protocol.alert import Alert, AlertData, Crop, ListVersion, ModelHash
from device.protocol.cell import SuiteName
from device.protocol.cose import Dispatch
from device.protocol.cover import Cover
from device.protocol.envelope import Envelope, desk_source
from device.protocol.keys import PrivateKeys
from device.protocol.messages import Message
from device.protocol.order import Adjudication, AdjudicationData, Command, CommandData
from device.protocol.part import BundlePart, cut, digest_of_bundle
from device.protocol.receipt import Receipt, ReceiptData
from device.protocol.record import Record, RecordData
from device.protocol.status import Status, StatusData
from device.protocol.topics import Kind, Topics
from device.protocol.unlocking import (
    Refusal,
    Unlock,
    UnlockData,
    UnlockRequest,
    UnlockRequestData,
)

TOPICS = Topics("site-1", "camera-1")
SENT = Dispatch(1_789_997_660_500, delayed=True)
SENT_AT: Final = "2026-09-21T13:34:20.500Z"
START: Final = "2026-09-21T13:33:20.000Z"
_QUEUED = "2026-09-21T13:33:20.040Z"
_UNTIL = "2026-09-22T13:33:20.000Z"
Party = Literal["device", "desk", "other device", "other desk", "one answer"]
"""one answer: the keys that a device makes for the answer to one request."""


@dataclass(frozen=True, slots=True)
class Example:
    """A message of each kind: who sends it, on which topic, in a letter or not."""

    kind: Kind
    sender: Party
    message: Message
    in_letter: bool = False


def party(name: str) -> PrivateKeys:
    """Return the keys that everybody can make of a name."""
    text = f"Passerby public test key: {name}: "
    return PrivateKeys(
        hashlib.sha256(f"{text}ed25519".encode()).digest(),
        hashlib.sha256(f"{text}x25519".encode()).digest(),
        hashlib.sha512(f"{text}mlkem768".encode()).digest(),
    )


PARTIES: dict[Party, PrivateKeys] = {
    name: party(name) for name in ("device", "desk", "other device", "other desk", "one answer")
}
DEVICE, DESK = PARTIES["device"], PARTIES["desk"]
DEPLOYMENT: Final = "019966b0-e080-7000-8000-0000000000de"
DEPLOYMENT_KEY: Final = hashlib.sha256(b"Passerby public test key: deployment").digest()
WRAPPED = b64decode(
    "AQIOfb9z7/EfaY1ebKnDojc3WFlb4E9PvYBa5AajSGzm0QkJwPmgOpP+LmvOod4ZaS3TLSHZsHt7wLjJdGJvizXt"
    "x4K68ZyFmuL2eP76talOLvZoMtoXvenyzdvAWaNt3us="
)
"""DEPLOYMENT_KEY, wrapped once with X25519: a message of the vectors is the same in every run."""
_NONCE = hashlib.sha256(b"nonce").digest()
_ARCHIVE = b"".join(hashlib.sha256(b"archive %d" % at).digest() for at in range(500))
"""16,000 bytes: two full parts, one that is not, and 29 behind the end."""


def uuid(number: int) -> str:
    """Return a UUIDv7 of the vectors."""
    return f"019966b0-e080-7000-8000-{number:012x}"


def an_alert(number: int = 1, crop: bytes = b"\xff\xd8\xff no picture \xff\xd9") -> Alert:
    """Return the alert of the vectors."""
    data = AlertData(
        epoch=uuid(0xE0),
        sequence=number,
        watchlist=ListVersion("list-1", 3),
        reference_id="r-0007",
        score_band="strong",
        margin_band="clear",
        threshold_id="threshold-1",
        models=[ModelHash("embedder", "passerby-embedder", "ab" * 32)],
        captured_at=START,
        queued_at=_QUEUED,
        sent_at=None,
        delayed=False,
        quality=0.87,
        shots=3,
        demonstration=True,
        crop=Crop(crop),
    )
    return Alert(uuid(number), TOPICS.source, START, data)


def a_status() -> Status:
    """Return the status of the vectors; the text tries what JSON writers differ in."""
    data = StatusData(
        "online", "comparing", ['"Größe" \\ / \x01 \x7f \u2028 😀'], connection=uuid(0xC0)
    )
    return Status(uuid(3), TOPICS.source, START, data)


def a_record() -> Record:
    """Return the record of the vectors."""
    data = RecordData(
        START, "unknown", ListVersion("list-1", 3), 100, "threshold-1", 12_345, 9, "unknown", 0
    )
    return Record(uuid(4), TOPICS.source, START, data)


def a_receipt(outcome: Literal["stored", "refused", "cover"]) -> Receipt:
    """Return a receipt of the vectors; its digest is that of no letter."""
    digest = None if outcome == "cover" else hashlib.sha256(outcome.encode()).hexdigest()
    number = {"stored": 5, "refused": 6, "cover": 7}[outcome]
    data = ReceiptData(TOPICS.source, outcome, digest)
    return Receipt(uuid(number), desk_source(DESK.public), START, data)


def a_command(sequence: int = 1, given: str = START, until: str = _UNTIL) -> Command:
    """Return the command of the vectors."""
    data = CommandData(TOPICS.source, sequence, until, "revoke", "Court order lifted.", "r-0007")
    return Command(uuid(8), desk_source(DESK.public), given, data)


def an_adjudication() -> Adjudication:
    """Return the adjudication of the vectors."""
    data = AdjudicationData(TOPICS.source, 2, _UNTIL, uuid(1), "confirmed false alert")
    return Adjudication(uuid(9), desk_source(DESK.public), START, data)


def an_unlock_request() -> UnlockRequest:
    """Return the request of the vectors."""
    watchlist, digest = ListVersion("list-1", 3), hashlib.sha256(b"sealed list").hexdigest()
    keys = PARTIES["one answer"].public
    data = UnlockRequestData(DEPLOYMENT, watchlist, digest, _NONCE, keys)
    return UnlockRequest(uuid(10), TOPICS.source, START, data)


def an_unlock(refusal: Refusal | None = None) -> Unlock:
    """Return an answer of the vectors: the key, or a refusal."""
    wrapped = None if refusal is not None else WRAPPED
    number = {None: 11, "reported stolen": 12, "ended": 13, "unknown": 14}[refusal]
    data = UnlockData(TOPICS.source, uuid(10), _NONCE, DEPLOYMENT, wrapped, refusal)
    return Unlock(uuid(number), desk_source(DESK.public), START, data)


def a_bundle_part(part: int = 2) -> BundlePart:
    """Return a part of the bundle of the vectors."""
    data = cut(_ARCHIVE, digest_of_bundle(_ARCHIVE), TOPICS.source, START, part)
    return BundlePart(uuid(14 + part), desk_source(DESK.public), START, data)


def examples() -> dict[str, Example]:
    """Return a message of every kind, by name."""
    return {
        "alert": Example("alert", "device", an_alert(), in_letter=True),
        "cover": Example("alert", "device", Cover(uuid(2), TOPICS.source, START)),
        "status": Example("status", "device", a_status()),
        "record": Example("record", "device", a_record(), in_letter=True),
        "receipt, stored": Example("receipt", "desk", a_receipt("stored")),
        "receipt, refused": Example("receipt", "desk", a_receipt("refused")),
        "receipt, cover": Example("receipt", "desk", a_receipt("cover")),
        "command": Example("command", "desk", a_command()),
        "adjudication": Example("command", "desk", an_adjudication()),
        "unlock-request": Example("request", "device", an_unlock_request()),
        "unlock": Example("command", "desk", an_unlock()),
        "unlock, reported stolen": Example("command", "desk", an_unlock("reported stolen")),
        "unlock, ended": Example("command", "desk", an_unlock("ended")),
        "unlock, unknown": Example("command", "desk", an_unlock("unknown")),
        "bundle-part": Example("bundle", "desk", a_bundle_part()),
        "bundle-part, behind the end": Example("bundle", "desk", a_bundle_part(32)),
    }


def envelope(own: Party, suite: SuiteName = "x25519") -> Envelope:
    """Return how the device, or the desk, seals and opens."""
    other: Party = "desk" if own == "device" else "device"
    return Envelope(PARTIES[own], PARTIES[other].public, TOPICS, suite)
