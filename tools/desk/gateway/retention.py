"""Erasing: what an alert says goes after its time, what proves that it was here stays (R25).

The time counts from arrival, so that an alert that waited long on its device is still seen by
somebody; the device has its own limit. Nothing is kept beyond it, not even what could not be
emitted: that is a loss, and said as one. The only exception is an evidential hold, while it lasts
(R26, `tools.desk.retention.holds`).
"""

import logging
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, exists, func, not_, select, update

from device.protocol.identifiers import utc_text
from tools.desk.gateway.database import Database
from tools.desk.gateway.tables import alerts, emissions, held, holds

log = logging.getLogger(__name__)


def erase_old(database: Database, now_ns: int, hours: float, targets: Sequence[str]) -> int:
    """Erase the content of alerts and records; return how many. targets: who should have them.

    Raises StorageError.
    """
    now, before = utc_text(now_ns), utc_text(now_ns - int(hours * 3600e9))
    old = (held, alerts.c.received_at < before, not_(in_force(now)))
    with database.writing() as connection:
        # A hold that is being made locks its alert too: either it comes first and is seen below, or
        # it finds the content gone and says so.
        locked = select(alerts.c.number).where(*old).order_by(alerts.c.number).with_for_update()
        connection.execute(locked).all()
        unseen = _without(connection, old, targets)
        numbers = select(alerts.c.number).where(*old)
        connection.execute(delete(emissions).where(emissions.c.alert.in_(numbers)))
        ended = (holds.c.alert.in_(numbers), holds.c.erased_at.is_(None))
        connection.execute(update(holds).where(*ended).values(erased_at=now))
        erased = connection.execute(update(alerts).where(*old).values(event=None)).rowcount
    for source, missing in unseen.items():
        log.error(
            "ALARM: %d alerts of %s were erased after %g hours and never reached %s. Look at the "
            "targets in [emit].",
            missing,
            source,
            hours,
            " and ".join(targets),
        )
    return int(erased)


def in_force(now: str) -> ColumnElement[bool]:
    """Whether a hold keeps an alert from being erased at a time (RFC 3339)."""
    return exists().where(
        holds.c.alert == alerts.c.number, holds.c.released_at.is_(None), holds.c.until_at > now
    )


def _without(
    connection: Connection, old: tuple[object, ...], targets: Sequence[str]
) -> dict[str, int]:
    """Return by device how many of the old were not emitted to some target."""
    missing: dict[str, int] = {}
    for target in targets:
        arrived = exists().where(emissions.c.alert == alerts.c.number, emissions.c.target == target)
        rows = connection.execute(
            select(alerts.c.source, func.count())
            .where(*old, not_(arrived))  # type: ignore[arg-type]
            .group_by(alerts.c.source)
        )
        for source, count in rows:
            missing[source] = max(missing.get(source, 0), count)
    return missing
