"""What becomes of an outbox whose file is damaged: whole letters are saved, the rest is set aside.

The damaged file keeps its name with `.damaged` behind it, one of them at most, until its letters
are too old to be kept (see `Post`). A new file has a new epoch: the desk sees that something
happened.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from device.alerts.outbox import Entry
from device.errors import StorageError
from device.protocol.envelope import digest_of

_SUFFIX = ".damaged"
_LOGS = ("-wal", "-shm")


def damaged_copy(path: Path) -> Path:
    """Return where the damaged file of an outbox goes."""
    return path.with_name(path.name + _SUFFIX)


def set_aside(path: Path) -> list[Entry]:
    """Move a damaged outbox out of the way; return the letters that are whole.

    Raises StorageError when it cannot be moved.
    """
    aside = damaged_copy(path)
    try:
        for log in _LOGS:
            aside.with_name(aside.name + log).unlink(missing_ok=True)
        path.replace(aside)
        for log in _LOGS:
            with suppress(FileNotFoundError):
                path.with_name(path.name + log).replace(aside.with_name(aside.name + log))
    except OSError as error:
        raise StorageError(
            f"The damaged outbox {path} cannot be moved away ({error.strerror or error}); check "
            "the disk."
        ) from error
    return list(_whole_letters(aside))


def _whole_letters(path: Path) -> Iterator[Entry]:
    """Yield every letter that can be read and has the digest that it had when it was kept."""
    try:
        base = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=1.0)
    except sqlite3.Error:
        return
    try:
        base.execute("PRAGMA locking_mode = EXCLUSIVE")
        for number in _numbers(base):
            with suppress(sqlite3.Error, TypeError, ValueError):
                row = base.execute(
                    "SELECT kind, captured_ms, queued_ms, digest, letter FROM letters "
                    "WHERE number = ? AND dead IS NULL",
                    (number,),
                ).fetchone()
                entry = Entry(number, row[0], int(row[1]), int(row[2]), row[3], bytes(row[4]))
                if entry.digest == digest_of(entry.letter) and entry.kind in ("alert", "record"):
                    yield entry
    except sqlite3.Error:
        return
    finally:
        base.close()


def _numbers(base: sqlite3.Connection) -> Iterator[int]:
    """Yield the numbers there may be, also where the table's index can no longer be walked."""
    found = [1, 0]
    for at, query in enumerate(
        ("SELECT MIN(number) FROM letters", "SELECT seq FROM sqlite_sequence")
    ):
        with suppress(sqlite3.Error, TypeError, ValueError):
            found[at] = int(base.execute(query).fetchone()[0])
    if found[1] < found[0]:
        with suppress(sqlite3.Error, TypeError, ValueError):
            found[1] = int(base.execute("SELECT MAX(number) FROM letters").fetchone()[0])
    yield from range(found[0], found[1] + 1)
