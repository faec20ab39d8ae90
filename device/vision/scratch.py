"""The memory in which an interpreter computes, found when a model is opened, and wiped (R13).

From a face's pixels to its template a network fills memory that no interface shows: TensorFlow
Lite's arena and the workspace of XNNPACK. The pixels themselves are in it, shifted by 128, until
the next face. So when a model is opened, every piece of memory that the opening took is looked at:
what differs after two inputs, and is the same again after the first one, was computed from the
input. These pieces are overwritten after every frame.

That they are what they seem is proved before it is believed: the outputs must be the same after
they were overwritten. Where nothing is found, or that does not hold (another interpreter, a Coral,
another C library), the network computes once more on a black picture instead, which overwrites all
of it at the price of one pass.
"""

import ctypes
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from device.allocator import Range, read

Compute = Callable[[int], list[bytes]]
"""Runs the network on a picture that a seed draws; returns its outputs as bytes."""

_HEADER: Final = 16
_ALIGNMENTS: Final = range(_HEADER, 4096, _HEADER)


class Scratch:
    """Pieces of memory that a living interpreter computes in. Keep it no longer than that."""

    def __init__(self, pieces: list[Range]) -> None:
        self._arrays = [_array(first, end) for first, end in pieces]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(array.nbytes for array in self._arrays)

    def wipe(self) -> None:
        """Overwrite all of it with zeros."""
        for array in self._arrays:
            array.fill(0)

    @property
    def wiped(self) -> bool:
        """True when nothing but zeros is left."""
        return not any(array.any() for array in self._arrays)


def find(taken: list[Range], compute: Compute) -> Scratch | None:
    """Return the scratch memory among the pieces that the opening took; None when it is unsure.

    taken: see `device.allocator.in_pages_of_their_own`. compute: see `Compute`.
    """
    compute(1)
    first = [_digest(piece) for piece in taken]
    expected = compute(2)
    second = [_digest(piece) for piece in taken]
    compute(1)
    again = [_digest(piece) for piece in taken]
    changed = [
        piece
        for piece, one, two, three in zip(taken, first, second, again, strict=True)
        if one is not None and one == three != two
    ]
    if not changed:
        return None
    scratch = Scratch([(_content(piece), piece[1]) for piece in changed])
    scratch.wipe()
    if compute(2) != expected:
        return None
    scratch.wipe()
    return scratch


def _digest(piece: Range) -> int | None:
    content = read(piece)
    return None if content is None else zlib.crc32(content)


def _content(piece: Range) -> int:
    """Return where the C library's own notes about a piece end.

    They stand before the content, which may begin later where an alignment was asked for; then they
    say by how much (malloc/malloc.c, `_int_memalign`).
    """
    first, end = piece
    words = _array(first, min(end, first + _ALIGNMENTS.stop + _HEADER)).view(np.uint64)
    for skipped in _ALIGNMENTS:
        place = skipped // 8
        if place + 1 >= len(words):
            break
        if int(words[place]) == skipped and int(words[place + 1]) & ~7 == end - first - skipped:
            return first + skipped + _HEADER
    return first + _HEADER


def _array(first: int, end: int) -> npt.NDArray[np.uint8]:
    memory = (ctypes.c_uint8 * (end - first)).from_address(first)
    return np.ctypeslib.as_array(memory)
