"""`Store`: one batch of decisions, one transaction. What `take` has returned for is on the disk.

An alert, a dummy and a damaged letter all write the same row, the time at which the device was last
heard, so that nobody can tell them apart by when their receipt comes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from tools.desk.gateway.bundles import note_bundle
from tools.desk.gateway.database import Database
from tools.desk.gateway.intake import Asked, Damaged, Decision, Device, Dummy, Letter, Report
from tools.desk.gateway.statuses import Known, is_news, is_replay
from tools.desk.gateway.tables import alerts, checkpoints, devices, orders, statuses


@dataclass(frozen=True, slots=True)
class Taken:
    """What a batch changed. fresh: letters that were new. online: devices that now report online.

    replayed: statuses that were older than what is known.
    """

    fresh: int
    online: tuple[str, ...]
    replayed: tuple[str, ...]

    def plus(self, other: "Taken") -> "Taken":
        """Return what two batches changed together."""
        return Taken(
            self.fresh + other.fresh, self.online + other.online, self.replayed + other.replayed
        )


class Store:
    """What the gateway's worker asks of the database. Every method raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, sources: Iterable[str | None]) -> Mapping[str, Device]:
        """Return what is known of these devices, by source."""
        wanted = sorted({source for source in sources if source is not None})
        columns = (devices.c.source, devices.c.public_keys, devices.c.revoked_at)
        with self._database.reading() as connection:
            rows = connection.execute(select(*columns).where(devices.c.source.in_(wanted)))
            return {
                row.source: Device(row.source, row.public_keys, bool(row.revoked_at))
                for row in rows
            }

    def take(self, decisions: Sequence[Decision], now: str) -> Taken:
        """Write a batch. now: RFC 3339 time."""
        # Always in the same order, so that two gateways do not wait for each other.
        heard = sorted(
            {
                d.source
                for d in decisions
                if isinstance(d, Letter | Damaged | Dummy | Report | Asked)
            }
        )
        if not heard:
            return Taken(0, (), ())
        letters = sorted(
            (d for d in decisions if isinstance(d, Letter)), key=lambda one: (one.source, one.id)
        )
        with self._database.writing() as connection:
            connection.execute(
                update(devices).where(devices.c.source == bindparam("of")).values(last_seen=now),
                [{"of": source} for source in heard],
            )
            fresh = sum(self._keep(connection, letter, now) for letter in letters)
            online, replayed = [], []
            for report in (d for d in decisions if isinstance(d, Report)):
                known = _known_status(connection, report.source)
                if is_news(report.status, known):
                    _replace_status(connection, report, known, now)
                    self._note_checkpoint(connection, report, now)
                    note_bundle(connection, report.source, report.status.data, now)
                    if report.status.data.link == "online":
                        online.append(report.source)
                elif is_replay(report.status, known):
                    replayed.append(report.source)
        return Taken(fresh, tuple(online), tuple(replayed))

    def _note_checkpoint(self, connection: Connection, report: Report, now: str) -> None:
        checkpoint = report.status.data.checkpoint
        if checkpoint is not None:
            row = {"source": report.source, "checkpoint": checkpoint, "received_at": now}
            connection.execute(self._database.insert_or_ignore(checkpoints), row)

    def _keep(self, connection: Connection, letter: Letter, now: str) -> bool:
        row = {
            "source": letter.source,
            "id": letter.id,
            "kind": letter.kind,
            "epoch": letter.epoch,
            "sequence": letter.sequence,
            "digest": letter.digest,
            "captured_at": letter.captured_at,
            "received_at": now,
            "delayed": letter.delayed,
            "event": letter.event,
        }
        return bool(connection.execute(self._database.insert_or_ignore(alerts), row).rowcount > 0)


def _known_status(connection: Connection, source: str) -> Known | None:
    row = connection.execute(
        select(statuses.c.id, statuses.c.floor, statuses.c.connection, statuses.c.link).where(
            statuses.c.source == source
        )
    ).first()
    return Known(row.id, row.floor, row.connection, row.link) if row is not None else None


def _replace_status(connection: Connection, report: Report, known: Known | None, now: str) -> None:
    status = report.status
    row = {
        "id": status.id,
        "floor": max(status.time, known.floor if known is not None else status.time),
        "received_at": now,
        "connection": status.data.connection,
        "link": status.data.link,
        "state": status.data.state,
        "last_order": status.data.last_order,
        "event": report.event,
    }
    if known is None:
        connection.execute(statuses.insert(), {"source": report.source, **row})
    else:
        connection.execute(update(statuses).where(statuses.c.source == report.source), row)
    if status.data.last_order is not None:
        _note_obeyed(connection, report.source, status.data.last_order, now)


def _note_obeyed(connection: Connection, source: str, last_order: str, now: str) -> None:
    """Note what a device has obeyed. Older orders can no longer be: it would refuse them."""
    sequence = connection.execute(
        select(orders.c.sequence).where(orders.c.id == last_order, orders.c.source == source)
    ).scalar()
    if sequence is None:
        return
    open_orders = (orders.c.source == source, orders.c.obeyed_at.is_(None))
    connection.execute(
        update(orders).where(*open_orders, orders.c.id == last_order).values(obeyed_at=now)
    )
    connection.execute(
        update(orders)
        .where(*open_orders, orders.c.overtaken_at.is_(None), orders.c.sequence < sequence)
        .values(overtaken_at=now)
    )
