"""Cells that every implementation must refuse, and why.

They are put together from the parts of the format: `Envelope` cannot be made to write them.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hpke

from device.protocol.cell import CELL_BYTES
from device.protocol.envelope import Envelope
from device.protocol.event import encode_event
from device.protocol.keys import PrivateKeys, PublicKeys
from device.protocol.topics import Kind
from tools.setup.vectors.examples import (
    DESK,
    DEVICE,
    PARTIES,
    SENT,
    TOPICS,
    Party,
    a_bundle_part,
    a_command,
    a_receipt,
    a_status,
    an_alert,
    an_unlock,
    an_unlock_request,
)

EVENT, LETTER = "application/cloudevents+json", "application/vnd.passerby.letter"
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
_X25519 = 2
_OVERHEAD = 1 + 1 + 16 + 32 + 16 + 4
_STRANGER, _ELSEWHERE = PARTIES["other device"], PARTIES["other desk"]


@dataclass(frozen=True, slots=True)
class Case:
    """A cell, who receives it on which kind of topic, and the class of its refusal."""

    name: str
    refusal: str
    cell: bytes
    kind: Kind = "status"
    to: Party = "desk"


def header(
    sender: PublicKeys = DEVICE.public,
    to: PublicKeys = DESK.public,
    kind: str = EVENT,
    **more: object,
) -> dict[Any, Any]:
    """Return a protected header. more: labels to add or, as None, to leave out."""
    labels: dict[Any, Any] = {1: -8, 3: kind, 4: sender.key_id, "to": to.key_id, "v": 1} | more
    labels = {label: value for label, value in labels.items() if value is not None}
    return labels | {2: sorted(label for label in labels if isinstance(label, str))}


def canonical(value: object) -> bytes:
    """Return deterministic CBOR."""
    return cbor2.dumps(value, canonical=True)


def signature(protected: bytes, payload: bytes, sender: PrivateKeys = DEVICE) -> bytes:
    """Return the signature over any header and payload."""
    return sender.signer.sign(canonical(["Signature1", protected, b"passerby/v1", payload]))


def signed(
    payload: bytes, labels: dict[Any, Any] | bytes | None = None, sender: PrivateKeys = DEVICE
) -> bytes:
    """Return a COSE_Sign1 with a header that need not be allowed."""
    labels = header() if labels is None else labels
    protected = labels if isinstance(labels, bytes) else canonical(labels)
    parts = [protected, {}, payload, signature(protected, payload, sender)]
    return canonical(cbor2.CBORTag(18, parts))


def sealed(
    content: bytes,
    to: PublicKeys = DESK.public,
    source: str = TOPICS.source,
    purpose: str = "cell",
) -> bytes:
    """Seal with X25519, for anything."""
    info = canonical(["passerby", 1, purpose, _X25519, source, to.key_id])
    return bytes((1, _X25519)) + to.key_id + _SUITE.encrypt(content, to.classic, info)


def padded(content: bytes, length: int | None = None, fill: bytes = b"\0") -> bytes:
    """Return the content of a cell. length: what is said of the content's length."""
    said = len(content) if length is None else length
    return said.to_bytes(4, "big") + content + fill * (CELL_BYTES - _OVERHEAD - len(content))


def cell(content: bytes, to: PublicKeys = DESK.public, source: str = TOPICS.source) -> bytes:
    """Pad and seal."""
    return sealed(padded(content), to, source)


def dispatched(letter: bytes, sent_ms: int = SENT.sent_ms) -> bytes:
    """Return the cell with a letter."""
    return cell(signed(letter, header(kind=LETTER, sent=sent_ms, delayed=SENT.delayed)))


def flipped(content: bytes, place: int) -> bytes:
    """Return it with one bit changed."""
    return content[:place] + bytes((content[place] ^ 1,)) + content[place + 1 :]


def cases() -> list[Case]:
    """Return new cells to refuse."""
    return [
        *_outside(),
        *_signing(),
        *_events(),
        *_letters(),
        *_to_the_device(),
        *_unlocking(),
        *_bundles(),
    ]


