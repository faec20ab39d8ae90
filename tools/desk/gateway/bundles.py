"""`Bundles`: which bundle each device shall have, and how far the broker has it.

The row of a device says what is wanted: a bundle under the numbers 1 to n, or nothing, and nothing
under what was used before. Whichever gateway holds the lease brings it about (`sender`). When the
device's status names the bundle it is delivered, and the broker keeps no copy of it any longer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, select, update

from device.errors import ConfigurationError, MessageError
from device.protocol.identifiers import utc_ns, utc_text
from device.protocol.part import digest_of_bundle, parts_of
from device.protocol.status import StatusData
from tools.desk.gateway.database import Database
from tools.desk.gateway.leases import take_lease
from tools.desk.gateway.tables import archives, devices, offers, stolen

_MISSING_NS = 600_000_000_000
_LONGEST_MISSING_NS = 86_400_000_000_000
"""A device that stays online without its bundle gets it again after ten minutes, then more and more
seldom, daily at last."""


@dataclass(frozen=True, slots=True)
class Job:
    """What the broker shall have for a device. keys: the device's public key file.

    bundle: None: nothing. done: up to which number it is so. last: up to which number to go.
    """

    source: str
    keys: str
    bundle: str | None
    parts: int
    offered_at: str
    done: int
    last: int


@dataclass(frozen=True, slots=True)
class Offered:
    """A device's bundle, as a person looks at it. All times RFC 3339 or None."""

    source: str
    bundle: str | None
    offered_at: str
    sent_at: str | None
    delivered_at: str | None


