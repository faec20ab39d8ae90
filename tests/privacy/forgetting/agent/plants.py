"""Canaries laid out in this process on purpose: the control that the search of memory finds them.

Each is received straight into its place. `planted` compares by checksum, so that asking makes no
second copy.
"""

import ctypes
import mmap
import queue
import threading
import zlib

import numpy as np

from device.allocator import FREED, overwrite_what_is_freed
from device.memory import LockedBuffer

_PADDING = 32768
_PIECE = 64
_M_PERTURB = -6
"""Of <malloc.h>."""
_LIBC = ctypes.CDLL(None)
_LIBC.malloc.restype = ctypes.c_void_p
_LIBC.malloc.argtypes = [ctypes.c_size_t]
_LIBC.free.argtypes = [ctypes.c_void_p]
_LIBC.mallopt.argtypes = [ctypes.c_int, ctypes.c_int]
_STACK_BYTES = 1 << 20
_ATTRIBUTES_BYTES = 64
"""Room for a `pthread_attr_t`."""


class Plants:
    """receive_into(buffer): fills it with what is planted."""

    def __init__(self, receive_into):
        self._receive_into = receive_into
        self._kept = []
        self._queue = queue.Queue()

    def plant(self, place, size):
        self._kept.append(PLACES[place](self, size))

    def planted(self):
        """Return a CRC-32 of each plant as it lies there now."""
        return [zlib.crc32(view) for view, _, _ in self._kept]

    def unplant(self):
        while self._kept:
            view, wipe, _ = self._kept.pop()
            wipe(view)

    def _filled(self, buffer, wipe=None, owner=None):
        view = memoryview(buffer).cast("B")
        self._receive_into(view)
        return view, wipe or _zero, owner

    def _in_list(self, size):
        return self._filled(bytearray(size))

    def _in_array(self, size):
        return self._filled(np.empty(size, np.uint8))

    def _in_pages(self, size):
        return self._filled(mmap.mmap(-1, size))

    def _in_locked(self, size):
        owner = LockedBuffer(size)
        return self._filled(owner.array, owner=owner)

    def _in_queue(self, size):
        content = bytearray(size)
        self._queue.put(content)
        return self._filled(content, owner=self._queue, wipe=self._take_out)

    def _take_out(self, view):
        _zero(view)
        self._queue.get_nowait()

    def _freed(self, size):
        """In the allocator's free lists, as a C library leaves it that overwrites nothing."""
        overwritten = overwrite_what_is_freed()
        _LIBC.mallopt(_M_PERTURB, 0)
        try:
            return self._given_back(size)
        finally:
            _LIBC.mallopt(_M_PERTURB, FREED if overwritten else 0)

    def _given_back(self, size):
        """Like `_freed`, but as this process's C library frees: what the hardening must undo."""
        address = _LIBC.malloc(_PADDING + size + _PADDING)
        # Without a neighbour in use, the block could go back to the system.
        neighbour = _LIBC.malloc(_PADDING)
        # New pieces are cut from a free block's beginning: in its middle a plant lasts longest.
        kept = self._filled((ctypes.c_ubyte * size).from_address(address + _PADDING))
        pieces = _checksums(kept[0])
        _LIBC.free(address)

        def wipe(view):
            _wipe_what_is_still(pieces, view)
            _LIBC.free(neighbour)

        return kept[0], wipe, None

    def _on_stack(self, size):
        found, leave = queue.Queue(), threading.Event()

        def stay():
            found.put(_lowest_of_this_stack())
            leave.wait()

        before = threading.stack_size(_STACK_BYTES + -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
        thread = threading.Thread(target=stay, name="plant", daemon=True)
        thread.start()
        threading.stack_size(before)
        # A stack is used from its upper end; the plant lies at the other.
        place = (ctypes.c_ubyte * size).from_address(found.get() + mmap.PAGESIZE)

        def wipe(view):
            _zero(view)
            leave.set()
            thread.join()

        return self._filled(place, wipe=wipe)


def _zero(view):
    view[:] = bytes(len(view))


def _checksums(view):
    return [zlib.crc32(view[at : at + _PIECE]) for at in range(0, len(view), _PIECE)]


def _wipe_what_is_still(pieces, view):
    """Wipe a plant in a free block: what no longer is the plant belongs to somebody else."""
    for at, found, planted in zip(
        range(0, len(view), _PIECE), _checksums(view), pieces, strict=True
    ):
        if found == planted:
            _zero(view[at : at + _PIECE])


def _lowest_of_this_stack():
    _LIBC.pthread_self.restype = ctypes.c_void_p
    attributes = (ctypes.c_ubyte * _ATTRIBUTES_BYTES)()
    lowest, size = ctypes.c_void_p(), ctypes.c_size_t()
    _LIBC.pthread_getattr_np(ctypes.c_void_p(_LIBC.pthread_self()), attributes)
    _LIBC.pthread_attr_getstack(attributes, ctypes.byref(lowest), ctypes.byref(size))
    _LIBC.pthread_attr_destroy(attributes)
    return lowest.value


PLACES = {
    "list": Plants._in_list,
    "freed": Plants._freed,
    "freed and overwritten": Plants._given_back,
    "mmap": Plants._in_pages,
    "numpy": Plants._in_array,
    "locked": Plants._in_locked,
    "stack of a thread": Plants._on_stack,
    "queue": Plants._in_queue,
}
"""Where a plant can lie → how it gets there. Returned: what it lies in, how to wipe it, its owner.

A plant that is "freed and overwritten" must be gone at once."""
