"""The tables of the desk's database. Times are RFC 3339 UTC, as in events.

`UNIQUE (source, id)` on alerts is what makes duplicates harmless, however many gateways there are.
An erased alert keeps its row without its event: a replay of it stays a duplicate (R25).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 1

metadata = MetaData()
_Number = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the type is exactly INTEGER."""


def _time(name: str, *, nullable: bool = False) -> "Column[str]":
    return Column(name, String(24), nullable=nullable)


def _device() -> "Column[str]":
    return Column("source", String(128), ForeignKey("devices.source"), nullable=False)


schema = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

devices = Table(
    "devices",
    metadata,
    Column("source", String(128), primary_key=True),
    Column("public_keys", Text, nullable=False),
    _time("added_at"),
    _time("revoked_at", nullable=True),
    _time("last_seen", nullable=True),
    Column("next_order_sequence", BigInteger, nullable=False, default=1),
)

alerts = Table(
    "alerts",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _device(),
    Column("id", String(36), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("epoch", String(36)),
    Column("sequence", BigInteger),
    Column("digest", String(64), nullable=False),
    _time("captured_at", nullable=True),
    _time("received_at"),
    Column("delayed", Boolean, nullable=False),
    Column("event", Text),
    UniqueConstraint("source", "id"),
)
held = alerts.c.event.is_not(None)
"""Whether an alert still has its content."""
Index("alerts_held", alerts.c.source, alerts.c.number, sqlite_where=held, postgresql_where=held)
Index("alerts_numbered", alerts.c.source, alerts.c.epoch, alerts.c.sequence)

holds = Table(
    "holds",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("alert", ForeignKey("alerts.number", ondelete="CASCADE"), nullable=False),
    # The three without which nothing is held (R26).
    Column("case_number", String(64), nullable=False),
    Column("approver", String(200), nullable=False),
    _time("until_at"),
    _time("held_at"),
    _time("released_at", nullable=True),
    # When the content went at last.
    _time("erased_at", nullable=True),
)
Index("holds_of_alert", holds.c.alert)

emissions = Table(
    "emissions",
    metadata,
    Column("alert", ForeignKey("alerts.number", ondelete="CASCADE"), primary_key=True),
    Column("target", String(32), primary_key=True),
    _time("emitted_at"),
)

statuses = Table(
    "statuses",
    metadata,
    Column("source", ForeignKey("devices.source"), primary_key=True),
    Column("id", String(36), nullable=False),
    # The newest time that was believed; a will is older and must not lower it.
    _time("floor"),
    _time("received_at"),
    Column("connection", String(36)),
    Column("link", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("last_order", String(36)),
    Column("event", Text, nullable=False),
)

lanes = Table(
    "lanes",
    metadata,
    Column("source", ForeignKey("devices.source"), primary_key=True),
    Column("target", String(32), primary_key=True),
    # For orders: which gateway sends them, and until when no other needs to.
    Column("holder", String(64)),
    _time("held_until", nullable=True),
)

shown = Table(
    "shown_statuses",
    metadata,
    Column("source", ForeignKey("devices.source"), primary_key=True),
    Column("target", String(32), primary_key=True),
    Column("status", String(36), nullable=False),
)

orders = Table(
    "orders",
    metadata,
    Column("id", String(36), primary_key=True),
    _device(),
    Column("sequence", BigInteger, nullable=False),
    Column("action", String(16), nullable=False),
    _time("given_at"),
    _time("expires_at"),
    Column("event", Text, nullable=False),
    _time("published_at", nullable=True),
    _time("obeyed_at", nullable=True),
    _time("overtaken_at", nullable=True),
    UniqueConstraint("source", "sequence"),
)

stolen = Table(
    "stolen_devices",
    metadata,
    Column("source", ForeignKey("devices.source"), primary_key=True),
    _time("reported_at"),
)

stolen_keys = Table(
    "stolen_keys",
    metadata,
    # SHA-256 of each public key that was in a stolen device. Never erased: whoever read the card
    # has them for good, also after the device came back with others.
    Column("digest", String(64), primary_key=True),
    _time("reported_at"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    # Of a device's audit log: a log that was cut later no longer has all of these.
    Column("source", ForeignKey("devices.source"), primary_key=True),
    Column("checkpoint", String(64), primary_key=True),
    _time("received_at"),
)

deployment_keys = Table(
    "deployment_keys",
    metadata,
    Column("deployment", String(36), primary_key=True),
    # Wrapped for the desk's own keys; null once it was destroyed. The row stays, so that a key that
    # was destroyed never comes back (R24).
    Column("wrapped_key", LargeBinary),
    _time("kept_at"),
    _time("destroyed_at", nullable=True),
    # When the database's log and dead rows had been overwritten, too.
    _time("overwritten_at", nullable=True),
)

deployment_devices = Table(
    "deployment_devices",
    metadata,
    # Which devices may have the key. Not all of them need to be known to this desk already.
    Column("deployment", ForeignKey("deployment_keys.deployment"), primary_key=True),
    Column("source", String(128), primary_key=True),
)

deployment_lists = Table(
    "deployment_lists",
    metadata,
    # Which list of a deployment is in force: no key for an older one.
    Column("deployment", ForeignKey("deployment_keys.deployment"), primary_key=True),
    Column("watchlist", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sealed_sha256", String(64), nullable=False),
)

unlocks = Table(
    "unlocks",
    metadata,
    Column("source", ForeignKey("devices.source"), primary_key=True),
    Column("request", String(36), primary_key=True),
    # "unlocked", or the refusal: a request that comes again after a theft has both.
    Column("outcome", String(16), primary_key=True),
    Column("deployment", String(36), nullable=False),
    Column("watchlist", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sealed_sha256", String(64), nullable=False),
    _time("answered_at"),
)

archives = Table(
    "bundle_archives",
    metadata,
    Column("bundle", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

offers = Table(
    "bundle_offers",
    metadata,
    Column("source", ForeignKey("devices.source"), primary_key=True),
    # Null: nothing is offered, and what the broker keeps is to be cleared.
    Column("bundle", String(64)),
    Column("size", BigInteger, nullable=False),
    _time("offered_at"),
    # The highest number that the broker may keep a part under.
    Column("high", Integer, nullable=False),
    # Up to which number the broker has taken what is wanted; null in sent_at: not yet all.
    Column("done", Integer, nullable=False),
    _time("sent_at", nullable=True),
    _time("delivered_at", nullable=True),
    # Since when a device is online without it, and how often it was sent again for that.
    _time("missing_since", nullable=True),
    Column("tries", Integer, nullable=False),
)
