"""The closed list of messages: which types there are, and which topic may carry which."""

from typing import Any, Final

import msgspec

from device.errors import MessageError
from device.protocol.alert import ALERT_TYPE, Alert
from device.protocol.cover import COVER_TYPE, Cover
from device.protocol.event import check_length, decode_event
from device.protocol.identifiers import utc_ns
from device.protocol.order import (
    ADJUDICATION_TYPE,
    COMMAND_TYPE,
    Adjudication,
    Command,
    check_order,
)
from device.protocol.part import BUNDLE_PART_TYPE, BundlePart, check_part
from device.protocol.receipt import RECEIPT_TYPE, Receipt, check_receipt
from device.protocol.record import RECORD_TYPE, Record
from device.protocol.refusals import WrongTopicError
from device.protocol.status import STATUS_TYPE, Status
from device.protocol.topics import Kind
from device.protocol.unlocking import (
    UNLOCK_REQUEST_TYPE,
    UNLOCK_TYPE,
    Unlock,
    UnlockRequest,
    check_request,
    check_unlock,
)

Message = (
    Alert
    | Status
    | Receipt
    | Command
    | Adjudication
    | Record
    | Cover
    | UnlockRequest
    | Unlock
    | BundlePart
)

_TYPES: Final[dict[str, type[Any]]] = {
    ALERT_TYPE: Alert,
    STATUS_TYPE: Status,
    RECEIPT_TYPE: Receipt,
    COMMAND_TYPE: Command,
    ADJUDICATION_TYPE: Adjudication,
    RECORD_TYPE: Record,
    COVER_TYPE: Cover,
    UNLOCK_REQUEST_TYPE: UnlockRequest,
    UNLOCK_TYPE: Unlock,
    BUNDLE_PART_TYPE: BundlePart,
}
_CARRIES: Final[dict[Kind, tuple[type[Any], ...]]] = {
    "alert": (Alert, Cover),
    "status": (Status,),
    "receipt": (Receipt,),
    "command": (Command, Adjudication, Unlock),
    "record": (Record,),
    "request": (UnlockRequest,),
    "bundle": (BundlePart,),
}


class _Peek(msgspec.Struct):
    type: str


def decode_message(payload: bytes, topic: Kind) -> Message:
    """Return the message of a canonical JSON event that came on a topic of this kind.

    Raises MessageError and its kinds: not one of ours, not canonical, contradictory, wrong topic.
    """
    check_length(payload)
    try:
        name = msgspec.json.decode(payload, type=_Peek).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"This is no message of Passerby: {error}.") from error
    kind = _TYPES.get(name)
    if kind is None:
        raise MessageError("This message is of a type that Passerby does not know.")
    if kind not in _CARRIES[topic]:
        raise WrongTopicError(f"A message of type {name} has no business on this topic.")
    message: Message = decode_event(payload, kind, name)
    _check_times(message)
    _check(message)
    return message


def _check(message: Message) -> None:
    """Refuse what contradicts itself."""
    if isinstance(message, Receipt):
        check_receipt(message)
    elif isinstance(message, Command | Adjudication):
        check_order(message)
    elif isinstance(message, UnlockRequest):
        check_request(message)
    elif isinstance(message, Unlock):
        check_unlock(message)
    elif isinstance(message, BundlePart):
        check_part(message.data)


def _check_times(message: Message) -> None:
    """Refuse a time of the right form that no calendar has."""
    fields = msgspec.structs.asdict(message.data)
    times = [value for name, value in fields.items() if name.endswith("_at")]
    for time in [message.time, *times]:
        if time is None or time == "unknown":
            continue
        try:
            utc_ns(time)
        except (ValueError, OverflowError) as error:
            raise MessageError("A message has a time that there is not.") from error
