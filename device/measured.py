"""What was measured on this board, kept in the state directory so that the next start need not.

Numbers of the machine only. The file is a help, never a condition: a damaged one, one of another
board or runtime, or a folder that cannot be written means that it is measured again.
"""

import contextlib
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from device.errors import StorageError
from device.files import write_atomically

NAME: Final = "threads.json"
_LARGEST_BYTES: Final = 65536

Kind = TypeVar("Kind", bound=Struct)


class Kept:
    """state: the state directory."""

    def __init__(self, state: Path) -> None:
        self._path = state / NAME

    def read(self, kind: type[Kind]) -> Kind | None:
        """Return what is kept, or None where there is nothing, or nothing of that kind."""
        try:
            with self._path.open("rb") as file:
                content = file.read(_LARGEST_BYTES + 1)
            return msgspec.json.decode(content, type=kind, strict=True)
        except (OSError, ValueError, RecursionError):
            return None

    def keep(self, content: Struct) -> None:
        """Keep this instead of what is there, where that is possible."""
        with contextlib.suppress(StorageError):
            write_atomically(self._path, msgspec.json.encode(content))
