"""What the short-lived verifying process tells the one that asked, as one JSON object."""

from typing import Literal

import msgspec
from msgspec import Struct

from device.protocol.event import Sha256


class Findings(Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle that holds. release: its folder's name. sha256: of every target, by name.

    fresh_until_ns: when the first of its four roles expires, nanoseconds since 1970.
    """

    release: str
    root_version: int
    timestamp_version: int
    targets_version: int
    fresh_until_ns: int
    sha256: dict[str, Sha256]


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of: what was found, a sentence of refusal, or nothing where none is installed.

    fault: what kind the sentence is: the bundle's or the disk's.
    """

    found: Findings | None = None
    refused: str | None = None
    fault: Literal["bundle", "storage"] = "bundle"


def encode_answer(answer: Answer) -> bytes:
    """Return an answer as JSON."""
    return msgspec.json.encode(answer)


def decode_answer(content: bytes) -> Answer:
    """Return the answer of its JSON. Raises ValueError (msgspec's errors are ValueErrors)."""
    return msgspec.json.decode(content, type=Answer)
