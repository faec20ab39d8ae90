"""The memory in which an interpreter computes, found when a model is opened, and wiped (R13).

From a face's pixels to its template a network fills memory that no interface shows: TensorFlow
Lite's arena and the workspace of XNNPACK. The pixels themselves are in it, shifted by 128, until
the next face. So when a model is opened, every piece of memory that the opening took is looked at:
what follows the input through a row of inputs, each several times and in no order that anything
else has, was computed from it. These pieces are overwritten after every frame.

Two things are checked before that is believed: the input and the outputs lie in what was found, and
the outputs are the same after it was overwritten. Where one of them does not hold (another
interpreter, a Coral, another C library), the network computes once more on a black picture
instead, which overwrites all of it at the price of one pass.
"""

import ctypes
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from device.allocator import Range, read, still_mapped
from device.capture.workspace import is_black

Compute = Callable[[int], list[bytes]]
"""Runs the network on a picture that a seed draws; returns its outputs as bytes."""

_SEEDS: Final = (1, 2, 2, 1, 3, 1, 3, 2)
"""Another thread's buffer that is filled and wiped again and again goes another way."""
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
        return all(is_black(array) for array in self._arrays)


def find(taken: list[Range], compute: Compute, ends: list[int]) -> Scratch | None:
    """Return the scratch memory among the pieces that the opening took; None when it is unsure.

    taken: see `device.allocator.in_pages_of_their_own`. compute: see `Compute`. ends: addresses of
    the input and of the outputs.
    """
    seen: list[dict[int, int | None]] = [{} for _ in taken]
    left = set(range(len(taken)))
    expected: list[bytes] = []
    for seed in _SEEDS:
        expected = compute(seed)
        for number in sorted(left):
            digest = _digest(taken[number])
            if digest is None or seen[number].setdefault(seed, digest) != digest:
                left.discard(number)
    # What is alike after all inputs are weights.
    follows = [taken[number] for number in sorted(left) if len(set(seen[number].values())) > 1]
    pieces = still_mapped(follows)
    if pieces != follows or not all(any(a <= end < b for a, b in pieces) for end in ends):
        return None
    scratch = Scratch([(_content(piece), piece[1]) for piece in pieces])
    scratch.wipe()
    if compute(_SEEDS[-1]) != expected:
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
