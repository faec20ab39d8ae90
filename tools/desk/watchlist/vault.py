"""The vault: whatever holds a name, a template or a key lies on the disk as an age file only.

The format is age-encryption.org/v1, so that any age tool opens the files with the right identity.
A file is encrypted whole in memory and replaced in one step: no plaintext ever touches the disk.
Whom it is encrypted for stands in `recipients.txt`; reading needs one identity (`keepers`).
"""

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from device.errors import ConfigurationError, StorageError
from device.files import write_atomically
from tools.desk.watchlist.encryption import Identity, check_recipients, encrypt

KEY_BYTES = 32
"""Of a deployment key, and of the rights key."""
LARGEST_BYTES = 256 * 1024 * 1024
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
        if not path.exists():
            self.write(path, secrets.token_bytes(KEY_BYTES))

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

    On flash the old blocks may outlive this. What lies in them is ciphertext for the keepers.
    Raises StorageError.
    """
    try:
        with path.open("r+b", buffering=0) as file:
            left = os.fstat(file.fileno()).st_size
            while left > 0:
                left -= file.write(os.urandom(min(left, _OVERWRITES_AT_ONCE)))
            os.fsync(file.fileno())
        path.unlink()
        _sync(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            f"{path} could not be destroyed ({error.strerror or error}): destroy it by hand, and "
            "repeat the command."
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
