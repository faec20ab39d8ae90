"""`Standing`: what the desk has ordered of this device, over restarts. Rules only: no file.

Suspended, ended and revoked stay so through a power cut. A resume lifts a suspension, the desk's
and the device's own (R32), and the stop rule counts anew from there. An end is lifted by nothing
but an authorisation that was signed after it: what was signed before never comes back.
"""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from device.protocol.event import Time
from device.protocol.identifiers import utc_ns
from device.protocol.order import AdjudicationData, CommandData, Order, OrderBook

_OUTCOMES_KEPT = 1000
_Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_FALSE = frozenset({"false alert", "confirmed false alert"})


class Standing(Struct, frozen=True, forbid_unknown_fields=True):
    """The orders in force.

    sequence: of the newest order. last_order: its id. suspended, ended: the reason given, or null.
    record_owed: the end was not answered with the deployment's record yet.
    revoked: references that are no longer looked for. outcomes: what verifiers found of the newest
    alerts, by the alert's id, for the stop rule. false_before: false alerts among those that are
    older. resumed: sequence of the newest resume, from which the stop rule counts. deployment: that
    is served. stopped: why this device has suspended itself, or null. ended_at: when the desk gave
    the end; null where 0.1.0 has kept it, which had no signed deployments. threshold_id: of the
    authorisation that is served. silent: it raises no alerts.
    """

    sequence: _Count = 0
    last_order: str | None = None
    suspended: str | None = None
    ended: str | None = None
    record_owed: bool = False
    revoked: tuple[str, ...] = ()
    outcomes: dict[str, str] = {}
    false_before: _Count = 0
    resumed: _Count = 0
    deployment: str | None = None
    stopped: str | None = None
    ended_at: Time | None = None
    threshold_id: str | None = None
    silent: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for a time that there is not, as in a damaged file."""
        if self.ended_at is not None:
            utc_ns(self.ended_at)

    def book(self, device: str) -> OrderBook:
        """Return the rule that the next order must pass."""
        return OrderBook(device, self.sequence)

    def obeyed(self, order: Order) -> "Standing":
        """Return what is in force once an order was obeyed. The order has passed `book`."""
        data = order.data
        changed = msgspec.structs.replace(self, sequence=data.sequence, last_order=order.id)
        if isinstance(data, AdjudicationData):
            return _with_outcome(changed, data)
        return _EFFECTS[data.action](changed, data, order.time)

    def serving(
        self, deployment: str, threshold_id: str | None = None, *, silent: bool = False
    ) -> "Standing":
        """Return what is in force once a list of this deployment is loaded.

        What was found of alerts counts for the deployment and the threshold that raised them: with
        another threshold, counting begins anew. A new version of the list under the same threshold
        goes on counting: else publishing often enough would lift the stop rule, and a finding that
        comes after the change would weigh against no face at all.
        """
        served = (deployment, threshold_id)
        if served == (self.deployment, self.threshold_id):
            return self if silent == self.silent else msgspec.structs.replace(self, silent=silent)
        return msgspec.structs.replace(
            self,
            deployment=deployment,
            threshold_id=threshold_id,
            silent=silent,
            outcomes={},
            false_before=0,
        )

    def suspended_itself(self, reason: str) -> "Standing":
        """Return what is in force once the stop rule has struck (R32); the first reason stays."""
        return msgspec.structs.replace(self, stopped=self.stopped or reason)

    @property
    def false_alerts(self) -> int:
        """Alerts that verifiers found to be of another person, since the last resume."""
        return self.false_before + sum(found in _FALSE for found in self.outcomes.values())

    def end_in_force(self, signed_at: str | None) -> str | None:
        """Return why the deployment is over, or None. signed_at: of its authorisation, if any."""
        if self.ended is None:
            return None
        if self.ended_at is None and signed_at is not None:
            return (
                f"The desk has ended what this device did before ({self.ended.rstrip('.')}), and "
                "when is not known here: the desk must give `end` once more, and then publish a "
                "list that was signed after it."
            )
        known = self.ended_at is not None and signed_at is not None
        if known and utc_ns(str(signed_at)) > utc_ns(str(self.ended_at)):
            return None
        return f"The desk has ended this deployment ({self.ended.rstrip('.')})."

    def end_that_erases(self, signed_at: str) -> str | None:
        """Return why a list is to be erased by the desk's end, or None.

        An end of unknown time only forbids comparing: it was given before this list was signed, or
        after it, and erasing every list that comes would be for ever.
        """
        return None if self.ended_at is None else self.end_in_force(signed_at)

    def suspension(self) -> str | None:
        """Return why the desk has suspended this device, or None."""
        if self.suspended is None:
            return None
        return (
            f"The desk has suspended this device ({self.suspended.rstrip('.')}); only the desk "
            "can resume it."
        )

    def reasons(self, signed_at: str | None = None) -> list[str]:
        """Return why nothing may be compared, in sentences."""
        found = (self.end_in_force(signed_at), self.suspension(), self.stopped)
        return [reason for reason in found if reason]


def _with_outcome(standing: Standing, data: AdjudicationData) -> Standing:
    """Keep what was found of an alert; of those that no longer fit, only the count of false ones.

    An alert's later finding replaces an earlier one. In silent mode nothing new is counted, as its
    faces are not: no alert is raised.
    """
    if standing.silent and data.alert not in standing.outcomes:
        return standing
    found = list({**standing.outcomes, data.alert: data.outcome}.items())
    older, newest = found[:-_OUTCOMES_KEPT], dict(found[-_OUTCOMES_KEPT:])
    before = standing.false_before + sum(outcome in _FALSE for _, outcome in older)
    return msgspec.structs.replace(standing, outcomes=newest, false_before=before)


def _suspend(standing: Standing, data: CommandData, _given_at: str) -> Standing:
    return msgspec.structs.replace(standing, suspended=data.reason)


def _resume(standing: Standing, data: CommandData, _given_at: str) -> Standing:
    return msgspec.structs.replace(
        standing,
        suspended=None,
        stopped=None,
        outcomes={},
        false_before=0,
        resumed=data.sequence,
    )


def _end(standing: Standing, data: CommandData, given_at: str) -> Standing:
    return msgspec.structs.replace(standing, ended=data.reason, ended_at=given_at, record_owed=True)


def _revoke(standing: Standing, data: CommandData, _given_at: str) -> Standing:
    revoked = tuple(sorted({*standing.revoked, data.reference_id or ""}))
    return msgspec.structs.replace(standing, revoked=revoked)


_EFFECTS: dict[str, Callable[[Standing, CommandData, str], Standing]] = {
    "suspend": _suspend,
    "resume": _resume,
    "end": _end,
    "revoke": _revoke,
}
