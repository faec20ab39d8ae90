"""`Standing`: what the desk has ordered of this device, over restarts. Rules only: no file.

Suspended, ended and revoked stay so through a power cut; a resume lifts a suspension only.
"""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from device.protocol.order import AdjudicationData, Order, OrderBook

_OUTCOMES_KEPT = 1000


class Standing(Struct, frozen=True, forbid_unknown_fields=True):
    """The orders in force.

    sequence: of the newest order. last_order: its id. suspended, ended: the reason given, or null.
    record_owed: the end was not answered with the deployment's record yet.
    revoked: references that are no longer looked for. outcomes: what verifiers found of the newest
    alerts, by the alert's id, for the stop rule.
    """

    sequence: int = 0
    last_order: str | None = None
    suspended: str | None = None
    ended: str | None = None
    record_owed: bool = False
    revoked: tuple[str, ...] = ()
    outcomes: dict[str, str] = {}

    def book(self, device: str) -> OrderBook:
        """Return the rule that the next order must pass."""
        return OrderBook(device, self.sequence)

    def obeyed(self, order: Order) -> "Standing":
        """Return what is in force once an order was obeyed. The order has passed `book`."""
        data = order.data
        changed = msgspec.structs.replace(self, sequence=data.sequence, last_order=order.id)
        if isinstance(data, AdjudicationData):
            outcomes = {**self.outcomes, data.alert: data.outcome}
            newest = dict(list(outcomes.items())[-_OUTCOMES_KEPT:])
            return msgspec.structs.replace(changed, outcomes=newest)
        return _EFFECTS[data.action](changed, data.reason, data.reference_id or "")

    def reasons(self) -> list[str]:
        """Return why nothing may be compared, in sentences."""
        found = []
        if self.ended is not None:
            found.append(f"The desk has ended this deployment ({self.ended.rstrip('.')}).")
        if self.suspended is not None:
            found.append(
                f"The desk has suspended this device ({self.suspended.rstrip('.')}); only the desk "
                "can resume it."
            )
        return found


def _suspend(standing: Standing, reason: str, _reference: str) -> Standing:
    return msgspec.structs.replace(standing, suspended=reason)


def _resume(standing: Standing, _reason: str, _reference: str) -> Standing:
    return msgspec.structs.replace(standing, suspended=None)


def _end(standing: Standing, reason: str, _reference: str) -> Standing:
    return msgspec.structs.replace(standing, ended=reason, record_owed=True)


def _revoke(standing: Standing, _reason: str, reference: str) -> Standing:
    revoked = tuple(sorted({*standing.revoked, reference}))
    return msgspec.structs.replace(standing, revoked=revoked)


_EFFECTS: dict[str, Callable[[Standing, str, str], Standing]] = {
    "suspend": _suspend,
    "resume": _resume,
    "end": _end,
    "revoke": _revoke,
}