class Bundles:
    """The offers to all devices. Every method raises StorageError. now_ns: wall clock."""

    def __init__(self, database: Database, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns

    def offer(self, devices: list[str], archive: bytes) -> None:
        """Offer a bundle to devices, by their sources, in place of what was offered before.

        archive: of `device.bundles.archive`. Raises ConfigurationError when a device is not known,
        revoked or reported stolen, or the archive is too large; then nothing is offered to any.
        """
        try:
            bundle = digest_of_bundle(archive)
        except MessageError as error:
            raise ConfigurationError(str(error)) from error
        with self._database.writing() as connection:
            for source in sorted(set(devices)):
                _check_device(connection, source)
                self._want(connection, source, bundle, len(archive))
            row = {"bundle": bundle, "content": archive}
            connection.execute(self._database.insert_or_ignore(archives), row)
            _drop_unwanted(connection)

    def withdraw(self, devices: list[str]) -> None:
        """Offer nothing any more, and let the broker forget it. Unknown devices are no error."""
        with self._database.writing() as connection:
            for source in sorted(set(devices)):
                withdraw_from(connection, source, self._now_ns())

    def due(self) -> list[Job]:
        """Return what is not yet as it should be."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(offers, devices.c.public_keys)
                .join(devices, devices.c.source == offers.c.source)
                .where(offers.c.sent_at.is_(None))
                .order_by(offers.c.offered_at, offers.c.source)
            ).all()
        return [_job(row) for row in rows]

    def hold(self, source: str, holder: str) -> bool:
        """Take or renew the lease on a device's bundle; False while another gateway has it."""
        return take_lease(self._database, source, "bundle", holder, self._now_ns())

    def archive(self, bundle: str) -> bytes | None:
        """Return a bundle that is offered, or None when it no longer is."""
        query = select(archives.c.content).where(archives.c.bundle == bundle)
        with self._database.reading() as connection:
            content = connection.execute(query).scalar()
        return bytes(content) if content is not None else None

    def progress(self, job: Job, done: int) -> bool:
        """Note how far the broker has it. False: something else is wanted meanwhile."""
        values: dict[str, Any] = {"done": done}
        if done >= job.last:
            now = utc_text(self._now_ns())
            values |= {"sent_at": now, "high": job.parts, "missing_since": None}
        with self._database.writing() as connection:
            noted = connection.execute(update(offers).where(_same(job)).values(values))
        return bool(noted.rowcount)

    def listing(self) -> list[Offered]:
        """Return what is offered to whom."""
        columns = ("source", "bundle", "offered_at", "sent_at", "delivered_at")
        query = select(*(offers.c[name] for name in columns)).order_by(offers.c.source)
        with self._database.reading() as connection:
            return [Offered(*row) for row in connection.execute(query)]

    def _want(self, connection: Connection, source: str, bundle: str, size: int) -> None:
        blank = {"size": 0, "offered_at": utc_text(0), "high": 0, "done": 0, "tries": 0}
        connection.execute(self._database.insert_or_ignore(offers), {"source": source, **blank})
        _replace(connection, source, bundle, size, self._now_ns())


def withdraw_from(connection: Connection, source: str, now_ns: int) -> None:
    """Offer a device nothing any more, in a transaction of the caller."""
    _replace(connection, source, None, 0, now_ns)
    _drop_unwanted(connection)


def note_bundle(connection: Connection, source: str, status: StatusData, now: str) -> None:
    """Take note of which bundle a device has: the offered one, or not yet."""
    row = connection.execute(select(offers).where(offers.c.source == source)).first()
    if row is None or row.bundle is None:
        return
    this = offers.c.source == source
    if status.bundle == row.bundle:
        withdraw_from(connection, source, utc_ns(now))
        connection.execute(update(offers).where(this).values(delivered_at=now))
    elif row.sent_at is None or status.link != "online":
        return
    elif row.missing_since is None:
        connection.execute(update(offers).where(this).values(missing_since=now))
    elif utc_ns(now) - utc_ns(row.missing_since) >= _patience_ns(row.tries):
        # The broker may have lost it, or the device: all of it goes again.
        again = {"done": 0, "sent_at": None, "missing_since": None, "tries": row.tries + 1}
        connection.execute(update(offers).where(this).values(again))


def _patience_ns(tries: int) -> int:
    return min(_LONGEST_MISSING_NS, _MISSING_NS << min(tries, 16))


def _replace(
    connection: Connection, source: str, bundle: str | None, size: int, now_ns: int
) -> None:
    """Let a row say what is wanted now. Its time always grows: devices heed the later offer."""
    this = offers.c.source == source
    query = select(offers.c.offered_at, offers.c.high).where(this).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        return
    later_ns = max(now_ns, utc_ns(row.offered_at) + 1_000_000)
    parts = parts_of(size)
    connection.execute(
        update(offers)
        .where(this)
        .values(
            bundle=bundle,
            size=size,
            offered_at=utc_text(later_ns),
            high=max(row.high, parts),
            done=0,
            sent_at=None,
            delivered_at=None,
            missing_since=None,
            tries=0,
        )
    )


def _drop_unwanted(connection: Connection) -> None:
    """Erase the archives that nobody is offered any more (R24)."""
    wanted = select(offers.c.bundle).where(offers.c.bundle.is_not(None))
    connection.execute(delete(archives).where(archives.c.bundle.not_in(wanted)))


def _check_device(connection: Connection, source: str) -> None:
    query = (
        select(devices.c.revoked_at, stolen.c.reported_at)
        .outerjoin(stolen, stolen.c.source == devices.c.source)
        .where(devices.c.source == source)
    )
    row = connection.execute(query).first()
    if row is None:
        raise ConfigurationError(
            f"The device {source} is not known: add it first (`passerby-desk devices add`)."
        )
    if row.revoked_at is not None or row.reported_at is not None:
        state = "reported stolen" if row.reported_at is not None else "revoked"
        raise ConfigurationError(
            f"The device {source} is {state} and gets no watchlist: take it out of the "
            "authorisation."
        )


def _job(row: Any) -> Job:  # noqa: ANN401 - a row
    parts = parts_of(row.size)
    last = max(row.high, parts)
    return Job(
        row.source, row.public_keys, row.bundle, parts, row.offered_at, min(row.done, last), last
    )


def _same(job: Job) -> Any:  # noqa: ANN401 - SQLAlchemy's expression
    return and_(offers.c.source == job.source, offers.c.offered_at == job.offered_at)
