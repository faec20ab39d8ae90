"""Erasing: what an alert says goes after its time, what proves that it was here stays (R25).

The time counts from arrival, so that an alert that waited long on its device is still seen by
somebody; the device has its own limit. Nothing is kept beyond it, not even what could not be
emitted: that is a loss, and said as one.
"""

import logging
from collections.abc import Sequence

from sqlalchemy import Connection, delete, exists, func, not_, select, update

from device.protocol.identifiers import utc_text
from tools.desk.gateway.database import Database
from tools.desk.gateway.tables import alerts, emissions, held

log = logging.getLogger(__name__)


def erase_old(database: Database, now_ns: int, hours: float, targets: Sequence[str]) -> int:
    """Erase the content of alerts and records; return how many. targets: who should have them.

    Raises StorageError.
    """
    before = utc_text(now_ns - int(hours * 3600e9))
    old = (held, alerts.c.received_at < before)
    with database.writing() as connection:
        unseen = _without(connection, old, targets)
        numbers = select(alerts.c.number).where(*old)
        connection.execute(delete(emissions).where(emissions.c.alert.in_(numbers)))
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
