"""An append-only log; every line carries the hash of the line before (R41, R42).

This first form proves order and completeness to whoever holds the newest hash. Signed checkpoints
and the verifying command come with the lawful watchlist (see docs/compliance.md).
"""

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from device.errors import StorageError
from device.protocol.identifiers import utc_text

_FIRST = "0" * 64
_TAIL_BYTES = 65_536


class AuditLog:
    """Lines of JSON in one file: time, event, details, hash of the previous line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self) -> None:
        """Raise StorageError when the log cannot be opened for writing; write nothing."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600))
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StorageError:
        return StorageError(
            f"The audit log {self._path} cannot be written ({error.strerror or error}): nothing is "
            "compared without it. Free some space, or correct device.state_directory or its rights."
        )

    def write(self, now_ns: int, event: str, details: dict[str, Any]) -> None:
        """Append one line and wait until it is on the disk. Raises StorageError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "rb+") as file:
                # `passerby match` may run beside the appliance: one writer at a time.
                fcntl.flock(file, fcntl.LOCK_EX)
                entry = {
                    "at": utc_text(now_ns),
                    "event": event,
                    **details,
                    "previous": _last_hash(file),
                }
                file.write(msgspec.json.encode(entry) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error


def _last_hash(file: Any) -> str:  # noqa: ANN401 - a binary file, opened for reading and appending
    """Return the hash of the last line; a line that a power cut left unfinished is ended first."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return _FIRST
    tail, at = b"", size
    # A line may be longer than one block; its hash is that of the whole of it.
    while at > 0 and b"\n" not in tail[:-1]:
        at = max(0, at - _TAIL_BYTES)
        file.seek(at)
        tail = file.read(size - at)
    file.seek(0, os.SEEK_END)
    if not tail.endswith(b"\n"):
        file.write(b"\n")
        tail += b"\n"
    return hashlib.sha256(tail.rstrip(b"\n").rpartition(b"\n")[2]).hexdigest()