def _outside() -> Iterator[Case]:
    good = cell(signed(_status()))
    yield Case("empty", "TruncatedError", b"")
    yield Case("cut by a byte", "TruncatedError", good[:-1])
    yield Case("a byte too long", "OversizeError", good + b"\0")
    yield Case("another version", "UnknownVersionError", b"\x02" + good[1:])
    yield Case("an unknown suite", "UnknownVersionError", b"\x01\x03" + good[2:])
    yield Case("the other suite's number", "ForgedError", b"\x01\x01" + good[2:])
    elsewhere = cell(signed(_status()), to=_ELSEWHERE.public)
    yield Case("for another desk", "MisaddressedError", elsewhere)
    relabelled = elsewhere[:2] + DESK.public.key_id + elsewhere[18:]
    yield Case("for another desk, relabelled", "ForgedError", relabelled)
    other = cell(signed(_status()), source="urn:passerby:site-1:camera-2")
    yield Case("moved from another device's topic", "ForgedError", other)
    yield Case("a flipped bit in the key", "ForgedError", flipped(good, 20))
    yield Case("a flipped bit in the middle", "ForgedError", flipped(good, 6_000))
    content = signed(_status())
    yield Case("padding that is not blank", "NotCanonicalError", sealed(padded(content, fill=b"x")))
    yield Case("longer than it says", "NotCanonicalError", sealed(padded(content, 10)))
    yield Case("a length beyond the cell", "TruncatedError", sealed(padded(content, 2**32 - 1)))


def _signing() -> Iterator[Case]:
    event = _status()
    protected, good = canonical(header()), signed(event)
    loose = cbor2.CBORTag(18, [protected, {4: b"x"}, event, signature(protected, event)])
    yield from (
        Case(name, refusal, cell(content))
        for name, refusal, content in (
            ("no content", "TruncatedError", b""),
            ("a signed message that is cut", "TruncatedError", good[:-1]),
            ("something behind a signed message", "NotCanonicalError", good + b"\0"),
            ("an array of no fixed length", "NotCanonicalError", b"\xd2\x9f" + good[2:] + b"\xff"),
            ("a longer head than needed", "NotCanonicalError", b"\xd8\x12" + good[1:]),
            ("no tag", "NotCanonicalError", good[1:]),
            ("a signed message with two tags", "NotCanonicalError", b"\xd2" + good),
            ("an unprotected header", "NotCanonicalError", canonical(loose)),
            ("a header out of order", "NotCanonicalError", signed(event, _unordered())),
            ("a header that is cut", "TruncatedError", signed(event, protected[:-1])),
            ("a header label too many", "NotCanonicalError", signed(event, header(x=1))),
            ("another algorithm", "NotCanonicalError", signed(event, header() | {1: -7})),
            ("another content type", "NotCanonicalError", signed(event, header(kind="text/plain"))),
            ("another version inside", "UnknownVersionError", signed(event, header(v=2))),
            ("signed for another desk", "MisaddressedError", signed(event, _misdirected())),
            ("signed by another device", "MisaddressedError", _signed_by_stranger()),
            ("signed by another device, in this one's name", "ForgedError", _signed_in_its_name()),
            ("a flipped bit in the signature", "ForgedError", flipped(good, len(good) - 1)),
        )
    )


