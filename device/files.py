"""Writing and hashing files without ever leaving a half-written one."""

import contextlib
import fcntl
import hashlib
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from device.errors import StorageError

_CHUNK_BYTES = 1 << 20


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data` in one step; after a power cut the old or the new file is there.

    Raises StorageError when the folder is missing, full or not writable; `path` is then untouched.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror or error}); check the disk and the rights "
            "of its folder."
        ) from error
    finally:
        if temporary is not None:
            # On a disk that has become read-only this fails too; the first error tells more.
            with contextlib.suppress(OSError):
                Path(temporary).unlink(missing_ok=True)


def write_new(path: Path, data: bytes, mode: int = 0o600) -> bool:
    """Make a file in one step; False when it is there already, and untouched.

    Raises StorageError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write_atomically(temporary, data, mode)
    try:
        os.link(temporary, path)
        _sync_folder(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise StorageError(f"{path} cannot be made ({error.strerror or error}).") from error
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _sync_folder(folder: Path) -> None:
    """Make a new name outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def shown(text: str) -> str:
    """Return text that can be printed and stored: bytes that are not UTF-8 as hexadecimal."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def hold_alone(path: Path) -> BinaryIO:
    """Open and lock a file for as long as the returned object lives; the kernel frees it at exit.

    Raises StorageError when another process holds it, or it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StorageError(
            f"Another passerby runs with the state directory {path.parent}: stop it first, or give "
            "this one a directory of its own."
        ) from error
    except OSError as error:
        raise StorageError(
            f"{path.parent} cannot be written ({error.strerror or error}): nothing is compared "
            "without it. Correct device.state_directory or its rights."
        ) from error
    return file


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits. Raises StorageError."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error
    return digest.hexdigest()
