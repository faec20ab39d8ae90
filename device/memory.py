"""Memory for what must never reach a disk: templates, and the keys that open them (R13, R49).

A `LockedBuffer` is kept out of swap, out of core dumps and out of child processes, and overwritten
before it is given back. `harden_process` closes the doors of the whole process, and `lock_process`
keeps all of it out of swap: frames, crops, and what libraries copy of them. None of it helps
against somebody who is root on the running device: that needs the device's case, not its memory.

What Python cannot promise: a `bytes` object is never overwritten, so keys are taken as `bytearray`
or `memoryview` wherever they are longer than a call (docs/watchlist-protection.md has what was
found when a process's memory was searched).
"""

import ctypes
import mmap
import os
import resource
import weakref
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Key = bytes | bytearray | memoryview
"""32 bytes. Prefer a writable one, and `overwrite` it after use."""

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_MADV_WIPEONFORK: Final = 18
"""Of <asm-generic/mman-common.h>; Python's mmap has no name for it."""
_PR_SET_DUMPABLE: Final = 4
"""Of <linux/prctl.h>."""
_SWAPS: Final = Path("/proc/swaps")
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
"""Of <asm-generic/mman.h>."""
_ROOM: Final = 256 * 1024 * 1024
"""More than this program will grow by."""
_CAP_IPC_LOCK: Final = 14
"""Of <linux/capability.h>."""


class LockedBuffer:
    """Zeroed memory of its own, locked against swap where the system allows it.

    size: in bytes. array: (size,) uint8, writable, starting on a page. locked: whether it is kept
    out of swap. fault: None, or a sentence that says why not and what to do; whether that forbids
    anything is policy's to decide (`swap_is_on`). It is wiped at the end of the process, too.
    """

    __slots__ = ("__weakref__", "_finish", "array", "fault", "locked", "size")

    def __init__(self, size: int) -> None:
        """Raises ValueError for no size, MemoryError when there is none left."""
        if size <= 0:
            msg = "A locked buffer needs a size."
            raise ValueError(msg)
        try:
            # Private: only private memory can be wiped on fork.
            pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            msg = f"There is no memory left for {size} bytes."
            raise MemoryError(msg) from error
        self.size = size
        self.array: Bytes = np.frombuffer(pages, np.uint8)
        for advice in (mmap.MADV_DONTDUMP, _MADV_WIPEONFORK):
            pages.madvise(advice)
        self.fault = _lock(self.array)
        self.locked = self.fault is None
        self._finish = weakref.finalize(self, _wipe, self.array)

    def wipe(self) -> None:
        """Overwrite with zeros and unlock. Views of the array stay valid and read zeros."""
        self._finish()
        self.array.fill(0)
        self.locked = False

    @property
    def wiped(self) -> bool:
        """True when nothing but zeros is left."""
        return not self.array.any()

    def __repr__(self) -> str:
        return f"<LockedBuffer of {self.size} bytes>"

    def __reduce__(self) -> NoReturn:
        msg = "A LockedBuffer must not be stored (R13)."
        raise TypeError(msg)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__reduce__()


def overwrite(key: Any) -> None:  # noqa: ANN401 - any buffer
    """Fill a writable buffer with zeros; a read-only one, which cannot be, is left."""
    view = memoryview(key).cast("B")
    if not view.readonly:
        view[:] = bytes(view.nbytes)


def swap_is_on(swaps: str | None = None) -> bool:
    """Return whether the system swaps at all. swaps: the text of /proc/swaps, for tests.

    What cannot be read counts as swap.
    """
    if swaps is None:
        try:
            swaps = _SWAPS.read_text("ascii")
        except (OSError, UnicodeDecodeError):
            return True
    return len(swaps.splitlines()) > 1


def harden_process() -> str | None:
    """Forbid core dumps of this process, and reading its memory to all but root.

    Returns None, or a sentence about what the system refused.
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        return f"Core dumps cannot be turned off ({error}): set LimitCORE=0 in the service."
    if _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        reason = os.strerror(ctypes.get_errno())
        return f"Other programs can read this one's memory ({reason}): run it as its own user."
    return None


def lock_process() -> str | None:
    """Keep all memory of this process, now and later, out of swap, as far as it is in use at all.

    Returns None, or a sentence that says why not and what to do: then frames and crops may be
    swapped to the disk where the system swaps.
    """
    what = "Frames and faces in memory may be swapped to the disk"
    todo = "set LimitMEMLOCK=infinity in the service, or turn swap off."
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit != resource.RLIM_INFINITY and not _may_lock_all():
        # Asking all the same would succeed, and end the process when it grows past the limit.
        return f"{what} (it may lock {limit // 1024} kB only): {todo}"
    if _LIBC.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        return f"{what} ({os.strerror(ctypes.get_errno())}): {todo}"
    if not _may_grow():
        # In a user namespace the capability is there, and counts for nothing.
        _LIBC.munlockall()
        return f"{what} (it may lock {limit // 1024} kB only): {todo}"
    return None


def _may_grow() -> bool:
    """Whether there is still memory to be had; nothing of it is used."""
    try:
        mmap.mmap(-1, _ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError:
        return False
    return True


def _may_lock_all() -> bool:
    """Whether this process may lock memory beyond its limit: capabilities(7), proc(5)."""
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_IPC_LOCK & 1)
    return False


def _lock(array: Bytes) -> str | None:
    address, size = ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.size)
    if _LIBC.mlock(address, size) == 0:
        return None
    reason = os.strerror(ctypes.get_errno())
    return (
        f"{array.size // 1024} kB of the watchlist cannot be locked in memory ({reason}) and may "
        "be swapped to the disk: set LimitMEMLOCK=infinity in the service, or turn swap off."
    )


def _wipe(array: Bytes) -> None:
    array.fill(0)
    _LIBC.munlock(ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.size))
