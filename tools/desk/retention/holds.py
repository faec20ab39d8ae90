"""`Holds`: evidential holds, the only thing that keeps an alert beyond its time (R26).

A hold has a case number, an approver and an end; without any of the three nothing is held. It ends
by itself. Then, or once it is released, the gateway erases the alert like every other (R25).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection, Row, insert, select, update

from device.errors import ConfigurationError
from device.protocol.identifiers import utc_text
from tools.desk.gateway.database import Database
from tools.desk.gateway.tables import alerts, holds

_CASE: Final = re.compile(r"(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9 ./_-]{2,63}\Z")
_NAME: Final = re.compile(r"(?=.*[^\W\d_]).{2,200}\Z")
_HOUR_NS: Final = 3600 * 10**9

State = Literal["in force", "ended", "released"]
Note = Callable[["Hold"], None]
"""Called before a change is committed; when it raises, nothing changes."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold. number: its own. alert: the alert's id. kept: whether its content is here."""

    number: int
    alert: str
    source: str
    case_number: str
    approver: str
    held_at: str
    until_at: str
    released_at: str | None
    kept: bool

    def state(self, now: str) -> State:
        """Return whether it still holds at a time (RFC 3339)."""
        if self.released_at is not None:
            return "released"
        return "in force" if self.until_at > now else "ended"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a hold needs (R26). until_ns: its end, UTC since 1970."""

    case_number: str
    approver: str
    until_ns: int


def check_terms(terms: Terms, now_ns: int, longest_h: float) -> None:
    """Raise ConfigurationError unless a hold has all that it needs. longest_h: of the schedule."""
    if not _CASE.fullmatch(terms.case_number):
        raise ConfigurationError(
            "A hold needs the number of a case: letters, digits, dashes, and a digit at least "
            "(R26)."
        )
    if not _NAME.fullmatch(terms.approver.strip()):
        raise ConfigurationError("A hold needs the name or office of who approved it (R26).")
    if terms.until_ns <= now_ns:
        raise ConfigurationError("A hold needs an end that is still to come (R26).")
    if terms.until_ns - now_ns > int(longest_h * _HOUR_NS):
        raise ConfigurationError(
            f"A hold lasts {longest_h / 24:g} days at most (retention schedule, alerts_held): "
            "choose an earlier end, and decide anew when it comes."
        )


def _nothing(hold: "Hold") -> None:
    """Note nothing."""
    del hold


class Holds:
    """The holds in the desk's database. Every method raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(  # noqa: PLR0913 - whose hold, until when, and who is told
        self,
        alert: str,
        terms: Terms,
        *,
        now_ns: int,
        longest_h: float,
        source: str | None = None,
        note: Note = _nothing,
    ) -> Hold:
        """Hold an alert. source: of its device, where two devices have an alert of that id.

        Raises ConfigurationError: something is missing, or the alert's content is not here.
        """
        check_terms(terms, now_ns, longest_h)
        with self._database.writing() as connection:
            number = _locked_alert(connection, alert, source)
            row = {
                "alert": number,
                "case_number": terms.case_number,
                "approver": terms.approver.strip(),
                "until_at": utc_text(terms.until_ns),
                "held_at": utc_text(now_ns),
            }
            made = connection.execute(insert(holds).values(row)).inserted_primary_key
            hold = _one(connection, int(made[0]) if made else 0)
            note(hold)
        return hold

    def release(self, number: int, *, now_ns: int, note: Note = _nothing) -> Hold:
        """End a hold before its time; the gateway erases the alert when it is old enough.

        Raises ConfigurationError when there is no such hold in force.
        """
        now = utc_text(now_ns)
        with self._database.writing() as connection:
            done = connection.execute(
                update(holds)
                .where(
                    holds.c.number == number, holds.c.released_at.is_(None), holds.c.until_at > now
                )
                .values(released_at=now)
            )
            if not done.rowcount:
                raise ConfigurationError(
                    f"Hold {number} is not in force: `passerby-desk hold list` shows all."
                )
            hold = _one(connection, number)
            note(hold)
        return hold

    def listing(self) -> list[Hold]:
        """Return all holds, the oldest first."""
        with self._database.reading() as connection:
            return [_hold(row) for row in connection.execute(_QUERY.order_by(holds.c.number))]


_QUERY = select(
    holds,
    alerts.c.id.label("alert_id"),
    alerts.c.source,
    alerts.c.event.is_not(None).label("kept"),
).join(alerts, alerts.c.number == holds.c.alert)


def _locked_alert(connection: Connection, alert: str, source: str | None) -> int:
    """Return the row number of an alert that has its content, locked against being erased."""
    where = [alerts.c.id == alert, alerts.c.kind == "alert"]
    if source is not None:
        where.append(alerts.c.source == source)
    rows = connection.execute(
        select(alerts.c.number, alerts.c.source, alerts.c.event).where(*where).with_for_update()
    ).all()
    if not rows:
        raise ConfigurationError(f"There is no alert {alert} at this desk: is the id complete?")
    if len(rows) > 1:
        raise ConfigurationError(f"Two devices have an alert {alert}: name one with --device.")
    if rows[0].event is None:
        raise ConfigurationError(
            f"The content of alert {alert} was erased in time; there is nothing left to hold."
        )
    return int(rows[0].number)


def _one(connection: Connection, number: int) -> Hold:
    return _hold(connection.execute(_QUERY.where(holds.c.number == number)).one())


def _hold(row: Row[tuple[object, ...]]) -> Hold:
    return Hold(
        row.number,
        row.alert_id,
        row.source,
        row.case_number,
        row.approver,
        row.held_at,
        row.until_at,
        row.released_at,
        bool(row.kept),
    )
