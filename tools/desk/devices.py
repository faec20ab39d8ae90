"""`passerby-desk devices`: which devices this desk listens to."""

import argparse
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from rich.table import Column, Table
from sqlalchemy import Connection, delete, exists, select, update

from device.errors import ConfigurationError, MessageError
from device.protocol.identifiers import utc_ns, utc_text
from device.protocol.keys import PublicKeys, decode_public_keys, encode_keys
from device.protocol.order import LONGEST_VALIDITY_S
from device.protocol.topics import Topics, parse_topic
from tools.console import console
from tools.desk.gateway.bundles import withdraw_from
from tools.desk.gateway.configuration import read_desk_configuration
from tools.desk.gateway.database import Database
from tools.desk.gateway.orderbook import Orders
from tools.desk.gateway.tables import (
    deployment_devices,
    devices,
    statuses,
    stolen,
    stolen_keys,
)
from tools.desk.keys import read_private_keys, read_public_keys
from tools.desk.shown import shown_device, shown_time


@dataclass(frozen=True, slots=True)
class Listed:
    """A device as the register has it."""

    source: str
    keys: PublicKeys
    added_at: str
    revoked_at: str | None
    last_seen: str | None
    stolen_at: str | None


class Register:
    """The table of devices. Every method raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, topics: Topics, keys: PublicKeys, now: str) -> None:
        """Listen to a device. Raises ConfigurationError when its name has other keys already."""
        content = encode_keys(keys).decode()
        row = {"source": topics.source, "public_keys": content, "added_at": now}
        with self._database.writing() as connection:
            _refuse_stolen(connection, topics.source, keys)
            added = connection.execute(self._database.insert_or_ignore(devices), row).rowcount
            if added > 0:
                return
            self._replace(connection, topics.source, keys, now)

    def _replace(self, connection: Connection, source: str, keys: PublicKeys, now: str) -> None:
        content = encode_keys(keys).decode()
        this = devices.c.source == source
        there = connection.execute(
            select(devices.c.public_keys, devices.c.revoked_at).where(this)
        ).one()
        same, reported = there.public_keys == content, _is_stolen(connection, source)
        if reported:
            # Of a theft that was reported before keys were remembered, too.
            self._remember_stolen(connection, there.public_keys, now)
            _refuse_stolen(connection, source, keys)
        elif there.revoked_at is None:
            if same:
                return
            raise ConfigurationError(
                f"{source} is known with other keys: if it was set up anew, revoke it first "
                "(`passerby-desk devices revoke`)."
            )
        # Numbers of orders go on: a device must never see one twice.
        connection.execute(update(devices).where(this).values(public_keys=content, revoked_at=None))
        if not same:
            # A device that was set up anew begins anew, also with what time it is.
            connection.execute(delete(statuses).where(statuses.c.source == source))
        connection.execute(delete(stolen).where(stolen.c.source == source))
        # Also when a list named it while it was away: nobody could know its keys then.
        _leave_deployments(connection, source)

    def revoke(self, topics: Topics, now: str) -> None:
        """Listen to a device no more. Raises ConfigurationError when there is none."""
        with self._database.writing() as connection:
            done = connection.execute(
                update(devices)
                .where(devices.c.source == topics.source, devices.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
            if not done.rowcount:
                raise ConfigurationError(
                    f"{topics.source} is not known, or was revoked before: `passerby-desk devices "
                    "list` shows all."
                )
            _leave_deployments(connection, topics.source)
            withdraw_from(connection, topics.source, utc_ns(now))

    def report_stolen(self, topics: Topics, now: str) -> None:
        """Open no list for a device any more, and belong to no deployment (R49).

        Raises ConfigurationError when there is no such device.
        """
        with self._database.writing() as connection:
            query = select(devices.c.public_keys).where(devices.c.source == topics.source)
            keys = connection.execute(query).scalar()
            if keys is None:
                raise ConfigurationError(
                    f"{topics.source} is not known: `passerby-desk devices list` shows all."
                )
            self._remember_stolen(connection, keys, now)
            row = {"source": topics.source, "reported_at": now}
            connection.execute(self._database.insert_or_ignore(stolen), row)
            # So that what is set up anew under this name opens nothing before a new list names it.
            _leave_deployments(connection, topics.source)
            withdraw_from(connection, topics.source, utc_ns(now))

    def _remember_stolen(self, connection: Connection, content: str, now: str) -> None:
        for digest in _digests_of(decode_public_keys(content.encode())):
            row = {"digest": digest, "reported_at": now}
            connection.execute(self._database.insert_or_ignore(stolen_keys), row)

    def listing(self) -> list[Listed]:
        """Return all devices."""
        with self._database.reading() as connection:
            query = select(devices, stolen.c.reported_at).outerjoin(
                stolen, stolen.c.source == devices.c.source
            )
            rows = connection.execute(query.order_by(devices.c.source)).all()
        return [
            Listed(
                row.source,
                decode_public_keys(row.public_keys.encode()),
                row.added_at,
                row.revoked_at,
                row.last_seen,
                row.reported_at,
            )
            for row in rows
        ]


def _digests_of(keys: PublicKeys) -> list[str]:
    """Return the SHA-256 of each key: one alone that comes back is one too many."""
    parts = (keys.ed25519, keys.x25519, keys.mlkem768)
    return [hashlib.sha256(part).hexdigest() for part in parts]


def _refuse_stolen(connection: Connection, source: str, keys: PublicKeys) -> None:
    known = select(exists().where(stolen_keys.c.digest.in_(_digests_of(keys))))
    if connection.execute(known).scalar():
        raise ConfigurationError(
            f"{source} cannot have these keys: they were in a device that was reported stolen, "
            "whose holder may have read them; set it up anew (a new card), and add the new ones."
        )


def _leave_deployments(connection: Connection, source: str) -> None:
    connection.execute(delete(deployment_devices).where(deployment_devices.c.source == source))


def _is_stolen(connection: Connection, source: str) -> bool:
    return bool(connection.execute(select(exists().where(stolen.c.source == source))).scalar())


def topics_of(site: str, device: str) -> Topics:
    """Return the topics of a device. Raises ConfigurationError when a name is not opaque."""
    topics = Topics(site, device)
    try:
        parse_topic(topics.of("alert"))
    except MessageError as error:
        raise ConfigurationError(
            f"{site}/{device} names no device: site and device are a-z, 0-9 and dashes, at most 32 "
            "characters each, as in device.toml."
        ) from error
    return topics


def topics_from(text: str) -> Topics:
    """Return the topics of "SITE/DEVICE". Raises ConfigurationError."""
    site, _, device = text.partition("/")
    return topics_of(site, device)


def add(options: argparse.Namespace) -> int:
    """`devices add FILE.pub --site S --device D`."""
    keys = read_public_keys(options.file)
    topics = topics_of(options.site, options.device)
    register = Register(_database(options))
    register.add(topics, keys, utc_text(time.time_ns()))
    print(f"{topics.source} is listened to.")
    print(f"fingerprint: {keys.fingerprint}")
    print("Compare it with the one that the device shows. If they differ, revoke it at once.")
    print("If it was revoked or stolen: it opens no list before one that names it is published.")
    return 0


def revoke(options: argparse.Namespace) -> int:
    """`devices revoke --site S --device D`."""
    topics = topics_of(options.site, options.device)
    Register(_database(options)).revoke(topics, utc_text(time.time_ns()))
    print(f"{topics.source} is listened to no more; what it sent before is kept as long as ever.")
    return 0


def stolen_device(options: argparse.Namespace) -> int:
    """`devices stolen --site S --device D`."""
    topics = topics_of(options.site, options.device)
    settings = read_desk_configuration(options.config)
    database = Database(settings.desk.database)
    Register(database).report_stolen(topics, utc_text(time.time_ns()))
    print(f"{topics.source} is reported stolen: its list is opened for it no more.")
    order = Orders(database).command(
        read_private_keys(Path(settings.desk.keys)).public,
        topics.source,
        LONGEST_VALIDITY_S,
        "end",
        "Reported stolen.",
    )
    print(f"{order.id}: it is ordered to erase its list if it comes online within seven days.")
    print("What else to do:")
    print("- passerby-field pki revoke: its certificate; then it can be heard no more either.")
    print("- If it was running when it was taken: end its deployment and begin a new one.")
    print("- If it comes back: set it up anew and add its new keys (`devices add`).")
    return 0


def listing(options: argparse.Namespace) -> int:
    """`devices list`."""
    table = Table(
        Column("device", no_wrap=True), "fingerprint", "added", "last seen", "revoked", "stolen"
    )
    for one in Register(_database(options)).listing():
        known = (one.added_at, one.last_seen, one.revoked_at, one.stolen_at)
        times = (shown_time(at) for at in known)
        table.add_row(shown_device(one.source), one.keys.fingerprint, *times)
    console.print(table)
    return 0


def _database(options: argparse.Namespace) -> Database:
    return Database(read_desk_configuration(options.config).desk.database)
