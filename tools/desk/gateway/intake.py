"""`Intake`: what one message from the broker means. Rules only: no socket, no database, no clock.

In: topic and bytes, and what the database knows of the device that the topic names. Out: one of the
decisions below. The rules:

1. Only a device that is known and not revoked is listened to.
2. Only what opens with that device's keys counts; everything else is dropped without an answer.
3. An alert, a record and a dummy get one receipt each; so does a letter that is authentic but
   damaged, because the device can do nothing but give it up.
4. A status gets no receipt.
5. A request to unlock gets an answer (`unlocking`) and no receipt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from device.errors import MessageError
from device.protocol.alert import Alert
from device.protocol.cell import SuiteName
from device.protocol.cover import Cover
from device.protocol.envelope import DamagedLetterError, Envelope, Opened
from device.protocol.event import encode_event
from device.protocol.keys import PrivateKeys, PublicKeys, decode_public_keys
from device.protocol.receipt import Outcome
from device.protocol.record import Record
from device.protocol.status import Status
from device.protocol.topics import Kind, Topics, parse_source, parse_topic
from device.protocol.unlocking import UnlockRequest

LISTENED: Final[tuple[Kind, ...]] = ("alert", "status", "record", "request")


@dataclass(frozen=True, slots=True)
class Device:
    """What the database knows of a device. keys: its public key file. revoked: not trusted now."""

    source: str
    keys: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class Letter:
    """An alert or a record to be stored. event: its CloudEvents JSON. epoch, sequence: of an alert.

    captured_at: of an alert; of a record when it was made.
    """

    source: str
    id: str
    kind: Kind
    digest: str
    captured_at: str
    event: str
    delayed: bool = False
    epoch: str | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Damaged:
    """A letter of a known device that nobody can open any more."""

    source: str
    digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dummy:
    """Cover traffic: seen, answered, forgotten."""

    source: str


@dataclass(frozen=True, slots=True)
class Report:
    """A status, and its CloudEvents JSON. Whether it is news is for `statuses` to say."""

    source: str
    status: Status
    event: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A device asks for the key of its list."""

    source: str
    request: UnlockRequest


@dataclass(frozen=True, slots=True)
class Dropped:
    """Not for us, not ours, or forged. reason: one of few, so that it can be counted."""

    reason: str
    source: str | None = None


Decision = Letter | Damaged | Dummy | Report | Asked | Dropped


def source_of(topic: str) -> str | None:
    """Return the device that a topic names, or None when it is no topic that we listen to."""
    try:
        topics, kind = parse_topic(topic)
    except MessageError:
        return None
    return topics.source if kind in LISTENED else None


def answer_to(decision: Decision) -> tuple[Outcome, str | None] | None:
    """Return outcome and digest of the receipt that a decision asks for, or None."""
    if isinstance(decision, Letter):
        return "stored", decision.digest
    if isinstance(decision, Damaged):
        return "refused", decision.digest
    return ("cover", None) if isinstance(decision, Dummy) else None


class Envelopes:
    """One `Envelope` per device, made once: building its keys costs more than opening a cell."""

    def __init__(self, keys: PrivateKeys, suite: SuiteName) -> None:
        self._keys = keys
        self._suite: SuiteName = suite
        self._made: dict[str, tuple[str, Envelope]] = {}

    @property
    def desk(self) -> PublicKeys:
        """The desk's own public keys."""
        return self._keys.public

    @property
    def secrets(self) -> PrivateKeys:
        """The desk's own private keys."""
        return self._keys

    def of(self, source: str, keys: str) -> Envelope:
        """Return the envelope to a device. keys: its public key file. Raises MessageError."""
        made = self._made.get(source)
        if made is None or made[0] != keys:
            public = decode_public_keys(keys.encode())
            made = (keys, Envelope(self._keys, public, parse_source(source), self._suite))
            self._made[source] = made
        return made[1]


class Intake:
    """Decides about messages. envelopes: how to open what a device sent."""

    def __init__(self, envelopes: Envelopes) -> None:
        self._envelopes = envelopes

    def decide(self, topic: str, payload: bytes, known: Mapping[str, Device]) -> Decision:
        """Return what a message means. known: devices by source. Never raises for its content."""
        try:
            topics, kind = parse_topic(topic)
        except MessageError:
            return Dropped("no topic of Passerby")
        if kind not in LISTENED:
            return Dropped("a topic for devices")
        device = known.get(topics.source)
        if device is None:
            return Dropped("unknown device")
        if device.revoked:
            return Dropped("revoked device", device.source)
        return self._opened(payload, kind, topics, device)

    def _opened(self, payload: bytes, kind: Kind, topics: Topics, device: Device) -> Decision:
        source = topics.source
        try:
            opened = self._envelopes.of(source, device.keys).open(payload, kind)
        except DamagedLetterError as error:
            return Damaged(source, error.digest, str(error))
        except MessageError as error:
            return Dropped(type(error).__name__, source)
        except Exception as error:  # noqa: BLE001 - a message must never stop the gateway
            return Dropped(f"unexpected {type(error).__name__}", source)
        return _meaning(opened, source)


def _meaning(opened: Opened, source: str) -> Decision:
    message, digest = opened.message, opened.digest
    if isinstance(message, Cover):
        return Dummy(source)
    if isinstance(message, Status):
        return Report(source, message, encode_event(message).decode())
    if isinstance(message, UnlockRequest):
        return Asked(source, message)
    if isinstance(message, Alert) and digest is not None:
        return Letter(
            source,
            message.id,
            "alert",
            digest,
            message.data.captured_at,
            encode_event(message).decode(),
            message.data.delayed,
            message.data.epoch,
            message.data.sequence,
        )
    if isinstance(message, Record) and digest is not None:
        event = encode_event(message).decode()
        return Letter(source, message.id, "record", digest, message.time, event)
    return Dropped("a message for devices", source)
