"""Arming: every reason why nothing may be compared, each in one sentence; and what may leave.

A deployment is armed by `reasons_not_to_arm`, over the conditions of `device.policy.conditions`. A
demonstration, and a search in stills, ask `reasons_not_to_compare`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from device.policy import conditions
from device.policy.erasure import certain_ns, due
from device.policy.situation import Situation
from device.protocol.authorisation import Authorisation
from device.protocol.identifiers import utc_ns

Leaving = Literal["nothing", "record", "alert"]
"""What becomes of a candidate. record: it is kept for evaluation, and nobody is engaged (R35)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a device does now.

    waiting: it keeps the list shut. ready: it may open it. armed: it compares. over: the list is to
    be erased; reasons then says why. next_change_ns: when time alone may change this, UTC since
    1970, or None where it does not: until then the waiting room may sleep, if nothing arrives.
    """

    state: Literal["waiting", "ready", "armed", "over"]
    reasons: tuple[str, ...]
    next_change_ns: int | None


def reasons_not_to_open(now: Situation) -> list[str]:
    """Return every reason why the list must stay shut; an empty list means that it may be opened.

    These are the conditions that can be judged without it: of the device and the authorisation.
    """
    found = [one.broken(now) for one in conditions.DEVICE]
    if now.authorisation is not None:
        found += [one.broken(now, now.authorisation) for one in conditions.AUTHORISATION]
    return [reason for reason in found if reason]


def reasons_not_to_arm(now: Situation) -> list[str]:
    """Return every reason why nothing may be compared; an empty list means armed."""
    found: list[str | None] = list(reasons_not_to_open(now))
    if now.authorisation is not None and now.opened is not None:
        asked = (now, now.authorisation, now.opened)
        found += [one.broken(*asked) for one in conditions.OPENED]
    elif not found:
        found = [now.lock_fault or "The list is not open yet: this takes some seconds."]
    return [reason for reason in found if reason]


def judge(now: Situation) -> Verdict:
    """Return what this device does now. The end of a deployment comes before everything else."""
    end = due(
        now.authorisation,
        now.standing,
        certain_ns(now.now_ns, now.floor_ns, believed=now.clock_fault is None),
        held=None if now.opened is None else now.opened.held,
    )
    if end is not None:
        return Verdict("over", (end,), None)
    reasons = tuple(reasons_not_to_arm(now))
    change = next_change_ns(now.authorisation, now.fresh_until_ns, now.now_ns)
    if not reasons:
        return Verdict("armed", (), change)
    ready = now.opened is None and not reasons_not_to_open(now)
    return Verdict("ready" if ready else "waiting", reasons, change)


def next_change_ns(
    authorisation: Authorisation | None, fresh_until_ns: int | None, now_ns: int
) -> int | None:
    """Return the next moment after now_ns at which time alone may change the verdict, or None."""
    moments = () if authorisation is None else _moments(authorisation, fresh_until_ns)
    return min((moment for moment in moments if moment > now_ns), default=None)


def what_leaves(now: Situation) -> Leaving:
    """Return what becomes of a candidate found now (R35): without an authorisation, nothing."""
    if now.authorisation is None or reasons_not_to_arm(now):
        return "nothing"
    return "alert" if now.authorisation.mode == "alerting" else "record"


def may_alert(now: Situation) -> bool:
    """Return whether a candidate found now may be put before people (R35)."""
    return what_leaves(now) == "alert"


def _moments(authorisation: Authorisation, fresh_until_ns: int | None) -> Iterator[int]:
    for window in authorisation.windows:
        yield utc_ns(window.begins_at)
        yield utc_ns(window.ends_at)
    yield utc_ns(authorisation.pilot_ends_at)
    if fresh_until_ns is not None:
        yield fresh_until_ns


@dataclass(frozen=True, slots=True)
class Facts:
    """What comparing depends on in a demonstration.

    signed: the list carries the signatures that R5 asks for. demonstration: the configuration
    says so. orders: of the desk, that forbid it, in sentences. storage_fault, camera_fault:
    sentences, or None.
    """

    signed: bool
    demonstration: bool
    orders: tuple[str, ...] = ()
    storage_fault: str | None = None
    camera_fault: str | None = None


def unsigned_refusal(*, signed: bool, demonstration: bool) -> str | None:
    """Return why this list may not be used, or None (R5)."""
    if signed or demonstration:
        return None
    return (
        "The watchlist is unsigned: only a demonstration may use it. Set demonstration = true in "
        "[device] for one, or load a signed list."
    )


def reasons_not_to_compare(facts: Facts) -> list[str]:
    """Return every reason; an empty list means armed."""
    refusal = unsigned_refusal(signed=facts.signed, demonstration=facts.demonstration)
    found = (refusal, *facts.orders, facts.storage_fault, facts.camera_fault)
    return [reason for reason in found if reason]
