"""What the C library does with memory that is given back: overwrite it at once (R13).

Libraries that see a face (OpenCV, NumPy, the interpreter) take memory for a moment and free it;
glibc keeps it, with what was in it, until somebody takes it again. Two of glibc's own switches end
that, and they are set before a program starts, so a program starts itself once more with them:

    glibc.malloc.perturb       what is freed is overwritten
    glibc.malloc.tcache_count  0: the small pieces too; the cache in front of the lists skips the
                               overwriting

`in_pages_of_their_own` gives every piece of a page or more that something allocates pages of its
own, so that it can be found. `giving_back` lets what an opening takes for a moment go back to the
system. Elsewhere than on glibc nothing here has any effect. Source:
mallopt(3); "Memory Allocation Tunables" in the manual of the GNU C Library; malloc/malloc.c of
version 2.36.
"""

import ctypes
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, TypeVar

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.malloc.restype = ctypes.c_void_p
_LIBC.malloc.argtypes = [ctypes.c_size_t]
_LIBC.free.argtypes = [ctypes.c_void_p]
_VARIABLE: Final = "GLIBC_TUNABLES"
_STARTED_AGAIN: Final = "PASSERBY_STARTED_AGAIN"
_TUNABLES: Final = {"glibc.malloc.perturb": "165", "glibc.malloc.tcache_count": "0"}
FREED: Final = 165
"""The byte that freed memory is filled with."""

# Of <malloc.h>.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_PERTURB = -1, -2, -3, -6
_PAGE: Final = 4096
_MOST_PIECES: Final = 20_000
"""More free pieces than a heap of ours ever has; an end, should the C library be another one."""
_ALONE: Final = threading.RLock()
"""The C library's settings are one for all threads."""
_SIZES: Final = [_PAGE << shift for shift in range(12, -1, -1)]
_MAPPED: Final = 2
"""The bit in a piece's noted length that says that the kernel mapped it for this piece alone."""
_TOP_PAD: Final = 128 * 1024
_MOST_KEPT: Final = 64 * 1024 * 1024
_LARGE: Final = 32 * 1024 * 1024
"""The most that glibc takes: larger pieces come from the kernel, and go back to it."""
_KEPT: Final = (_LARGE, _MOST_KEPT)
_GIVEN_BACK: Final = (128 * 1024, 128 * 1024)
"""glibc's own figures at a program's start."""
_HABITS: Final = [_KEPT]
"""From how many bytes a piece is mapped by itself, and how many may stay free at the heap's end.
The last pair counts."""
_MAPPING: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw.p 0+ 00:00 0\s*$")

Result = TypeVar("Result")
Range = tuple[int, int]
"""First address, and the one after the last."""


