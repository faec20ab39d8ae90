"""The link from one whole line to the next, over whatever a power cut left between them."""

import hashlib
from typing import Final, NamedTuple

import msgspec

from device.audit.line import FIRST, Line, decode
from device.audit.reading import Piece

_BEGINNING: Final = b'{"at":"'
"""Of every line: so an unfinished one can be told from what somebody wrote."""
_MOST_KEPT: Final = 100


class Strange(NamedTuple):
    """A line of the file that is no line of the log. at: from 1.

    unfinished: it is what a power cut can leave, a line's beginning, perhaps with zeros behind it.
    """

    at: int
    unfinished: bool


class Link:
    """What the next line must name as `previous`, and what stands before it that is no line.

    strange: the first hundred. strange_bytes: of all, counted as the writer counts them.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._empty = True
        self.strange: list[Strange] = []
        self.strange_bytes = 0

    @property
    def name(self) -> str:
        """The hash that the next line must name."""
        return FIRST if self._empty else self._hash.hexdigest()

    def restart(self, content: bytes) -> None:
        """Begin anew at a whole line."""
        self._hash = hashlib.sha256(content)
        self._empty = False
        self.strange = []
        self.strange_bytes = 0

    def add(self, at: int, piece: Piece) -> None:
        """Add a piece that is no line. at: its line of the file."""
        if piece.begins:
            if not self._empty:
                self._hash.update(b"\n")
                self.strange_bytes += 1
            if len(self.strange) < _MOST_KEPT:
                self.strange.append(Strange(at, _is_unfinished(piece.content)))
        self._hash.update(piece.content)
        self._empty = False
        self.strange_bytes += len(piece.content)


def _is_unfinished(content: bytes) -> bool:
    bare = content.rstrip(b"\0")
    if bare[: len(_BEGINNING)] != _BEGINNING[: len(bare)]:
        return False
    try:
        msgspec.json.decode(bare)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return True
    # Whole but for its line break, in whose place there are zeros; nothing else is whole.
    return bare != content and decode(bare, Line) is not None
