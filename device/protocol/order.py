"""Orders: what the desk tells one device. A command changes what it does, an adjudication informs.

Both carry a number from one sequence per device, and the time until which they hold. `OrderBook` is
the rule that makes a replayed, reordered or late order do nothing.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from device.errors import MessageError
from device.protocol.event import DeskSource, Sequence, Source, Time, Uuid
from device.protocol.identifiers import utc_ns
from device.protocol.refusals import ExpiredError, MisaddressedError, ReplayedError

COMMAND_TYPE: Final = "passerby.command.v1"
COMMAND_SCHEMA: Final = "urn:passerby:schema:command:1"
ADJUDICATION_TYPE: Final = "passerby.adjudication.v1"
ADJUDICATION_SCHEMA: Final = "urn:passerby:schema:adjudication:1"

LONGEST_VALIDITY_S: Final = 7 * 86_400
"""An order that holds longer is refused: a recorded one must not wait for its moment."""
_CLOCKS_APART_S = 300.0

Action = Literal["suspend", "resume", "end", "revoke"]
Verdict = Literal["confirmed", "rejected", "false alert", "confirmed false alert", "undetermined"]
"""What became of an alert (R22). "false alert": the verifiers found that it is another person.
"confirmed false alert": established with the person concerned. "rejected": not worth acting on."""
Reason = Annotated[str, Meta(min_length=1, max_length=200)]
ReferenceId = Annotated[str, Meta(min_length=1, max_length=128)]


class CommandData(Struct, frozen=True, forbid_unknown_fields=True):
    """What a device shall do.

    suspend: compare nothing until "resume". end: compare nothing ever again and erase the
    watchlist. revoke: stop looking for `reference_id`, which only this action names. reason: for
    the audit log and the status of the device, a sentence without a name.
    """

    device: Source
    sequence: Sequence
    expires_at: Time
    action: Action
    reason: Reason
    reference_id: ReferenceId | None = None


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """A command as a CloudEvents 1.0 event. time: when it was given. source: the desk."""

    id: Uuid
    source: DeskSource
    time: Time
    data: CommandData
    specversion: Literal["1.0"] = "1.0"
    type: Literal["passerby.command.v1"] = COMMAND_TYPE
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:passerby:schema:command:1"] = COMMAND_SCHEMA


class AdjudicationData(Struct, frozen=True, forbid_unknown_fields=True):
    """What two verifiers found of an alert of this device, for its stop rule (R32)."""

    device: Source
    sequence: Sequence
    expires_at: Time
    alert: Uuid
    outcome: Verdict


class Adjudication(Struct, frozen=True, forbid_unknown_fields=True):
    """An adjudication as a CloudEvents 1.0 event. time: when it was made. source: the desk."""

    id: Uuid
    source: DeskSource
    time: Time
    data: AdjudicationData
    specversion: Literal["1.0"] = "1.0"
    type: Literal["passerby.adjudication.v1"] = ADJUDICATION_TYPE
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:passerby:schema:adjudication:1"] = ADJUDICATION_SCHEMA


Order = Command | Adjudication


def check_order(order: Order) -> None:
    """Raise MessageError when an order contradicts itself."""
    data = order.data
    if isinstance(data, CommandData) and (data.action == "revoke") != (
        data.reference_id is not None
    ):
        raise MessageError("Only a revocation names a reference, and it must name one.")
    try:
        valid_s = (utc_ns(data.expires_at) - utc_ns(order.time)) / 1e9
    except ValueError as error:
        raise MessageError("An order has a time that there is not.") from error
    if not 0 < valid_s <= LONGEST_VALIDITY_S:
        raise MessageError("An order must hold for some time, and for a week at most.")


@dataclass(frozen=True, slots=True)
class OrderBook:
    """The newest order that one device has obeyed. Immutable: `after` gives the next book."""

    device: str
    sequence: int = 0

    def check(self, order: Order, now_ns: int) -> int:
        """Return how many orders are missing before this one; raise when it must do nothing.

        now_ns: wall clock. Raises MisaddressedError, ReplayedError, ExpiredError.
        """
        data = order.data
        if data.device != self.device:
            raise MisaddressedError("An order is for another device.")
        if data.sequence <= self.sequence:
            raise ReplayedError("An order was already obeyed, or is older than one that was.")
        if now_ns >= utc_ns(data.expires_at):
            raise ExpiredError("An order came too late; the desk must give it again.")
        if now_ns < utc_ns(order.time) - int(_CLOCKS_APART_S * 1e9):
            raise ExpiredError("An order is from the future: check the clock of this device.")
        return data.sequence - self.sequence - 1

    def after(self, order: Order) -> "OrderBook":
        """Return the book once this order has been obeyed."""
        return OrderBook(self.device, order.data.sequence)
