"""A copy of the log for an auditor: whole lines, as they are, and a signed end (R41, R44)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.audit.ending import Ending, signed_ending
from device.audit.line import FIRST, Line, decode, encode, hash_of
from device.audit.log import AuditLog, create
from device.audit.reading import Piece, Snapshot
from device.errors import StorageError
from device.protocol.identifiers import utc_text

_ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Period:
    """What is exported: lines from from_at on, before to_at, RFC 3339 UTC; None is no bound."""

    from_at: str | None = None
    to_at: str | None = None

    def holds(self, at: str) -> bool:
        """Say whether a time lies in it."""
        return (self.from_at or "") <= at and (self.to_at is None or at < self.to_at)


def export(log: Path, out: Path, signer: Ed25519PrivateKey, now_ns: int, period: Period) -> Ending:
    """Copy the lines of a period to a new file. Returns the end that was signed.

    The export is itself noted first, and a checkpoint set. Between the first and the last line of
    the period none is left out, also where a clock was set back. Raises StorageError, also when
    `out` exists or no line is of that period.
    """
    if out.exists():
        raise StorageError(f"{out} exists already: an export never replaces a file.")
    writer = AuditLog(log, signer)
    asked = {"from_at": period.from_at or _ALL, "to_at": period.to_at or _ALL}
    writer.write(now_ns, "export", asked)
    writer.checkpoint(now_ns)
    snapshot = Snapshot.of(log)
    first, last, newest = _range(snapshot, period)
    if not first:
        raise StorageError("The log has no line of that period: nothing was exported.")
    ending = Ending(
        at=utc_text(now_ns),
        first=first,
        from_at=period.from_at,
        hash=FIRST,
        last=last,
        newest=newest,
        to_at=period.to_at,
    )
    try:
        with create(out) as file:
            return _copy(snapshot, ending, signer, file)
    except OSError as error:
        out.unlink(missing_ok=True)
        raise StorageError(f"{out} cannot be written ({error.strerror or error}).") from error


def _range(snapshot: Snapshot, period: Period) -> tuple[int, int, int]:
    """Return the first and last number of the period, and the newest of all; 0 for none."""
    first = last = newest = 0
    for _, line in snapshot.lines():
        newest = line.number
        if period.holds(line.at):
            first, last = first or line.number, line.number
    return first, last, newest


def _copy(snapshot: Snapshot, ending: Ending, signer: Ed25519PrivateKey, file: BinaryIO) -> Ending:
    newest = FIRST
    for piece, line in _between(snapshot, ending.first, ending.last):
        file.write(piece.content + (b"\n" if piece.ends else b""))
        if line is not None:
            newest = hash_of(piece.content)
    end = signed_ending(msgspec.structs.replace(ending, hash=newest), signer)
    file.write(encode(end) + b"\n")
    file.flush()
    os.fsync(file.fileno())
    return end


def _between(snapshot: Snapshot, first: int, last: int) -> Iterator[tuple[Piece, Line | None]]:
    """Read the file from one line to another, with what a power cut left between them."""
    begun = False
    for piece in snapshot.pieces():
        line = decode(piece.content, Line) if piece.begins else None
        number = 0 if line is None else line.number
        begun = begun or number == first
        if begun:
            yield piece, line
        if begun and number == last:
            return
