"""What the C library does with memory that is given back: overwrite it at once (R13).

Libraries that see a face (OpenCV, NumPy, the interpreter) take memory for a moment and free it;
glibc keeps it, with what was in it, until somebody takes it again. Two of glibc's own switches end
that, and they are set before a program starts, so a program starts itself once more with them:

    glibc.malloc.perturb       what is freed is overwritten
    glibc.malloc.tcache_count  0: the small pieces too; the cache in front of the lists skips the
                               overwriting

`in_pages_of_their_own` gives the large pieces that something allocates whole pages, so that they
can be found. Elsewhere than on glibc nothing here has any effect. Source: mallopt(3); "Memory
Allocation Tunables" in the manual of the GNU C Library; malloc/malloc.c of version 2.36.
"""

import ctypes
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, TypeVar

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_VARIABLE: Final = "GLIBC_TUNABLES"
_TUNABLES: Final = {"glibc.malloc.perturb": "165", "glibc.malloc.tcache_count": "0"}
FREED: Final = 165
"""The byte that freed memory is filled with."""

# Of <malloc.h>.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_PERTURB = -1, -2, -3, -6
_PAGE: Final = 4096
_TOP_PAD: Final = 128 * 1024
_MOST_KEPT: Final = 64 * 1024 * 1024
_LARGE: Final = 32 * 1024 * 1024
"""The most that glibc takes for either: larger pieces come from the kernel, and go back to it."""
_MAPPING: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw.p 0+ 00:00 0\s*$")

Result = TypeVar("Result")
Range = tuple[int, int]
"""First address, and the one after the last."""


def restarted_with(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return the environment in which freed memory is overwritten; None when this is one."""
    set_already = [part for part in environment.get(_VARIABLE, "").split(":") if part]
    ours = [f"{name}={value}" for name, value in _TUNABLES.items()]
    if set(ours) <= set(set_already):
        return None
    others = [part for part in set_already if part.partition("=")[0] not in _TUNABLES]
    return {**environment, _VARIABLE: ":".join([*others, *ours])}


def overwrite_what_is_freed() -> bool:
    """Switch the overwriting on from here on. Returns whether small pieces are overwritten too.

    Small ones are only in a program that was started with `restarted_with`.
    """
    if not hasattr(_LIBC, "mallopt"):
        return False
    _LIBC.mallopt(_M_PERTURB, FREED)
    _keep_what_is_freed()
    return _is_overwritten(64)


def _is_overwritten(size: int) -> bool:
    """Free a piece and look at it: the one way to learn what this C library really does."""
    _LIBC.malloc.restype = ctypes.c_void_p
    _LIBC.malloc.argtypes = [ctypes.c_size_t]
    _LIBC.free.argtypes = [ctypes.c_void_p]
    address = _LIBC.malloc(size)
    if not address:
        return False
    ctypes.memset(address, 1, size)
    _LIBC.free(address)
    # The lists' own pointers lie in the first half.
    return ctypes.string_at(address + size // 2, size // 2) == bytes([FREED]) * (size // 2)


def _keep_what_is_freed() -> None:
    """Let a frame's buffers come from memory that is kept, not from fresh pages every time.

    As glibc does by itself, until somebody calls mallopt; then it is to be told.
    """
    _LIBC.mallopt(_M_MMAP_THRESHOLD, _LARGE)
    _LIBC.mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)
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
    """Call something so that every large piece that it allocates has pages of its own.

    Large: more than the 32 kB that glibc gives a new thread to begin with. It runs in a thread of
    its own: there nothing is free yet. Returns its result and those pieces, first and last page
    included; other threads' that came in the meantime may be among them. What it raises is raised.
    """
    if not hasattr(_LIBC, "mallopt"):
        return Apart(call())
    outcome: list[Result] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            raised.append(error)

    before = _anonymous()
    _LIBC.mallopt(_M_TOP_PAD, 0)
    _LIBC.mallopt(_M_MMAP_THRESHOLD, _PAGE)
    try:
        thread = threading.Thread(target=run, name="open")
        thread.start()
        thread.join()
    finally:
        _keep_what_is_freed()
    if raised:
        raise raised[0]
    taken = [piece for new in _without(_anonymous(), before) for piece in _pieces(new)]
    return Apart(outcome[0], taken)


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
    """Return what glibc mapped, one by one: each begins with its own length."""
    at, end = mapping
    found = []
    while at < end:
        noted = read((at + 8, at + 16))
        if noted is None:
            break
        length = int.from_bytes(noted, sys.byteorder)
        mapped, size = length & 2, length & ~7
        if not mapped or size % _PAGE or not 0 < size <= end - at:
            break
        found.append((at, at + size))
        at += size
    return found
