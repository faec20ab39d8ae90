"""An append-only log: every line is chained to all before it and signed by the device (R41, R42).

A line is on the disk before the work goes on. A kill or a power cut at any byte leaves a log that
goes on: an unfinished line is ended, kept, and chained over by a line that says so. What cannot
come from a kill (a missing end, a foreign line) is written down by the next line, for ever.
"""

import fcntl
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.audit.events import Details, Value, checked
from device.audit.head import Standing, encode_head, head_content, head_path, number_in, standing
from device.audit.line import Line, authentic, encode, hash_of, key_name, signed
from device.audit.tail import Tail, read_tail
from device.errors import StorageError
from device.files import write_atomically
from device.protocol.identifiers import utc_text


class AuditLog:
    """The log in one file. signer: this device's own key; without one lines are not signed."""

    def __init__(self, path: Path, signer: Ed25519PrivateKey | None = None) -> None:
        self.path = path
        self._signer = signer
        self._key = None if signer is None else signer.public_key()

    def check(self) -> None:
        """Raise StorageError when the log cannot be opened for writing; write nothing."""
        try:
            self._opened().close()
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error

    def write(self, now_ns: int, event: str, details: Details) -> str:
        """Append one line and wait until it is on the disk. Returns the hash of the line.

        Raises StorageError when it cannot be written; then it may be written again, and is there
        once. Raises ValueError for an event or a detail that is not in device/audit/events.py.
        """
        told = checked(event, details)
        try:
            with self._opened() as file:
                # `passerby match` may run beside the appliance: one writer at a time.
                fcntl.flock(file, fcntl.LOCK_EX)
                return self._write(file, utc_text(now_ns), event, told)
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error
        except StorageError as error:
            raise self._unwritable(str(error).rstrip(".")) from error

    def checkpoint(self, now_ns: int) -> str | None:
        """Append a checkpoint. Returns its hash, for the desk to hold; None without a signer.

        Whoever holds the hash can tell later whether the log was replaced by an older one or a
        forged one. Raises StorageError.
        """
        if self._key is None:
            return None
        return self.write(now_ns, "checkpoint", {"key": key_name(self._key)})

    def _opened(self) -> FileIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(handle, "rb+", buffering=0)

    def _write(self, file: FileIO, at: str, event: str, details: dict[str, Value]) -> str:
        tail = read_tail(cast("BinaryIO", file))
        content = head_content(head_path(self.path))
        found = self._standing(content, tail)
        if content is None and tail.last is None:
            self._put_head(tail)  # from now on, a log without a head has lost it
        elif found.state == "ahead" and tail.last is not None:
            # Its head comes first, so that the log is never more than one line ahead.
            self._put_head(tail)
            if (tail.last.at, tail.last.event, tail.last.details) == (at, event, details):
                return tail.last_hash  # written before, and only its head had failed
        if found.state == "damaged":
            # Before the head is replaced: what it knew would be lost otherwise.
            known = {"found": tail.number, "head": number_in(content)}
            tail = self._append(file, tail, at, "log damaged", {"fault": found.fault, **known})
        if tail.cut_bytes:
            tail = self._append(file, tail, at, "line cut short", {"bytes": tail.cut_bytes})
        return self._append(file, tail, at, event, details).last_hash

    def _standing(self, head: bytes | None, tail: Tail) -> Standing:
        last, key = tail.last, self._key
        if last is not None and last.signature is not None and key is None:
            raise StorageError("it is signed with this device's keys, and they were not at hand")
        if last is not None and key is not None and not authentic(last, last.signature, key):
            # A foreign line must not become part of the chain without a word.
            return Standing("damaged", "Its newest line is not signed by this device.")
        return standing(head, tail, key)

    def _append(self, file: FileIO, tail: Tail, at: str, event: str, details: Details) -> Tail:
        line = signed(Line(at, dict(details), event, tail.number + 1, tail.link), self._signer)
        content = encode(line)
        size = file.seek(0, os.SEEK_END)
        try:
            _write_all(file, (b"" if tail.ended else b"\n") + content + b"\n")
            os.fsync(file.fileno())
        except OSError:
            # Ours, unfinished and promised to nobody. Where the file is append-only (chattr +a) it
            # stays, and the next line says so.
            with suppress(OSError):
                os.ftruncate(file.fileno(), size)
            raise
        name = hash_of(content)
        after = Tail(line, name, tail.last_hash, name, cut_bytes=0, ended=True)
        self._put_head(after)
        return after

    def _put_head(self, tail: Tail) -> None:
        content = encode_head(tail.number, tail.last_hash, self._signer)
        write_atomically(head_path(self.path), content, mode=0o600)

    def _unwritable(self, why: str) -> StorageError:
        return StorageError(
            f"The audit log {self.path} cannot be written ({why}): nothing is compared without it. "
            "Free some space, or correct device.state_directory or its rights."
        )


def create(path: Path) -> BinaryIO:
    """Make a new file for an export, for its owner alone. Raises OSError, also when it exists."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(handle, "wb")


def _write_all(file: FileIO, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) or 0 :]
