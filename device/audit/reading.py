"""Reading a log from its beginning, in bounded memory, while the appliance goes on writing."""

import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from device.audit.head import head_content, head_path
from device.audit.line import LONGEST_LINE, Line, decode
from device.errors import StorageError

Progress = Callable[[int, int], None]
"""Called now and then with bytes read and bytes in all."""

_PROGRESS_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A line of the file without its line break, or a part of one that is far too long.

    begins: it is the beginning of a line. ends: a line break follows.
    """

    content: bytes
    begins: bool
    ends: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a log held at one moment: its first `size` bytes, and its head's file."""

    path: Path
    size: int
    head: bytes | None

    @classmethod
    def of(cls, path: Path) -> "Snapshot":
        """Look at a log while nobody writes; a log that is not there is empty.

        Raises StorageError.
        """
        try:
            with path.open("rb") as file:
                # Only for this moment: the appliance must not wait for a long verification.
                fcntl.flock(file, fcntl.LOCK_SH)
                return cls(path, os.fstat(file.fileno()).st_size, head_content(head_path(path)))
        except FileNotFoundError:
            return cls(path, 0, head_content(head_path(path)))
        except OSError as error:
            raise _unreadable(path, error) from error

    def pieces(self, progress: Progress = lambda _read, _all: None) -> Iterator[Piece]:
        """Read the file line by line. Raises StorageError."""
        if not self.size:
            return
        read, told, begins = 0, 0, True
        try:
            with self.path.open("rb") as file:
                while read < self.size:
                    content = file.readline(min(LONGEST_LINE + 1, self.size - read))
                    if not content:
                        raise StorageError(f"{self.path} became shorter while it was read.")
                    read += len(content)
                    ends = content.endswith(b"\n")
                    yield Piece(content.removesuffix(b"\n"), begins, ends)
                    begins = ends
                    if read - told >= _PROGRESS_BYTES:
                        told = read
                        progress(read, self.size)
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def lines(self) -> Iterator[tuple[bytes, Line]]:
        """Read the whole lines only, each as it is and as what it says. Raises StorageError."""
        for piece in self.pieces():
            line = decode(piece.content, Line) if piece.begins else None
            if line is not None:
                yield piece.content, line


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"The audit log {path} cannot be read ({error.strerror or error}): correct its rights, or "
        "read it as the account that the appliance runs under."
    )
