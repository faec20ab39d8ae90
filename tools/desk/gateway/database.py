"""Opens the desk's database: SQLite, or PostgreSQL by its URL. Faults become sentences.

What a transaction has written is on the disk when it returns: SQLite with WAL and synchronous=FULL
(measured: no committed row lost over 40 power cuts), PostgreSQL with synchronous_commit.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    SQLAlchemyError,
)
from sqlalchemy.schema import Table

from device.errors import ConfigurationError, StorageError
from tools.desk.gateway.tables import SCHEMA_VERSION, metadata, schema

_BUSY_S = 10
_POSTGRESQL_OPTIONS = "-c synchronous_commit=on -c statement_timeout=20000 -c lock_timeout=10000"
_LOCK = int.from_bytes(hashlib.sha256(b"passerby desk schema").digest()[:7], "big")
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    # What is erased is overwritten, not only unlinked (R25).
    "secure_delete = ON",
)


class UnstorableError(StorageError):
    """The database works but does not take this row; trying again would not help."""


class Database:
    """Connections to one database. Transactions raise StorageError, never SQLAlchemy's own."""

    def __init__(self, url: str) -> None:
        """Raise ConfigurationError when the URL cannot be used, StorageError if nobody answers."""
        self._url = _parsed(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self.name = self._url.render_as_string(hide_password=True)
        self._engine = self._make_engine()
        with self.writing() as connection:
            self._prepare(connection)

    @property
    def file(self) -> Path | None:
        """The database's file, for SQLite."""
        return Path(self._url.database) if self.is_sqlite and self._url.database else None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is on the disk when the block ends. Raises StorageError."""
        with self._explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that writes nothing. Raises StorageError."""
        with self._explained(), self._engine.connect() as connection:
            reading = connection.execution_options(passerby_reading=True)
            with reading.begin():
                yield reading

    def insert_or_ignore(self, table: Table) -> Any:  # noqa: ANN401 - either dialect's insert
        """Return an INSERT that leaves a row alone that is already there."""
        if self.is_sqlite:
            return sqlite.insert(table).on_conflict_do_nothing()
        return postgresql.insert(table).on_conflict_do_nothing()

    def overwrite_erased(self) -> bool:
        """Remove what was erased from where a database leaves it: log, and dead rows.

        False: somebody reads it just now; ask again later. Raises StorageError.
        """
        with self._explained(), self._engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            if self.is_sqlite:
                busy = alone.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar()
                return not busy
            alone.exec_driver_sql(
                "VACUUM alerts, statuses, deployment_keys, bundle_archives, bundle_offers"
            )
            return True

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _make_engine(self) -> Engine:
        try:
            if self.is_sqlite:
                self._make_file()
                engine = create_engine(self._url, connect_args={"timeout": _BUSY_S})
                event.listen(engine, "connect", _set_pragmas)
                event.listen(engine, "begin", _begin)
                return engine
            return create_engine(
                self._url,
                pool_pre_ping=True,
                connect_args={"connect_timeout": 5, "options": _POSTGRESQL_OPTIONS},
            )
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"desk.database {self.name} needs the package {error.name}: install passerby[desk]."
            ) from error

    def _make_file(self) -> None:
        """Make the file before SQLite does, which would let everybody read it."""
        file = self.file
        if file is None:
            raise ConfigurationError(
                "desk.database names no file: write sqlite:///desk.db, for example."
            )
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # Never opened when it is there: closing it again would end the locks that SQLite holds
            # on it elsewhere in this process, and two writers would ruin it.
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        except OSError as error:
            raise StorageError(
                f"The database {file} cannot be made ({error.strerror or error}): check its folder "
                "and its rights."
            ) from error

    def _prepare(self, connection: Connection) -> None:
        if not self.is_sqlite:
            # Two gateways that start at once must not both make the tables.
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        metadata.create_all(connection)
        version = connection.execute(select(schema.c.version)).scalar()
        if version is None:
            connection.execute(insert(schema).values(version=SCHEMA_VERSION))
        elif version != SCHEMA_VERSION:
            raise StorageError(
                f"The database {self.name} was made by another version of Passerby (format "
                f"{version}): use that version, or a new database."
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            reason = " ".join(str(error.orig).split())
            code = getattr(error.orig, "sqlite_errorcode", None)
            sentence = f"The database {self.name} cannot be used ({reason}); {_advice(code)}."
            # The drivers' own types have many names; these two stand for all of a kind.
            unstorable = isinstance(error, DataError | IntegrityError)
            raise (UnstorableError if unstorable else StorageError)(sentence) from error
        except SQLAlchemyError as error:
            reason = type(error).__name__
            raise StorageError(f"The database {self.name} cannot be used ({reason}).") from error


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        if parsed.drivername in {"postgresql", "postgres"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        known = parsed.get_backend_name() in {"sqlite", "postgresql"}
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigurationError(_no_database()) from error
    if not known:
        raise ConfigurationError(_no_database())
    return parsed


def _no_database() -> str:
    # The URL itself may hold a password: it is not repeated.
    return (
        "desk.database is no address of a database: write sqlite:///desk.db or "
        "postgresql://user@host/name."
    )


def _set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
    # The driver must not begin transactions by itself: `_begin` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    reading = options.get("passerby_reading", False)
    # Taking the lock at once waits for it; upgrading later would fail instead.
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _advice(code: object) -> str:
    primary = code & 0xFF if isinstance(code, int) else None
    return {
        5: "another program holds it: does a second gateway run, or a backup?",
        8: "the disk, or the file, is read-only",
        10: "the disk reports an error",
        11: "the file is damaged: restore the newest copy, devices will send again what is missing",
        13: "the disk is full: free some space; devices keep their alerts meanwhile",
        14: "check the folder and its rights",
        26: "the file is no database: restore the newest copy",
    }.get(
        primary if primary is not None else -1,
        "is it running, and are its address and rights right?",
    )