def restarted_with(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return the environment in which freed memory is overwritten; None when this is one.

    None, too, when a program was started with it already, and the system took it away: from one
    with capabilities of its own it does. Then `overwrite_what_is_freed` says so.
    """
    # What the C library cannot read, it may answer by reading none of it.
    set_already = [part for part in environment.get(_VARIABLE, "").split(":") if "=" in part]
    ours = [f"{name}={value}" for name, value in _TUNABLES.items()]
    if set(ours) <= set(set_already) or _STARTED_AGAIN in environment:
        return None
    others = [part for part in set_already if part.partition("=")[0] not in _TUNABLES]
    return {**environment, _VARIABLE: ":".join([*others, *ours]), _STARTED_AGAIN: "1"}


def overwrite_what_is_freed() -> bool:
    """Switch the overwriting on from here on. Returns whether small pieces are overwritten too.

    Small ones are only in a program that was started with `restarted_with`.
    """
    if not hasattr(_LIBC, "mallopt"):
        return False
    _LIBC.mallopt(_M_PERTURB, FREED)
    _settle()
    return _is_overwritten(64)


def _is_overwritten(size: int) -> bool:
    """Free a piece and look at it: the one way to learn what this C library really does."""
    address = _malloc(size)
    if address is None:
        return False
    ctypes.memset(address, 1, size)
    _LIBC.free(address)
    # The lists' own pointers lie in the first half.
    return ctypes.string_at(address + size // 2, size // 2) == bytes([FREED]) * (size // 2)


@contextmanager
def giving_back() -> Iterator[None]:
    """Let large pieces that are freed in the block go back to the system instead of being kept.

    For what is done once, such as opening models and lists: it takes megabytes for a moment that no
    frame needs again, and what stays in the heap stays resident, since all of it is locked.
    """
    if not hasattr(_LIBC, "mallopt"):
        yield
        return
    with _ALONE:
        _HABITS.append(_GIVEN_BACK)
        _settle()
    try:
        yield
    finally:
        with _ALONE:
            _HABITS.pop()
            _settle()


def _settle() -> None:
    """Tell the C library what is kept: by default all that a frame frees, for the next one.

    As glibc does by itself, until somebody calls mallopt; then it is to be told.
    """
    mapped, kept = _HABITS[-1]
    _LIBC.mallopt(_M_MMAP_THRESHOLD, mapped)
    _LIBC.mallopt(_M_TRIM_THRESHOLD, kept)
    _LIBC.mallopt(_M_TOP_PAD, _TOP_PAD)


class _Part(ctypes.Structure):
    """`struct iovec`."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def read(piece: Range) -> bytes | None:
    """Return a copy of this process's own memory; None where there is none (any more).

    By way of the kernel: another thread may give memory back at any moment, and looking at what is
    gone would end the program.
    """
    first, end = piece
    into = ctypes.create_string_buffer(end - first)
    here = _Part(ctypes.addressof(into), end - first)
    there = _Part(first, end - first)
    _LIBC.process_vm_readv.restype = ctypes.c_ssize_t
    got = _LIBC.process_vm_readv(os.getpid(), ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return into.raw if got == end - first else None


@dataclass(slots=True)
class Apart(Generic[Result]):
    """What a call returned, and the memory that it took and still has."""

    result: Result
    taken: list[Range] = field(default_factory=list)


def in_pages_of_their_own(call: Callable[[], Result]) -> Apart[Result]:
    """Call something so that every piece of a page or more that it allocates has pages of its own.

    Returns its result and those pieces, first and last page included; other threads' that came in
    the meantime may be among them. What it raises is raised.
    """
    if not hasattr(_LIBC, "mallopt"):
        return Apart(call())
    with _ALONE:
        _LIBC.mallopt(_M_TOP_PAD, 0)
        _LIBC.mallopt(_M_MMAP_THRESHOLD, _PAGE)
        before = _anonymous()
        # What is free already would be taken first: it is taken away until the call is over.
        fillers = _all_that_is_free()
        try:
            result = call()
            after = _anonymous()
        finally:
            _settle()
            for filler in fillers:
                _LIBC.free(filler)
    return Apart(result, [piece for new in _without(after, before) for piece in _pieces(new)])


def _all_that_is_free() -> list[int]:
    """Take every free piece of a page or more that this thread's heap holds, the large ones first.

    A piece that the kernel had to map is given back: there was no such one free.
    """
    taken: list[int] = []
    # From large to small: so it takes few pieces. The last size is what counts.
    for size in _SIZES:
        while len(taken) < _MOST_PIECES and (address := _malloc(size)) is not None:
            noted = ctypes.c_size_t.from_address(address - ctypes.sizeof(ctypes.c_size_t))
            if noted.value & _MAPPED:
                _LIBC.free(address)
                break
            taken.append(address)
    return taken


def _malloc(size: int) -> int | None:
    address: int | None = _LIBC.malloc(size)
    return address


def _anonymous() -> list[Range]:
    """Return the writable mappings of this process that belong to no file, in order."""
    lines = Path("/proc/self/maps").read_text("ascii", "replace").splitlines()
    found = [_MAPPING.match(line) for line in lines]
    return [(int(one[1], 16), int(one[2], 16)) for one in found if one]


def _without(mappings: list[Range], before: list[Range]) -> list[Range]:
    """Return the parts of mappings that were none before; the kernel joins neighbours."""
    parts = []
    for first, end in mappings:
        at = first
        for old_first, old_end in before:
            if old_end <= at or old_first >= end:
                continue
            if old_first > at:
                parts.append((at, old_first))
            at = max(at, old_end)
        if at < end:
            parts.append((at, end))
    return parts


def _pieces(mapping: Range) -> list[Range]:
    """Return what glibc mapped, one by one: each begins with its own length.

    The kernel joins neighbours, also with what others mapped; there the next page is tried.
    """
    at, end = mapping
    found = []
    while at < end:
        size = _noted_size(at, end)
        if size:
            found.append((at, at + size))
        at += size or _PAGE
    return found


def _noted_size(at: int, end: int) -> int:
    """Return the length of the piece that begins here, or 0 where none does."""
    noted = read((at, at + 16))
    if noted is None:
        return 0
    before, length = (int.from_bytes(noted[i : i + 8], sys.byteorder) for i in (0, 8))
    size = length & ~7
    whole = size and size % _PAGE == 0 and size <= end - at
    return size if whole and before == 0 and length & 7 == _MAPPED else 0


def still_mapped(pieces: list[Range]) -> list[Range]:
    """Return those pieces that are writable memory of this process now."""
    mappings = _anonymous()
    return [
        piece
        for piece in pieces
        if any(first <= piece[0] and piece[1] <= end for first, end in mappings)
    ]
