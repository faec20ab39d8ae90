"""The head: number and hash of the newest line, signed, in a small file beside the log.

It is there before the first line and replaced after every one, so a log whose end was cut is found.
A kill between a line and its head leaves the log one line ahead, which is no fault; it is never
behind.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from device.audit.line import Counted, Signature, authentic, decode, encode, signed
from device.errors import StorageError
from device.protocol.event import Sha256

_HEAD: Final = b"passerby audit head 1\n"
_LARGEST_BYTES: Final = 1024


class Head(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The newest line of a log; number 0 before the first one."""

    hash: Sha256
    number: Counted
    signature: Signature | None = None


class End(Protocol):
    """The end of a log: number and hash of its newest whole line, and the hash of that before."""

    @property
    def number(self) -> int:
        """Of the newest whole line; 0 without one."""

    @property
    def last_hash(self) -> str:
        """Of the newest whole line."""

    @property
    def before_hash(self) -> str:
        """Of the whole line before it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a log's end and its head agree. fault: for "damaged", what is wrong, in a sentence."""

    state: Literal["agrees", "ahead", "damaged"]
    fault: str = ""


_AGREES: Final = Standing("agrees")
_AHEAD: Final = Standing("ahead")


def head_path(log: Path) -> Path:
    """Return where the head of a log is: audit.jsonl has audit.head."""
    return log.with_suffix(".head")


def head_content(path: Path) -> bytes | None:
    """Return the head's file, None when there is none. Raises StorageError."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error


def encode_head(number: int, hash_: str, signer: Ed25519PrivateKey | None) -> bytes:
    """Return the content of a head's file."""
    return encode(signed(Head(hash_, number), signer, _HEAD)) + b"\n"


def decode_head(content: bytes, key: Ed25519PublicKey | None) -> Head | None:
    """Return the head; None when it is none, or, where a key is given, not signed by it."""
    head = decode(content[:-1], Head) if content.endswith(b"\n") else None
    if head is None or key is None:
        return head
    return head if authentic(head, head.signature, key, _HEAD) else None


def number_in(content: bytes | None) -> int:
    """Return the number that a head names, whoever wrote it; 0 when it names none."""
    head = None if content is None else decode_head(content, None)
    return 0 if head is None else head.number


def standing(content: bytes | None, end: End, key: Ed25519PublicKey | None) -> Standing:
    """Compare the end of a log with its head. content: of the head's file, None without one.

    key: of this device; without one no signature is asked for.
    """
    if content is None and end.number == 0:
        return _AGREES
    if content is None:
        return _damaged("Its head is missing, so lines may be missing at its end.")
    head = decode_head(content, key)
    if head is None:
        return _damaged("Its head is damaged or not signed by this device.")
    if head.number > end.number:
        return _damaged(
            f"It ends with number {end.number}, and its head names number {head.number}: lines "
            "are missing at its end."
        )
    agreeing = {(end.number, end.last_hash): _AGREES, (end.number - 1, end.before_hash): _AHEAD}
    return agreeing.get((head.number, head.hash)) or _other(head, end)


def _other(head: Head, end: End) -> Standing:
    return _damaged(
        f"It ends with number {end.number}, and its head names number {head.number} or another "
        "line: the line was exchanged, or the head is of another time or log."
    )


def _damaged(fault: str) -> Standing:
    return Standing("damaged", fault)
