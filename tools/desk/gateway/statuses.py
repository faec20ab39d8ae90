"""Which status is news. Rules only.

A status is believed when its time is later than any that was believed before: a broker that replays
an old one changes nothing. A will was written when the connection was made, so its time is old; it
is believed when it belongs to the very connection that the device last reported over, once. What
comes from the future is not believed: nothing later would be, until that time has come.
"""

from dataclasses import dataclass

from device.protocol.identifiers import utc_text
from device.protocol.status import Status

_AHEAD_NS = 300_000_000_000
"""Clocks differ; one that is further ahead is wrong."""


@dataclass(frozen=True, slots=True)
class Known:
    """The newest status of a device. floor: the latest time that was believed."""

    id: str
    floor: str
    connection: str | None
    link: str


def is_will(status: Status, known: Known) -> bool:
    """Return whether a status says how the last known connection ended."""
    return (
        status.data.link == "offline"
        and known.link == "online"
        and status.data.connection is not None
        and status.data.connection == known.connection
    )


def is_premature(status: Status, now_ns: int) -> bool:
    """Return whether a status was written by a clock that is wrong."""
    return status.time > utc_text(now_ns + _AHEAD_NS)


def is_news(status: Status, known: Known | None) -> bool:
    """Return whether a status replaces the one that is known."""
    if known is None:
        return True
    if status.id == known.id:
        return False
    return status.time > known.floor or is_will(status, known)


def is_replay(status: Status, known: Known | None) -> bool:
    """Return whether a status is an old one, other than the retained copy of the newest."""
    return known is not None and status.id != known.id and not is_news(status, known)
