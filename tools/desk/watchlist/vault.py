"""The vault: whatever holds a name, a template or a key lies on the disk as an age file only.

The format is age-encryption.org/v1, so that any age tool opens the files with the right identity.
A file is encrypted whole in memory and replaced in one step: no plaintext ever touches the disk.
Whom it is encrypted for stands in `recipients.txt`; reading needs one identity (`keepers`).
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from device.errors import ConfigurationError, StorageError
from device.files import write_atomically, write_new
from tools.desk.watchlist.encryption import Identity, check_recipients, encrypt

KEY_BYTES = 32
"""Of a deployment key, and of the rights key."""
LARGEST_BYTES = 256 * 1024 * 1024
DESTROYED: Final = ".destroyed-"
"""How the names of files begin that are being destroyed."""
PACKING: Final = ".offer-"
"""How the names of folders begin in which a bundle is packed for the gateway."""
_OVERWRITES_AT_ONCE = 1 << 20


class Vault:
    """Files for some recipients. identity: of the keeper who reads; None: writing only."""

    def __init__(self, recipients: Sequence[str], identity: Identity | None = None) -> None:
        """recipients: public keys, age1…. Raises ConfigurationError: none, or no such key."""
        if not recipients:
            raise ConfigurationError(
                "Nobody could read what is kept here: make a keeper first "
                "(`passerby-desk watchlist keeper create`)."
            )
        check_recipients(recipients)
        self.recipients = tuple(recipients)
        self._identity = identity

    @classmethod
    def of(cls, recipients: Path, identity: Identity | None = None) -> "Vault":
        """Return the vault of a `recipients.txt`. Raises ConfigurationError."""
        return cls(read_recipients(recipients), identity)

    def write(self, path: Path, content: bytes) -> None:
        """Encrypt and replace a file in one step. Raises StorageError; the old one stays then."""
        write_atomically(path, encrypt(content, self.recipients))

    def read(self, path: Path) -> bytes:
        """Return what a file holds. Raises StorageError: missing, cut, altered, not for us."""
        if self._identity is None:
            raise ConfigurationError(f"{path} opens with a keeper's --identity only.")
        return self._identity.decrypt(_read(path), str(path))

    def make_key(self, path: Path) -> None:
        """Make a file of 32 random bytes where there is none yet. Raises StorageError."""
        self.make(path, secrets.token_bytes(KEY_BYTES))

    def make(self, path: Path, content: bytes) -> None:
        """Make a file where there is none yet: of two at a time, one does. Raises StorageError.

        So what was made must be read before it is used.
        """
        if not path.exists():
            write_new(path, encrypt(content, self.recipients))

    def key(self, path: Path) -> bytes:
        """Return the 32 random bytes of a file that `make_key` made. Raises StorageError."""
        found = self.read(path)
        if len(found) != KEY_BYTES:
            raise StorageError(f"{path} holds no key of {KEY_BYTES} bytes: is it another file?")
        return found


def read_recipients(path: Path) -> list[str]:
    """Return the public keys of a `recipients.txt`. Raises ConfigurationError."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{path} is missing: make a keeper first (`passerby-desk watchlist keeper create`)."
        ) from error
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}).") from error
    kept = [line.strip() for line in lines]
    return [line for line in kept if line and not line.startswith("#")]


def destroy(path: Path) -> None:
    """Overwrite a file with noise and remove it; nothing happens where there is none.

    Its name goes first, so that a command that is killed here leaves no file that is half noise and
    looks like one of ours; what is left of it `destroy_leftovers` ends. On flash the old blocks may
    outlive this. What lies in them is ciphertext for the keepers. Raises StorageError.
    """
    try:
        nameless = path.with_name(f"{DESTROYED}{secrets.token_hex(8)}")
        path.rename(nameless)
        _sync(path.parent)
        with nameless.open("r+b", buffering=0) as file:
            left = os.fstat(file.fileno()).st_size
            while left > 0:
                left -= file.write(os.urandom(min(left, _OVERWRITES_AT_ONCE)))
            os.fsync(file.fileno())
        nameless.unlink()
        _sync(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            f"{path} could not be destroyed ({error.strerror or error}): destroy it by hand, and "
            "repeat the command."
        ) from error


def destroy_leftovers(folder: Path, names: Sequence[str]) -> None:
    """Destroy what killed commands have left of some files. Whoever calls holds the folder's lock.

    names: of files that are written in one step (`device.files.write_atomically`), whose temporary
    files a kill leaves behind. Raises StorageError.
    """
    # The second form is of a temporary file of a temporary file (`device.files.write_new`).
    begun = (DESTROYED, *(f"{dots}{name}." for name in names for dots in (".", "..")))
    try:
        found = [path for path in sorted(folder.iterdir()) if path.name.startswith(begun)]
        packed = [path for path in sorted(folder.iterdir()) if path.name.startswith(PACKING)]
        for path in [*found, *(file for one in packed for file in sorted(one.rglob("*")))]:
            if path.is_file() and not path.is_symlink():
                destroy(path)
        for path in packed:
            shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            f"{folder} still holds what a killed command left ({error.strerror or error}): destroy "
            "it by hand, and repeat the command."
        ) from error


@contextmanager
def held_alone(lock: Path) -> Iterator[None]:
    """Hold a folder's lock while the block runs; the kernel frees it when the process dies.

    Raises StorageError when another command holds it.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError as error:
        raise StorageError(
            f"Somebody else is changing {lock.parent} at this moment: repeat the command when they "
            "have finished."
        ) from error
    except PermissionError as error:
        raise StorageError(f"{lock.parent} cannot be written: check its rights.") from error


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise StorageError(f"{path} is too large to be ours.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise StorageError(
            f"{path} is not here: the deployment has ended, or the file was lost."
        ) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
