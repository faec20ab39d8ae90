"""Destroying a file: its bytes are overwritten in place, brought to the disk, and its name goes.

Overwriting needs no new space, so that a full disk stops nothing. On flash it is no proof: the
card's controller may write the new bytes elsewhere and keep the old block for a while, and a
copying file system does so by design. That is why a key is destroyed before what it opens, and why
a device that unlocks remotely never stores one (docs/policy.md).
"""

import os
import stat
from pathlib import Path

from device.errors import StorageError

_CHUNK_BYTES = 1 << 20


def destroy(path: Path) -> None:
    """Overwrite and remove one file. A link is removed and not followed. Nothing there: fine.

    Raises StorageError: then the name may be gone or not, and the bytes may be; call again.
    """
    unwritten: OSError | None = None
    try:
        _overwrite(path)
    except FileNotFoundError:
        return
    except OSError as error:
        # A block that cannot be written any more must not keep the name alive.
        unwritten = error
    remove(path)
    if unwritten is not None:
        raise StorageError(
            f"{path} was removed, and its content could not be overwritten "
            f"({unwritten.strerror or unwritten}): replace the card, and destroy this one."
        ) from unwritten


def remove(path: Path) -> None:
    """Remove one name, for good. Nothing there: fine. Raises StorageError: call again."""
    try:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path} must be erased and cannot be ({error.strerror or error}): correct the rights "
            "of its folder, or destroy the card."
        ) from error


def sync_folder(folder: Path) -> None:
    """Bring the names of a folder to the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _overwrite(path: Path) -> None:
    if not stat.S_ISREG(path.lstat().st_mode):
        return
    handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        left = os.fstat(handle).st_size
        while left > 0:
            left -= os.write(handle, os.urandom(min(left, _CHUNK_BYTES)))
        os.fsync(handle)
    finally:
        os.close(handle)
