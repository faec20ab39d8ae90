"""Arming: every reason why nothing may be compared, each in one sentence."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """What arming depends on.

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
