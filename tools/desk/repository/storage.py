"""Files of a repository and of signing keys: reading with a limit, one writer at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from device.errors import ConfigurationError, StorageError

PUBLIC = 0o644
"""Mode of files that anybody may read; everything in a repository is public."""


def read_input(path: Path, largest: int, what: str) -> bytes:
    """Return the content of a file that a person named. Raises ConfigurationError."""
    try:
        if not path.is_file():
            raise ConfigurationError(f"There is no {what} {path}: check the name.")
        content = _read(path, largest)
    except OSError as error:
        raise ConfigurationError(
            f"The {what} {path} cannot be read ({error.strerror or error})."
        ) from error
    if len(content) > largest:
        raise ConfigurationError(f"{path} is too long for a {what}.")
    return content


def read_part(path: Path, largest: int) -> bytes | None:
    """Return a file of a repository as it is on the disk; None where there is none.

    Raises StorageError when it cannot be read or is longer than any such file may be.
    """
    try:
        content = _read(path, largest)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error
    if len(content) > largest:
        raise StorageError(f"{path} is longer than {largest} bytes, so it is none of ours.")
    return content


def _read(path: Path, largest: int) -> bytes:
    with path.open("rb") as file:
        # A stick that lost a write tells so only when the medium is read, not the cache.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file.read(largest + 1)


def write_once(path: Path, content: bytes, mode: int) -> None:
    """Make a file that must not be there, of this mode from its first byte on; leave no half of it.

    Without a hard link, which the file systems of sticks do not have. Raises StorageError.
    """
    made = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        made = True
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except FileExistsError as error:
        raise StorageError(
            f"{path} exists and is not overwritten: choose another name or folder."
        ) from error
    except OSError as error:
        if made:
            path.unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written ({error.strerror or error}); check the disk and the rights "
            "of its folder."
        ) from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other writers of this repository away until the end of the block.

    Raises StorageError when another one works on it or the folder cannot be written.
    """
    try:
        file = (folder / ".lock").open("ab")
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written ({error.strerror or error}); check the disk and the "
            "rights of the folder."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"Another command works on {folder} now: wait until it has ended."
            ) from error
        yield


def remove(paths: list[Path]) -> None:
    """Remove files that nothing refers to any more. Raises StorageError."""
    try:
        for path in paths:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be removed ({error.strerror or error}).") from error
