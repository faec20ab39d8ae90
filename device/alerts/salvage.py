"""What becomes of an outbox whose file is damaged: whole letters are saved, the rest is set aside.

The damaged file is renamed to `.damaged-N`, and once its whole letters are in the new outbox to
`.saved-N`; so a power cut in between only makes it be read again. Saved ones are erased when their
letters are too old to be kept (see `Post`). A new file has a new epoch: the desk sees that
something happened.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from device.alerts.outbox import Entry
from device.errors import StorageError
from device.protocol.envelope import digest_of

_DAMAGED, _SAVED = ".damaged-", ".saved-"
_LOG = "-wal"
_LEAST_BYTES = 256
"""Of a row: more numbers than the file has room for are garbage."""


def set_aside(path: Path) -> None:
    """Move a damaged outbox out of the way. Raises StorageError when it cannot be moved."""
    number = 1 + max(map(_number, [*_all(path, _DAMAGED), *_all(path, _SAVED)]), default=0)
    try:
        path.replace(_named(path, f"{_DAMAGED}{number}"))
    except OSError as error:
        raise StorageError(
            f"The damaged outbox {path} cannot be moved away ({error.strerror or error}); check "
            "the disk."
        ) from error
    _bring_the_log(path)


def damaged_files(path: Path) -> list[Path]:
    """Return the files whose letters are not saved yet, oldest first."""
    _bring_the_log(path)
    return _all(path, _DAMAGED)


def saved_files(path: Path) -> list[Path]:
    """Return the files whose letters were saved."""
    return _all(path, _SAVED)


def mark_saved(path: Path, damaged: Path) -> None:
    """Note that the letters of a damaged file are in the new outbox. Raises StorageError."""
    try:
        damaged.replace(_named(path, f"{_SAVED}{_number(damaged)}"))
        _log_of(damaged).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{damaged} cannot be renamed ({error.strerror or error}); check the disk."
        ) from error


def whole_letters(damaged: Path) -> Iterator[Entry]:
    """Yield every letter that can be read and has the digest that it had when it was kept."""
    try:
        base = sqlite3.connect(f"file:{damaged}?mode=rw", uri=True, timeout=1.0)
    except sqlite3.Error:
        return
    try:
        base.execute("PRAGMA locking_mode = EXCLUSIVE")
        for number in _numbers(base, _size(damaged) + _size(_log_of(damaged))):
            entry = _whole_letter(base, number)
            if entry is not None:
                yield entry
    except sqlite3.Error:
        return
    finally:
        base.close()


def _whole_letter(base: sqlite3.Connection, number: int) -> Entry | None:
    with suppress(sqlite3.Error, TypeError, ValueError):
        row = base.execute(
            "SELECT kind, captured_ms, queued_ms, digest, letter FROM letters "
            "WHERE number = ? AND dead IS NULL",
            (number,),
        ).fetchone()
        entry = Entry(number, row[0], int(row[1]), int(row[2]), row[3], bytes(row[4]))
        if entry.digest == digest_of(entry.letter) and entry.kind in ("alert", "record"):
            return entry
    return None


def _numbers(base: sqlite3.Connection, size_bytes: int) -> Iterator[int]:
    """Yield the numbers there may be, also where the table's index can no longer be walked."""
    least, most = 1, 0
    with suppress(sqlite3.Error, TypeError, ValueError):
        least = int(base.execute("SELECT MIN(number) FROM letters").fetchone()[0])
    for query in ("SELECT MAX(number) FROM letters", "SELECT seq FROM sqlite_sequence"):
        with suppress(sqlite3.Error, TypeError, ValueError):
            most = max(most, int(base.execute(query).fetchone()[0]))
    yield from range(least, min(most, least + size_bytes // _LEAST_BYTES) + 1)


def _bring_the_log(path: Path) -> None:
    """Move the log after its database, also after a power cut between the two."""
    damaged = _all(path, _DAMAGED)
    if damaged and not path.exists() and not _log_of(damaged[-1]).exists():
        with suppress(OSError):
            _log_of(path).replace(_log_of(damaged[-1]))


def _all(path: Path, mark: str) -> list[Path]:
    found = [one for one in path.parent.glob(f"{path.name}{mark}*") if one.name[-1].isdigit()]
    return sorted(found, key=_number)


def _number(path: Path) -> int:
    digits = path.name.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def _named(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _log_of(path: Path) -> Path:
    return _named(path, _LOG)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
