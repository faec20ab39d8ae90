"""`Outbox`: letters that wait for their receipt, in an SQLite file, in the order of their arrival.

What it promises: a letter that `append` has returned a number for is on the disk (WAL,
synchronous=FULL); its receipt or its age removes it, nothing else. The file is locked for one
process (locking_mode=EXCLUSIVE, which also spares the -shm file). It is bounded: when full the
newest is refused and the oldest are kept; a refused alert still takes its number, so that the desk
sees the gap. Every fault is a `StorageError` with a sentence, and leaves the file usable.

No thread of its own; every call takes the lock.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from device.errors import StorageError
from device.protocol.envelope import digest_of
from device.protocol.identifiers import uuid7

NAME = "outbox.sqlite"
LetterKind = Literal["alert", "record"]
Connect = Callable[[], sqlite3.Connection]

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS letters (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    captured_ms INTEGER NOT NULL,
    queued_ms INTEGER NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    dead TEXT,
    letter BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS life (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL,
    sequence INTEGER NOT NULL
);
"""
_COLUMNS = (
    # As bytes whatever a flipped bit says that they are: text that is no UTF-8 cannot be read.
    "number, CAST(kind AS BLOB), captured_ms, queued_ms, CAST(digest AS BLOB), CAST(letter AS BLOB)"
)
_CLOCKS_APART_MS = 300_000
_CHECKPOINT_PAGES = 256
"""The log is folded into the file after 1 MB of it, which bounds both."""
_OVERHEAD_BYTES = 256
"""What a letter takes beside itself: row, index, unused parts of pages."""


class DamagedOutboxError(StorageError):
    """The file is no whole database any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A letter that waits. number: local order, never reused. times: milliseconds since 1970."""

    number: int
    kind: LetterKind
    captured_ms: int
    queued_ms: int
    digest: str
    letter: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """What `append` is given: a letter, and when its subject was captured."""

    kind: LetterKind
    captured_ms: int
    letter: bytes


