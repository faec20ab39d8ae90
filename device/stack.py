"""What functions that have returned leave on a thread's stack (R13).

Linear algebra keeps small vectors there, also the scores of a face against the whole list. So at
the end of a frame the dead part below the running function is overwritten: from where the stack
stands, as the C library's `getcontext` tells it, some way down. Nothing lives there: what is called
to do it has its own few words above that part, and an interruption is over before it goes on.
"""

import ctypes
import platform
import resource
import threading
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None)
_STACK_POINTER: Final = {"x86_64": 160, "aarch64": 432}
"""Where it stands in a `ucontext_t`, in bytes: <sys/ucontext.h> of glibc."""
_CONTEXT_BYTES: Final = 8192
_DEPTH: Final = 256 * 1024
"""How far down is overwritten: more than anything here uses; 56 kilobytes were seen."""
SHALLOW: Final = 32 * 1024
"""How far down where no network ran: looking for motion uses 8 kilobytes (a test measures it)."""
_USUAL: Final = 8 * 1024 * 1024
_MARGIN: Final = 512
"""Bytes that are left alone: what is called last, and the 128 that a function may use below."""


class DeadStack:
    """Of the thread that calls it. known: whether it can be overwritten on this machine."""

    def __init__(self) -> None:
        offset = _STACK_POINTER.get(platform.machine())
        self._offset = -1 if offset is None else offset
        self._context = ctypes.create_string_buffer(_CONTEXT_BYTES)
        # A view: nothing is copied when it is read.
        self._pointer = ctypes.c_uint64.from_buffer(self._context, max(0, self._offset))
        self._stacks: dict[int, tuple[int, int]] = {}
        self.known = offset is not None and hasattr(_LIBC, "getcontext")

    def wipe(self, depth: int = _DEPTH) -> bool:
        """Overwrite so many bytes of it with zeros; returns whether that was possible."""
        if not self.known:
            return False
        _LIBC.getcontext(self._context)
        pointer = self._pointer.value
        if not self._is_mine(pointer):
            return False
        ctypes.memset(pointer - depth, 0, depth - _MARGIN)
        return True

    def _is_mine(self, pointer: int) -> bool:
        """Look once per thread whether it really is a stack, and deep enough."""
        thread = threading.get_ident()
        if thread not in self._stacks:
            self._stacks[thread] = _mapping_of(pointer)
        first, end = self._stacks[thread]
        return first + _DEPTH <= pointer < end


def _mapping_of(pointer: int) -> tuple[int, int]:
    """Return the memory that an address lies in, as far as a stack may grow in it; else (0, 0)."""
    for line in Path("/proc/self/maps").read_text("utf-8", "replace").splitlines():
        ends, rights, *_ = line.split()
        first, end = (int(part, 16) for part in ends.split("-"))
        if first <= pointer < end and rights.startswith("rw"):
            return (end - _growth() if line.endswith("[stack]") else first), end
    return 0, 0


def _growth() -> int:
    """Return how long the first thread's stack may surely grow by itself: half its limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return (_USUAL if limit == resource.RLIM_INFINITY else limit) // 2
