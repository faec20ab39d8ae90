"""One line of the log, in its one spelling, and the signatures of the log.

A line is canonical JSON: keys sorted, no blanks. `previous` chains it to everything before it;
`signature` is the device's Ed25519 over a fixed context and the line without the signature, so over
its number and its `previous` too: nobody but this device can add a line, and none fits elsewhere.
"""

import hashlib
from typing import Annotated, Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from device.audit.events import LARGEST_COUNT
from device.protocol.event import Sha256, Time

FIRST: Final = "0" * 64
"""The `previous` of a log's first line."""
LONGEST_LINE: Final = 65_536
"""Bytes; the writer stays far below (device/audit/events.py bounds every detail)."""

Number = Annotated[int, Meta(ge=1, le=LARGEST_COUNT)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
Counted = Annotated[int, Meta(ge=0, le=LARGEST_COUNT)]

_LINE: Final = b"passerby audit line 1\n"
_KEY: Final = b"passerby audit key 1"


class Line(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line. number: from 1, without gaps. signature: None in the log of a device without keys.

    previous: SHA-256 of everything from the beginning of the whole line before to the beginning of
    this one, without the last line break: the line before, and what a power cut left behind it.
    """

    at: Time
    details: dict[str, str | Counted]
    event: str
    number: Number
    previous: Sha256
    signature: Signature | None = None


Any_ = TypeVar("Any_", bound=Struct)


def encode(thing: Struct) -> bytes:
    """Return the canonical JSON, without a line break."""
    return msgspec.json.encode(thing, order="sorted")


def decode(content: bytes, kind: type[Any_]) -> Any_ | None:
    """Return what a line says; None when it is not of this kind or not in its one spelling."""
    if not content.startswith(b"{") or len(content) > LONGEST_LINE:
        return None
    try:
        thing = msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return thing if encode(thing) == content else None


def hash_of(content: bytes) -> str:
    """Return the SHA-256 of a line, without its line break."""
    return hashlib.sha256(content).hexdigest()


def signed(thing: Any_, signer: Ed25519PrivateKey | None, context: bytes = _LINE) -> Any_:
    """Return it with a signature; as it is without a signer."""
    if signer is None:
        return thing
    return msgspec.structs.replace(thing, signature=signer.sign(context + encode(thing)))


def authentic(
    thing: Struct, signature: bytes | None, key: Ed25519PublicKey, context: bytes = _LINE
) -> bool:
    """Say whether the key's owner made this line. signature: the one inside it."""
    if signature is None:
        return False
    bare = msgspec.structs.replace(thing, signature=None)
    try:
        key.verify(signature, context + encode(bare))
    except InvalidSignature:
        return False
    return True


def key_name(key: Ed25519PublicKey) -> str:
    """Return a short name of a key that signs logs: 16 hexadecimal digits."""
    return hashlib.sha256(_KEY + key.public_bytes_raw()).hexdigest()[:16]
