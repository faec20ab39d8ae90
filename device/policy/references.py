"""Which references of an open list may be compared (R7, R8). Rules only.

A reference is compared as long as it is neither revoked, nor expired, nor overdue for review. It
leaves the list for good when it is revoked or expires; an overdue one comes back once the desk has
reviewed it and published the list again.
"""

from collections.abc import Collection, Iterable
from typing import Literal, Protocol

from device.protocol.identifiers import utc_ns

State = Literal["comparable", "overdue", "expired", "revoked"]


class Listed(Protocol):
    """What an entry of an open list says of itself; times as in messages."""

    @property
    def reference_id(self) -> str:
        """Opaque id."""

    @property
    def expires_at(self) -> str:
        """From then on it is not compared and not held."""

    @property
    def review_at(self) -> str:
        """From then on it is not compared until it was reviewed."""


def state_of(entry: Listed, revoked: Collection[str], now_ns: int) -> State:
    """Return what may be done with one reference. revoked: reference ids. now_ns: wall clock."""
    if entry.reference_id in revoked:
        return "revoked"
    if now_ns >= utc_ns(entry.expires_at):
        return "expired"
    return "overdue" if now_ns >= utc_ns(entry.review_at) else "comparable"


def states(entries: Iterable[Listed], revoked: Collection[str], now_ns: int) -> dict[str, State]:
    """Return the state of every reference, by its id."""
    revoked = frozenset(revoked)
    return {entry.reference_id: state_of(entry, revoked, now_ns) for entry in entries}


def counts(found: dict[str, State]) -> tuple[int, int]:
    """Return how many references are held, and how many of those are comparable."""
    held = sum(state in ("comparable", "overdue") for state in found.values())
    return held, sum(state == "comparable" for state in found.values())
