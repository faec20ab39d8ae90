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