class Outbox:
    """limit_bytes: most that letters may take. connect: opens the file. now_ms: wall clock.

    Raises StorageError when the file cannot be opened, DamagedOutboxError when it is damaged.
    """

    def __init__(self, connect: Connect, limit_bytes: int, now_ms: Callable[[], int]) -> None:
        self._limit_bytes = limit_bytes
        self._now_ms = now_ms
        self._lock = threading.Lock()
        with _explained():
            self._base = connect()
        try:
            with _explained():
                self._prepare()
        except StorageError:
            self._base.close()
            raise

    def _prepare(self) -> None:
        base = self._base
        base.isolation_level = None
        base.execute("PRAGMA locking_mode = EXCLUSIVE")
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")
        base.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        base.execute(f"PRAGMA journal_size_limit = {4 * _CHECKPOINT_PAGES * 4096}")
        found = str(base.execute("PRAGMA quick_check(1)").fetchone()[0])
        if found != "ok":
            raise DamagedOutboxError(f"The outbox is damaged ({found}).")
        version = base.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _SCHEMA_VERSION):
            raise StorageError(
                f"The outbox was written by another version of Passerby (format {version}): go "
                "back to that version and let it deliver what waits."
            )
        if version == 0:
            # Only a new file is written to: an old one must open on a full disk too.
            self._make()
        self._epoch: str = base.execute("SELECT epoch FROM life").fetchone()[0]
        self._bytes: int = base.execute(
            "SELECT COALESCE(SUM(LENGTH(letter) + ?), 0) FROM letters", (_OVERHEAD_BYTES,)
        ).fetchone()[0]

    def _make(self) -> None:
        with self._transaction():
            # One statement at a time: executescript would commit in between.
            for statement in _SCHEMA.split(";")[:-1]:
                self._base.execute(statement)
            epoch = uuid7(self._now_ms() * 1_000_000)
            self._base.execute("INSERT OR IGNORE INTO life VALUES (1, ?, 0)", (epoch,))
            self._base.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    @property
    def epoch(self) -> str:
        """Names the life of this file; a new file has a new one."""
        return self._epoch

    @property
    def used_bytes(self) -> int:
        """What the waiting letters take."""
        return self._bytes

    def append(self, seal: Callable[[str, int], Sealed], *, numbered: bool = True) -> int | None:
        """Number, seal and keep; return the local number once the letter is on the disk.

        seal: (epoch, sequence) → letter; what it raises is passed on and nothing is kept. numbered:
        whether it uses up a number of the sequence, as an alert does. None: the outbox is full; the
        number is used up all the same. Raises StorageError.
        """
        added = number = None
        with self._lock, _explained():
            with self._transaction():
                sequence = 1 + int(self._one("SELECT sequence FROM life"))
                sealed = seal(self._epoch, sequence)
                if numbered:
                    self._base.execute("UPDATE life SET sequence = ?", (sequence,))
                added = len(sealed.letter) + _OVERHEAD_BYTES
                if self._bytes + added <= self._limit_bytes:
                    number = self._insert(sealed, self._now_ms())
            if number is not None:
                self._bytes += added
        return number

    def adopt(self, entries: Iterable[Entry]) -> None:
        """Keep letters of another outbox that are not here, all or none. Raises StorageError."""
        added = 0
        with self._lock, _explained():
            with self._transaction():
                for entry in entries:
                    if self._one("SELECT COUNT(*) FROM letters WHERE digest = ?", entry.digest):
                        continue
                    sealed = Sealed(entry.kind, entry.captured_ms, entry.letter)
                    self._insert(sealed, entry.queued_ms)
                    added += len(entry.letter) + _OVERHEAD_BYTES
            self._bytes += added

    def after(self, number: int) -> Entry | None:
        """Return the oldest living letter with a greater number. Raises StorageError."""
        with self._lock, _explained():
            row = self._base.execute(
                f"SELECT {_COLUMNS} FROM letters "  # noqa: S608 - constant
                "WHERE number > ? AND dead IS NULL ORDER BY number LIMIT 1",
                (number,),
            ).fetchone()
            return self._entry(row) if row is not None else None

    def remove(self, digest: str) -> int | None:
        """Forget the letter of a receipt; return its number, or None. Raises StorageError."""
        gone = self._delete("digest = ?", digest)
        return gone[0] if gone else None

    def find(self, digest: str) -> Entry | None:
        """Return a living letter. Raises StorageError."""
        with self._lock, _explained():
            row = self._base.execute(
                f"SELECT {_COLUMNS} FROM letters WHERE digest = ? AND dead IS NULL",  # noqa: S608 - constant
                (digest,),
            ).fetchone()
            return self._entry(row) if row is not None else None

    def bury(self, digest: str, reason: str) -> None:
        """Never send a letter again, but keep it until its age removes it. Raises StorageError."""
        with self._lock, _explained(), self._transaction():
            self._base.execute("UPDATE letters SET dead = ? WHERE digest = ?", (reason, digest))

    def expire(self, before_ms: int) -> int:
        """Erase what was queued before; return how many. Raises StorageError."""
        return len(self._delete("queued_ms < ?", before_ms))

    def correct_clock(self, since: int, shift_ms: int, now_ms: int) -> None:
        """Move the times of letters that were queued by a wrong clock. Raises StorageError.

        since: number after which letters were queued by it. Whatever then is still queued in the
        future counts as queued now, so that it expires some day.
        """
        with self._lock, _explained(), self._transaction():
            self._base.execute(
                "UPDATE letters SET queued_ms = queued_ms + ? WHERE number > ?", (shift_ms, since)
            )
            self._base.execute(
                "UPDATE letters SET queued_ms = ? WHERE queued_ms > ?",
                (now_ms, now_ms + _CLOCKS_APART_MS),
            )

    def newest(self) -> int:
        """Return the greatest number that was given, 0 where none was. Raises StorageError."""
        with self._lock, _explained():
            row = self._base.execute("SELECT seq FROM sqlite_sequence").fetchone()
        return int(row[0]) if row is not None else 0

    def waiting(self) -> int:
        """Return how many letters wait. Raises StorageError."""
        with self._lock, _explained():
            return int(self._one("SELECT COUNT(*) FROM letters WHERE dead IS NULL"))

    def dead(self) -> int:
        """Return how many letters will never be sent. Raises StorageError."""
        with self._lock, _explained():
            return int(self._one("SELECT COUNT(*) FROM letters WHERE dead IS NOT NULL"))

    def close(self) -> None:
        """Give the file free; errors no longer matter, all that was promised is on the disk."""
        with self._lock:
            try:
                self._base.close()
            except sqlite3.Error:
                return

    def _delete(self, condition: str, value: object) -> list[int]:
        """Delete letters; return their numbers."""
        with self._lock, _explained():
            with self._transaction():
                rows = self._base.execute(
                    f"DELETE FROM letters WHERE {condition} RETURNING number, LENGTH(letter)",  # noqa: S608 - our own two conditions
                    (value,),
                ).fetchall()
            self._bytes -= sum(row[1] + _OVERHEAD_BYTES for row in rows)
        return [row[0] for row in rows]

    def _insert(self, sealed: Sealed, queued_ms: int) -> int:
        cursor = self._base.execute(
            "INSERT INTO letters (kind, captured_ms, queued_ms, digest, letter) "
            "VALUES (?, ?, ?, ?, ?)",
            (
                sealed.kind,
                sealed.captured_ms,
                queued_ms,
                digest_of(sealed.letter),
                sealed.letter,
            ),
        )
        return int(cursor.lastrowid or 0)

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        """Return a letter as it is now: a flipped bit must not stop those behind it.

        Its digest is that of the bytes which are sent, because the desk's answer will name them; a
        letter that no longer opens is refused by the desk, and set aside then.
        """
        number, kind, captured_ms, queued_ms, kept, letter = row
        digest = digest_of(bytes(letter))
        if digest.encode() != kept:
            # On a disk that cannot be written either, it is sent again until it is too old.
            with suppress(sqlite3.Error), self._transaction():
                self._base.execute(
                    "UPDATE OR IGNORE letters SET digest = ? WHERE number = ?", (digest, number)
                )
        return Entry(
            number,
            "record" if kind == b"record" else "alert",
            captured_ms if isinstance(captured_ms, int) else 0,
            queued_ms if isinstance(queued_ms, int) else 0,
            digest,
            bytes(letter),
        )

    def _one(self, query: str, *values: object) -> Any:  # noqa: ANN401 - SQLite's value
        return self._base.execute(query, values).fetchone()[0]

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._base)


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK when anything is raised."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._base.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, _value: object, _trace: object) -> None:
        if kind is None:
            try:
                self._base.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._base.in_transaction:
            try:
                self._base.execute("ROLLBACK")
            except sqlite3.Error:
                return


