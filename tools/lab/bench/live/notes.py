"""Reads what the pencil in the appliance's process wrote down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from device.errors import StorageError
from tools.lab.bench.live.fake.sitecustomize import FRAME, QUEUED, RECEIPTED, RECORD


class Processed(msgspec.Struct, frozen=True, array_like=True):
    """A frame that was processed. Times in nanoseconds since boot.

    taken_ns: by the camera. worked_ns: processor time of the processing thread.
    """

    taken_ns: int
    began_ns: int
    ended_ns: int
    worked_ns: int

    @property
    def began_ms(self) -> float:
        """The frame's age when its processing began."""
        return (self.began_ns - self.taken_ns) / 1e6

    @property
    def ended_ms(self) -> float:
        """The frame's age when its processing ended."""
        return (self.ended_ns - self.taken_ns) / 1e6


class Letter(msgspec.Struct, frozen=True, array_like=True):
    """An alert in the outbox. sequence: its number among the alerts. Wall clock, nanoseconds.

    receipted_ns: None while no receipt has come.
    """

    sequence: int
    queued_ns: int
    kept_ns: int
    receipted_ns: int | None


@dataclass
class Notes:
    """frames, letters: in the order of their coming. waiting: (wall clock ns, letters)."""

    frames: list[Processed] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    waiting: list[tuple[int, int]] = field(default_factory=list)


def read_notes(file: Path) -> Notes:
    """Read all records. A file that does not exist yet holds none. Raises StorageError."""
    content = file.read_bytes() if file.exists() else b""
    # The last record may be half written while the appliance runs.
    whole = len(content) // RECORD.size * RECORD.size
    records = list(RECORD.iter_unpack(content[:whole]))
    unknown = {record[0] for record in records} - {FRAME, QUEUED, RECEIPTED}
    if unknown:
        raise StorageError(f"{file} holds records of no known kind ({unknown}).")
    frames = [Processed(*facts) for kind, *facts in records if kind == FRAME]
    return Notes(frames, _letters(records), _waiting(records))


def _letters(records: Sequence[tuple[int, ...]]) -> list[Letter]:
    receipts = {number: at for kind, number, _, _, at in records if kind == RECEIPTED}
    return [
        Letter(sequence, began, ended, receipts.get(number))
        for kind, sequence, number, began, ended in records
        if kind == QUEUED and sequence
    ]


def _waiting(records: Sequence[tuple[int, ...]]) -> list[tuple[int, int]]:
    count, line = 0, []
    for kind, _, number, _, at in records:
        if kind == QUEUED and number:
            count += 1
        elif kind == RECEIPTED:
            count -= 1
        else:
            continue
        line.append((at, count))
    return line
