"""`Backlog`: which events a target has not got yet, device by device, in order.

A *lane* is one device's events to one target. On PostgreSQL a lane is taken with FOR UPDATE SKIP
LOCKED, so that gateways side by side do not emit the same events and keep each device's order.
SQLite has one gateway and needs no lock.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select

from tools.desk.gateway.database import Database
from tools.desk.gateway.tables import alerts, devices, emissions, held, lanes, shown, statuses
from tools.desk.gateway.targets import Emission

_BATCH = 32
_NO_EPOCH = ""
"""Records have no number; they go first."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that a target has not got. number: of the alert's row; None: a status."""

    emission: Emission
    number: int | None


class Backlog:
    """The un-emitted events of one target. Every method raises StorageError."""

    def __init__(self, database: Database, target: str) -> None:
        self._database = database
        self._target = target
        self._made: set[str] = set()
        self._floor = 0
        """All alerts up to this number have arrived: they are not looked at again."""

    def sources(self) -> list[str]:
        """Return the devices that have something for this target."""
        if self._database.is_sqlite:
            # Numbers come in the order of commits here; on PostgreSQL a lower one may come later.
            self._raise_floor()
        letters = exists().where(alerts.c.source == devices.c.source, self._open())
        status = exists().where(statuses.c.source == devices.c.source, ~self._shown())
        query = select(devices.c.source).where(or_(letters, status)).order_by(devices.c.source)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    @contextmanager
    def lane(self, source: str) -> Iterator[Sequence[Waiting]]:
        """Hold one device's lane and give its first events; none while another gateway holds it."""
        self._make_lane(source)
        if self._database.is_sqlite:
            # A reader that stays open while a webhook hangs would hold up the write-ahead log.
            with self._database.reading() as connection:
                waiting = self._waiting(connection, source)
            yield waiting
            return
        lock = select(lanes.c.source).where(self._lane(source)).with_for_update(skip_locked=True)
        with self._database.reading() as connection:
            mine = connection.execute(lock).first() is not None
            yield self._waiting(connection, source) if mine else []

    def emitted(self, done: Sequence[Waiting], now: str) -> None:
        """Note that these have arrived."""
        with self._database.writing() as connection:
            for one in done:
                if one.number is None:
                    self._note_shown(connection, one.emission)
                    continue
                row = {"alert": one.number, "target": self._target, "emitted_at": now}
                connection.execute(self._database.insert_or_ignore(emissions), row)

    def _waiting(self, connection: Connection, source: str) -> list[Waiting]:
        letters = connection.execute(
            select(alerts.c.number, alerts.c.kind, alerts.c.id, alerts.c.event)
            .where(alerts.c.source == source, self._open())
            .order_by(func.coalesce(alerts.c.epoch, _NO_EPOCH), alerts.c.sequence, alerts.c.number)
            .limit(_BATCH)
        )
        waiting = [
            Waiting(Emission(row.kind, source, row.id, row.event), row.number) for row in letters
        ]
        status = connection.execute(
            select(statuses.c.id, statuses.c.event).where(
                statuses.c.source == source, ~self._shown()
            )
        ).first()
        if status is not None:
            waiting.append(Waiting(Emission("status", source, status.id, status.event), None))
        return waiting

    def _make_lane(self, source: str) -> None:
        if source in self._made:
            return
        row = {"source": source, "target": self._target}
        with self._database.writing() as connection:
            connection.execute(self._database.insert_or_ignore(lanes), row)
        self._made.add(source)

    def _note_shown(self, connection: Connection, emission: Emission) -> None:
        where = (shown.c.source == emission.source, shown.c.target == self._target)
        connection.execute(delete(shown).where(*where))
        row = {"source": emission.source, "target": self._target, "status": emission.id}
        connection.execute(self._database.insert_or_ignore(shown), row)

    def _raise_floor(self) -> None:
        numbers = select(alerts.c.number).order_by(alerts.c.number)
        with self._database.reading() as connection:
            # In this order: what is stored between the two questions must stay above the floor.
            newest = connection.execute(select(func.max(alerts.c.number))).scalar()
            first = connection.execute(numbers.where(self._open()).limit(1)).scalar()
        self._floor = newest or 0 if first is None else first - 1

    def _open(self) -> ColumnElement[bool]:
        return and_(alerts.c.number > self._floor, held, ~self._arrived())

    def _lane(self, source: str) -> ColumnElement[bool]:
        return and_(lanes.c.source == source, lanes.c.target == self._target)

    def _arrived(self) -> ColumnElement[bool]:
        return exists().where(
            emissions.c.alert == alerts.c.number, emissions.c.target == self._target
        )

    def _shown(self) -> ColumnElement[bool]:
        return exists().where(
            shown.c.source == statuses.c.source,
            shown.c.target == self._target,
            shown.c.status == statuses.c.id,
        )