class _explained:  # noqa: N801 - used as a statement
    """Turn SQLite's errors into sentences."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise _as_storage_error(error) from error


def _as_storage_error(error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DamagedOutboxError(f"The outbox is damaged ({error}).")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageError(
            f"The outbox cannot be used ({error}); another passerby uses it: stop that first."
        )
    advice = {
        sqlite3.SQLITE_FULL: "the disk is full: free some space",
        sqlite3.SQLITE_READONLY: "the disk is read-only: the card may be worn out, replace it",
        sqlite3.SQLITE_IOERR: "the disk reports an error: the card may be worn out, replace it",
        sqlite3.SQLITE_CANTOPEN: "check device.state_directory and its rights",
    }.get(primary if primary is not None else -1, "restart the appliance")
    return StorageError(f"The outbox cannot be used ({error}); {advice}.")


def connect_file(path: Path) -> sqlite3.Connection:
    """Open the outbox's file; its owner alone may read it. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise StorageError(
            f"The outbox {path} cannot be made ({error.strerror or error}); check "
            "device.state_directory and its rights."
        ) from error
    # The courier and the processing thread share the connection; the outbox's lock orders them.
    return sqlite3.connect(path, timeout=1.0, check_same_thread=False)


def connect_memory() -> sqlite3.Connection:
    """Open an outbox that no disk keeps."""
    return sqlite3.connect(":memory:", check_same_thread=False)
