"""Leases: of several gateways one at a time does a piece of work for a device.

A lease is a row with a time, not a lock: it is free again soon after a gateway has died.
"""

from typing import Literal

from sqlalchemy import or_, update

from device.protocol.identifiers import utc_text
from tools.desk.gateway.database import Database
from tools.desk.gateway.tables import lanes

LEASE_NS = 15_000_000_000
Lane = Literal["orders", "bundle"]


def take_lease(database: Database, source: str, lane: Lane, holder: str, now_ns: int) -> bool:
    """Take or renew the lease on a device's lane; False while another gateway holds it.

    holder: names this gateway. Raises StorageError.
    """
    now, until = utc_text(now_ns), utc_text(now_ns + LEASE_NS)
    row = {"source": source, "target": lane}
    free = or_(lanes.c.holder.is_(None), lanes.c.holder == holder, lanes.c.held_until < now)
    with database.writing() as connection:
        connection.execute(database.insert_or_ignore(lanes), row)
        taken = connection.execute(
            update(lanes)
            .where(lanes.c.source == source, lanes.c.target == lane, free)
            .values(holder=holder, held_until=until)
        )
    return bool(taken.rowcount)
