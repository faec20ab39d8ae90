"""`passerby-desk keys create`: the desk's keys, and reading key files."""

import argparse
import os
from pathlib import Path

from device.errors import ConfigurationError, MessageError, StorageError
from device.files import write_atomically
from device.protocol.keys import (
    PrivateKeys,
    PublicKeys,
    decode_private_keys,
    decode_public_keys,
    encode_keys,
)
from tools.desk.watchlist.regular import beginning_of

PRIVATE = "desk.key"
PUBLIC = "desk.pub"
_OTHERS = 0o077
_LARGEST_BYTES = 65_536


def create(options: argparse.Namespace) -> int:
    """Make the desk's keys; refuse to overwrite any."""
    private, public = options.out / PRIVATE, options.out / PUBLIC
    for path in (private, public):
        if path.exists():
            raise StorageError(
                f"{path} exists and is not overwritten: what was sealed for its keys could never "
                "be opened again. Choose another folder."
            )
    keys = PrivateKeys.generate()
    _write_new(private, encode_keys(keys))
    write_atomically(public, encode_keys(keys.public), mode=0o644)
    print(f"{private}: the desk's secrets. Keep a copy where only the custodian gets at it.")
    print(f"{public}: for every device of this desk.")
    print(f"fingerprint: {keys.public.fingerprint}")
    return 0


def read_private_keys(path: Path) -> PrivateKeys:
    """Return the keys of a private key file.

    Raises ConfigurationError when it cannot be read or others may read it, MessageError.
    """
    content = _read(path, "`passerby-desk keys create --out DIR` makes one")
    if path.stat().st_mode & _OTHERS:
        raise ConfigurationError(
            f"{path} can be read by others than its owner: chmod 600 {path}, and ask yourself who "
            "has read it."
        )
    try:
        return decode_private_keys(content)
    except MessageError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def read_public_keys(path: Path) -> PublicKeys:
    """Return the keys of a public key file. Raises ConfigurationError."""
    content = _read(path, "`passerby keys` makes it on the device")
    try:
        return decode_public_keys(content)
    except MessageError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _read(path: Path, remedy: str) -> bytes:
    try:
        return beginning_of(path, _LARGEST_BYTES)
    except FileNotFoundError as error:
        raise ConfigurationError(f"The key file {path} does not exist; {remedy}.") from error
    except OSError as error:
        raise ConfigurationError(
            f"The key file {path} cannot be read ({error.strerror or error})."
        ) from error


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that must not be there, for its owner's eyes from the first byte on."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror or error}); check its folder."
        ) from error