def _events() -> Iterator[Case]:
    event = _status()
    first, rest = event[1:].split(b',"datacontenttype"', 1)
    unsorted = b'{"datacontenttype"' + rest[:-1] + b"," + first + b"}"
    twice = b'{"specversion":"1.0",' + event[1:]
    for name, refusal, payload in (
        ("no JSON", "MessageError", event[:-1]),
        ("no UTF-8", "MessageError", event.replace("ö".encode(), b"\xed\xa0\x80")),
        ("a blank in the event", "NotCanonicalError", event.replace(b",", b", ", 1)),
        ("a key twice", "NotCanonicalError", twice),
        ("keys out of order", "NotCanonicalError", unsorted),
        ("an escape that is not needed", "NotCanonicalError", event.replace(b"/", b"\\/", 1)),
        ("an unknown key", "MessageError", event[:-1] + b',"x":1}'),
        ("an unknown type", "MessageError", event.replace(b"status.v1", b"status.v2")),
        ("no such day", "MessageError", event.replace(b"2026-09-21", b"2026-02-30")),
        ("a line break in an id", "MessageError", _broken_id(event)),
        ("in the name of another device", "MisaddressedError", event.replace(b"-1", b"-2", 2)),
        ("a command from a device", "WrongTopicError", encode_event(a_command())),
        ("an alert without a letter", "NotCanonicalError", encode_event(an_alert())),
    ):
        kind: Kind = "alert" if name == "an alert without a letter" else "status"
        yield Case(name, refusal, cell(signed(payload)), kind)
    yield Case("a status on the topic of alerts", "WrongTopicError", cell(signed(event)), "alert")


def _letters() -> Iterator[Case]:
    alert = signed(encode_event(an_alert()))
    letter = sealed(alert, purpose="letter")
    as_cell = letter + bytes(CELL_BYTES - len(letter))
    damaged = "DamagedLetterError"
    yield Case("a letter used as a cell", "ForgedError", as_cell, "alert")
    for name, inner in (
        ("a damaged letter", flipped(letter, 900)),
        ("a letter that is cut", letter[:40]),
        ("a cell used as a letter", sealed(alert)),
        ("a letter with a status", sealed(signed(_status()), purpose="letter")),
        ("a letter that another device signed", sealed(_signed_by_stranger(), purpose="letter")),
        ("a letter in a letter", sealed(_letter_signed(letter), purpose="letter")),
    ):
        kind: Kind = "status" if name == "a letter with a status" else "alert"
        yield Case(name, damaged, dispatched(inner), kind)
    untimed = cell(signed(letter, header(kind=LETTER)))
    yield Case("a letter without a time", "NotCanonicalError", untimed, "alert")
    late = dispatched(letter, 253_402_300_800_000)
    yield Case("a letter from the year 10000", "NotCanonicalError", late, "alert")
    yield Case("an alert on the topic of records", "WrongTopicError", dispatched(letter), "record")


def _from_desk(event: bytes, sender: PrivateKeys = DESK) -> bytes:
    labels = header(sender.public, DEVICE.public)
    return cell(signed(event, labels, sender), to=DEVICE.public)


def _to_the_device() -> Iterator[Case]:
    from_desk = _from_desk
    receipt, command = encode_event(a_receipt("stored")), encode_event(a_command())
    own = Envelope(DEVICE, DESK.public, TOPICS, "x25519").cell(a_status())
    for name, refusal, content, kind in (
        ("the device's own cell", "MisaddressedError", own, "receipt"),
        ("from another desk", "MisaddressedError", from_desk(receipt, _ELSEWHERE), "receipt"),
        (
            "in the name of another desk",
            "MisaddressedError",
            from_desk(receipt.replace(DESK.public.key_id.hex().encode(), b"0" * 32)),
            "receipt",
        ),
        (
            "a receipt for another device",
            "MisaddressedError",
            from_desk(receipt.replace(b"camera-1", b"camera-2")),
            "receipt",
        ),
        (
            "a receipt for cover that names a letter",
            "MessageError",
            from_desk(receipt.replace(b'"stored"', b'"cover"')),
            "receipt",
        ),
        ("a receipt as a command", "WrongTopicError", from_desk(receipt), "command"),
        (
            "a command that holds for a month",
            "MessageError",
            from_desk(command.replace(b"2026-09-22", b"2026-10-22")),
            "command",
        ),
        (
            "a command number that no language reads exactly",
            "MessageError",
            from_desk(command.replace(b'"sequence":1', b'"sequence":9007199254740992')),
            "command",
        ),
        (
            "a suspension that names a reference",
            "MessageError",
            from_desk(command.replace(b'"revoke"', b'"suspend"')),
            "command",
        ),
    ):
        topic: Kind = "receipt" if kind == "receipt" else "command"
        yield Case(name, refusal, content, topic, "device")


