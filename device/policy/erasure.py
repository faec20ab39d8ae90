"""When a watchlist must be erased (R8, R24, R54). Rules only; `device.erasure` does it.

A list is to be erased, by the first of these that holds:
 1. the desk has ended the deployment, at a known time;
 2. the pilot has ended;
 3. the last time window has closed, and the hours that the authorisation allows after it are over;
 4. none of its references may be held any longer: each is revoked or expired.

Which time decides. While the clock is trusted, its time does. While it is not, the floor alone
does: true time is never below it, so that a deadline which the floor has passed has truly passed.
A device that wakes up after the end with a clock that nobody confirms keeps the list shut and
compares nothing; it erases as soon as floor or clock say that the end has come. A floor that was
raised wrongly (a clock that ran ahead while it was trusted) erases too early: the desk can publish
a list again, and cannot take one back that stayed too long.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from device.policy.standing import Standing
from device.protocol.alert import ListVersion
from device.protocol.authorisation import LONGEST_RETENTION_H, Authorisation
from device.protocol.event import Sha256, Time, Uuid
from device.protocol.identifiers import utc_ns, utc_text

_HOUR_NS = 3600 * 10**9


class Deadline(Struct, frozen=True, forbid_unknown_fields=True):
    """By when a list is to be erased, kept beside it.

    It is read where the bundle can no longer be verified: a device that was off for weeks has one
    that has expired, and must erase its list all the same. erase_at: earliest rule of time.
    """

    deployment: Uuid
    watchlist: ListVersion
    signed_at: Time
    erase_at: Time
    sealed_sha256: Sha256 | None
    kind: Annotated[str, Meta(pattern=r"^passerby deadline 1\Z")] = "passerby deadline 1"

    @classmethod
    def of(cls, authorisation: Authorisation, sealed_sha256: str | None) -> "Deadline":
        """Return the deadline of an authorised list. sealed_sha256: of its ciphertext."""
        return cls(
            authorisation.deployment,
            authorisation.watchlist,
            authorisation.signed_at,
            utc_text(deadline_ns(authorisation)),
            sealed_sha256,
        )


def certain_ns(wall_ns: int, floor_ns: int, *, believed: bool) -> int:
    """Return the time that has surely passed: the clock's while it is believed, else the floor."""
    return max(wall_ns, floor_ns) if believed else floor_ns


def deadline_ns(authorisation: Authorisation) -> int:
    """Return when time alone ends the list, UTC since 1970 (R24, R54)."""
    hours = min(authorisation.retention.watchlist_h, LONGEST_RETENTION_H)
    after_windows_ns = authorisation.ends_ns + int(hours * _HOUR_NS)
    return min(after_windows_ns, utc_ns(authorisation.pilot_ends_at))


def due(
    authorisation: Authorisation | None,
    standing: Standing,
    time_ns: int,
    *,
    held: int | None = None,
) -> str | None:
    """Return why a list is to be erased now, in a sentence, or None.

    time_ns: of `certain_ns`. held: references that are neither revoked nor expired, None while the
    list is not open.
    """
    if authorisation is None:
        return None
    ordered = standing.end_that_erases(authorisation.signed_at)
    if ordered is not None:
        return ordered
    if time_ns >= utc_ns(authorisation.pilot_ends_at):
        return "The pilot has ended."
    if time_ns >= deadline_ns(authorisation):
        return "The deployment has ended: its last time window has closed."
    if held == 0:
        return "Every reference on the list was revoked or has expired."
    return None


def due_unverified(deadline: Deadline, standing: Standing, time_ns: int) -> str | None:
    """Return why a list is to be erased whose bundle cannot be verified any more, or None."""
    ordered = standing.end_that_erases(deadline.signed_at)
    if ordered is not None:
        return ordered
    if time_ns >= utc_ns(deadline.erase_at):
        return "The deployment has ended: its last time window has closed."
    return None


def decode_deadline(content: bytes) -> Deadline | None:
    """Return a deadline, or None where it is damaged."""
    try:
        found = msgspec.json.decode(content, type=Deadline)
        for time in (found.erase_at, found.signed_at):
            utc_ns(time)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found
