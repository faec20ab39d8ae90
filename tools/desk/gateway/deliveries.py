"""What arrived of each device, and what did not: gaps in its numbers, new epochs, what waits.

These counts stay at the desk: nothing here goes over a wire (R45).
"""

from collections import defaultdict
from dataclasses import dataclass, field

from sqlalchemy import Connection, exists, func, select

from device.protocol.status import decode_status
from tools.desk.gateway.database import Database
from tools.desk.gateway.tables import alerts, devices, emissions, held, lanes, statuses

_NOT_TARGETS = ("orders", "bundle")


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """Numbers that never came, from the first to the last. since: when the next one came."""

    epoch: str
    first: int
    last: int
    since: str

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(slots=True)
class Delivery:
    """One device. newest: highest number of the newest epoch. epochs: lives of its outbox.

    unemitted: events that a target has not got, by target. slowed: which step a device that does
    less than it could is at, as "2 of 4"; None at full effort, or where it says nothing of it.
    """

    source: str
    fingerprint_keys: str
    revoked_at: str | None
    last_seen: str | None
    link: str | None
    state: str | None
    newest: int | None = None
    epochs: int = 0
    gaps: list[Gap] = field(default_factory=list)
    unemitted: dict[str, int] = field(default_factory=dict)
    slowed: str | None = None


def deliveries(database: Database) -> list[Delivery]:
    """Return all devices. Raises StorageError."""
    with database.reading() as connection:
        found = {row.source: row for row in _devices(connection)}
        for source, epoch, newest in _epochs(connection):
            # Ordered by epoch: the last one is the newest.
            found[source].newest, found[source].epochs = newest, found[source].epochs + bool(epoch)
        for source, gaps in _gaps(connection).items():
            found[source].gaps = gaps
        for source, target, count in _unemitted(connection):
            found[source].unemitted[target] = count
    return list(found.values())


def open_gaps(database: Database) -> dict[str, list[Gap]]:
    """Return the gaps of each device that has any. Raises StorageError."""
    with database.reading() as connection:
        return _gaps(connection)


def _devices(connection: Connection) -> list[Delivery]:
    rows = connection.execute(
        select(devices, statuses.c.link, statuses.c.state, statuses.c.event)
        .outerjoin(statuses, statuses.c.source == devices.c.source)
        .order_by(devices.c.source)
    )
    return [
        Delivery(
            row.source,
            row.public_keys,
            row.revoked_at,
            row.last_seen,
            row.link,
            row.state,
            slowed=_slowed(row.event),
        )
        for row in rows
    ]


def _slowed(event: str | None) -> str | None:
    """Return the step that a status, as it was stored, says its device is at; None at step 0."""
    pace = None if event is None else decode_status(event.encode()).data.pace
    return f"{pace.step} of {pace.of}" if pace is not None and pace.step else None


def _epochs(connection: Connection) -> list[tuple[str, str, int]]:
    rows = connection.execute(
        select(alerts.c.source, alerts.c.epoch, func.max(alerts.c.sequence))
        .where(alerts.c.sequence.is_not(None))
        .group_by(alerts.c.source, alerts.c.epoch)
        .order_by(alerts.c.source, alerts.c.epoch)
    )
    return [(source, epoch, newest) for source, epoch, newest in rows]


def _gaps(connection: Connection) -> dict[str, list[Gap]]:
    before = func.lag(alerts.c.sequence, 1, 0).over(
        partition_by=(alerts.c.source, alerts.c.epoch), order_by=alerts.c.sequence
    )
    numbered = (
        select(
            alerts.c.source,
            alerts.c.epoch,
            alerts.c.sequence,
            alerts.c.received_at,
            before.label("before"),
        )
        .where(alerts.c.sequence.is_not(None))
        .subquery()
    )
    rows = connection.execute(
        select(numbered)
        .where(numbered.c.sequence - numbered.c.before > 1)
        .order_by(numbered.c.source, numbered.c.epoch, numbered.c.sequence)
    )
    gaps: dict[str, list[Gap]] = defaultdict(list)
    for row in rows:
        gaps[row.source].append(Gap(row.epoch, row.before + 1, row.sequence - 1, row.received_at))
    return dict(gaps)


def _unemitted(connection: Connection) -> list[tuple[str, str, int]]:
    arrived = exists().where(
        emissions.c.alert == alerts.c.number, emissions.c.target == lanes.c.target
    )
    rows = connection.execute(
        select(alerts.c.source, lanes.c.target, func.count())
        .join(lanes, lanes.c.source == alerts.c.source)
        .where(held, lanes.c.target.not_in(_NOT_TARGETS), ~arrived)
        .group_by(alerts.c.source, lanes.c.target)
    )
    return [(source, target, count) for source, target, count in rows]
