"""Reading a file that somebody named: never a pipe that nobody fills, never a device of no end."""

import errno
import os
import stat
from pathlib import Path


def beginning_of(path: Path, most: int) -> bytes:
    """Return a file, cut after `most` bytes. Raises OSError: not there, or no regular file."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(handle)
