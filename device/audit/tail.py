"""The end of a log, read backwards: its newest whole line, and what a power cut left behind it."""

import os
from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec

from device.audit.line import FIRST, Line, decode, hash_of
from device.errors import StorageError

_BLOCK_BYTES: Final = 65_536
_MOST_BYTES: Final = 16_000_000


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a log.

    last: the newest whole line; None in a log without one. last_hash, before_hash: of it and of the
    whole line before it. link: what the next line names as `previous`. cut_bytes: behind the newest
    whole line, what is no line; 0 when there is nothing. ended: a line break is at the end.
    """

    last: Line | None
    last_hash: str
    before_hash: str
    link: str
    cut_bytes: int
    ended: bool

    @property
    def number(self) -> int:
        """Number of the newest whole line; 0 without one."""
        return 0 if self.last is None else self.last.number


def read_tail(file: BinaryIO) -> Tail:
    """Return the end of an open log. Raises OSError, and StorageError for what is no log of ours.

    Reads two lines, or as far back as it takes to find them.
    """
    size = file.seek(0, os.SEEK_END)
    length = min(size, _BLOCK_BYTES)
    while True:
        file.seek(size - length)
        tail = tail_of(file.read(length), from_start=length == size)
        if tail is not None:
            return tail
        if length >= _MOST_BYTES:
            raise StorageError(_strange("its end is no log"))
        length = min(size, length * 4)


def tail_of(content: bytes, *, from_start: bool) -> Tail | None:
    """Return the end of a log from its last bytes; None when they are too few.

    from_start: they are the whole log. Raises StorageError for a log of an older version.
    """
    ended = content.endswith(b"\n") or not content
    pieces = content.removesuffix(b"\n").split(b"\n") if content else []
    beginning = 0 if from_start else 1
    found: list[tuple[int, Line]] = []
    for at in range(len(pieces) - 1, beginning - 1, -1):
        line = decode(pieces[at], Line)
        if line is not None:
            found.append((at, line))
            if len(found) == 2 or line.number == 1:  # noqa: PLR2004 - the newest and the one before
                break
    if not found:
        return _without_lines(pieces, ended=ended) if from_start else None
    if len(found) == 1 and not from_start and found[0][1].number > 1:
        return None
    at, last = found[0]
    rest = b"\n".join(pieces[at:])
    return Tail(
        last=last,
        last_hash=hash_of(pieces[at]),
        before_hash=hash_of(pieces[found[1][0]]) if len(found) > 1 else FIRST,
        link=hash_of(rest),
        cut_bytes=len(rest) - len(pieces[at]),
        ended=ended,
    )


def _without_lines(pieces: list[bytes], *, ended: bool) -> Tail:
    if any(_is_old(piece) for piece in pieces):
        raise StorageError(_strange("it was written by an older Passerby"))
    rest = b"\n".join(pieces)
    return Tail(None, FIRST, FIRST, hash_of(rest) if pieces else FIRST, len(rest), ended)


def _is_old(piece: bytes) -> bool:
    """Say whether this is a line of 0.1.0, which had no numbers."""
    try:
        line = msgspec.json.decode(piece)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(line, dict) and {"at", "event", "previous"} <= set(line)


def _strange(why: str) -> str:
    return f"{why}: keep it, move it and its .head elsewhere, and a new one is begun"
