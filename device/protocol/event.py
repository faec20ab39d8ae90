"""What all messages share: CloudEvents 1.0 in JSON, in one canonical form, checked while decoded.

The canonical form has its keys sorted and no blanks. A decoder encodes what it has decoded and
refuses whatever comes out different: no second spelling, no repeated key, nothing hidden.
"""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from device.errors import MessageError
from device.protocol.refusals import NotCanonicalError, OversizeError

LARGEST_EVENT_BYTES = 65_536
"""An alert is some 8 kB; nothing larger is decoded."""

# \Z, because $ also stands before a last line break in Python; the schemas say $, which does not
# elsewhere (tools/setup/pages.py). [0-9], because \d is any script's digit.
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
Time = Annotated[str, Meta(pattern=rf"^{_TIME}\Z")]
TimeOrUnknown = Annotated[str, Meta(pattern=rf"^({_TIME}|unknown)\Z")]
"""One pattern: of `Time | Literal["unknown"]` msgspec reads only the times."""
Source = Annotated[
    str, Meta(pattern=r"^urn:passerby:[a-z0-9][a-z0-9-]{0,31}:[a-z0-9][a-z0-9-]{0,31}\Z")
]
"""A device, as urn:passerby:<site>:<device>."""
DeskSource = Annotated[str, Meta(pattern=r"^urn:passerby:desk:[0-9a-f]{32}\Z")]
"""A desk, by the id of its keys."""
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Sequence = Annotated[int, Meta(ge=1, le=2**53 - 1)]
"""From 1, without gaps. Every language reads integers up to 2^53 - 1 exactly."""

Event = TypeVar("Event", bound=msgspec.Struct)


def encode_event(event: msgspec.Struct) -> bytes:
    """Return the canonical JSON of an event, every field present."""
    return msgspec.json.encode(event, order="sorted")


def check_length(payload: bytes) -> None:
    """Raise OversizeError before anything reads an event that is too long."""
    if len(payload) > LARGEST_EVENT_BYTES:
        limit = f"{LARGEST_EVENT_BYTES} at most"
        raise OversizeError(f"A message of {len(payload)} bytes is refused: {limit}.")


def decode_event(payload: bytes, kind: type[Event], name: str) -> Event:
    """Return the event of a canonical JSON. name: what was expected, for the refusal.

    Raises OversizeError, NotCanonicalError, MessageError.
    """
    event = read_event(payload, kind, name)
    if encode_event(event) != payload:
        raise NotCanonicalError(f"This {name} is not in its one form.")
    return event


def read_event(payload: bytes, kind: type[Event], name: str) -> Event:
    """Return the event of any JSON of it, for consumers of plain events.

    Raises OversizeError, MessageError.
    """
    check_length(payload)
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"This is no {name} of Passerby: {error}.") from error