def _unlocking() -> Iterator[Case]:
    request = encode_event(an_unlock_request())
    public = an_unlock_request().data.keys.x25519
    flat = request.replace(b64encode(public), b64encode(bytes(32)))
    for name, event in (
        ("a request for keys of small order", flat),
        ("a request with a short nonce", _shortened(request)),
    ):
        yield Case(name, "MessageError", cell(signed(event)), "request")
    moved = cell(signed(request))
    yield Case("a request on the topic of alerts", "WrongTopicError", moved, "alert")
    answer, refusal = encode_event(an_unlock()), encode_event(an_unlock("ended"))
    both = answer.replace(b'"refusal":null', b'"refusal":"ended"')
    neither = refusal.replace(b'"refusal":"ended"', b'"refusal":null')
    other = refusal.replace(b'"ended"', b'"not today"')
    elsewhere = answer.replace(b"camera-1", b"camera-2")
    for name, why, event in (
        ("an answer with a key and a refusal", "MessageError", both),
        ("an answer with neither", "MessageError", neither),
        ("a refusal that there is not", "MessageError", other),
        ("an answer for another device", "MisaddressedError", elsewhere),
    ):
        yield Case(name, why, _from_desk(event), "command", "device")
    forged = _from_desk(answer, _ELSEWHERE)
    yield Case("an answer of another desk", "MisaddressedError", forged, "command", "device")
    moved = _from_desk(answer)
    yield Case("an answer on the topic of receipts", "WrongTopicError", moved, "receipt", "device")


def _shortened(request: bytes) -> bytes:
    nonce = b64encode(an_unlock_request().data.nonce)
    return request.replace(nonce, b64encode(bytes(31)))


def _bundles() -> Iterator[Case]:
    part = encode_event(a_bundle_part())
    for name, why, event in (
        ("a part that counts wrongly", "MessageError", part.replace(b'"parts":32', b'"parts":33')),
        ("a part behind all parts", "MessageError", part.replace(b'"part":2', b'"part":33')),
        ("a part on another's place", "MessageError", part.replace(b'"part":2', b'"part":3')),
        ("a part of nothing", "MessageError", part.replace(b'"size":16000', b'"size":0')),
        ("a part for another device", "MisaddressedError", part.replace(b"camera-1", b"camera-2")),
    ):
        yield Case(name, why, _from_desk(event), "bundle", "device")
    forged = _from_desk(part, _ELSEWHERE)
    yield Case("a part of another desk", "MisaddressedError", forged, "bundle", "device")
    order = _from_desk(encode_event(a_command()))
    yield Case("an order on the topic of bundles", "WrongTopicError", order, "bundle", "device")
    moved = _from_desk(part)
    yield Case("a part on the topic of orders", "WrongTopicError", moved, "command", "device")


def _status() -> bytes:
    return encode_event(a_status())


def _unordered() -> bytes:
    labels = header()
    return cbor2.dumps({label: labels[label] for label in (4, 1, 2, 3, "to", "v")})


def _misdirected() -> dict[Any, Any]:
    return header(to=_ELSEWHERE.public)


def _signed_by_stranger() -> bytes:
    return signed(_status(), header(_STRANGER.public), _STRANGER)


def _signed_in_its_name() -> bytes:
    return signed(_status(), header(), _STRANGER)


def _letter_signed(letter: bytes) -> bytes:
    return signed(letter, header(kind=LETTER, sent=SENT.sent_ms, delayed=False))


def _broken_id(event: bytes) -> bytes:
    at = event.index(b'"id":"') + 6 + 36
    return event[:at] + b"\\n" + event[at:]
