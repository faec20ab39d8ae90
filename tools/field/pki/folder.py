"""The files of an authority on the disk: rights, one writer at a time, whole folders."""

import fcntl
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from device.errors import ConfigurationError, StorageError
from device.files import write_atomically
from tools.field.pki.certificates import Signer

PUBLIC = 0o644
"""Mode of files that anybody may read."""
_PRIVATE_FOLDER = 0o700
_FOREIGN = 0o077


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other `passerby-field pki` away: two at once would lose one's line.

    Raises StorageError when the folder cannot be written.
    """
    try:
        file = (folder / ".lock").open("ab")
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written ({error.strerror or error}): check the disk and the "
            "rights of the folder."
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def claim(folder: Path) -> None:
    """Make the folder; refuse one that has anything in it.

    Raises StorageError or ConfigurationError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)
        taken = any(folder.iterdir())
        folder.chmod(_PRIVATE_FOLDER)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be made ({error.strerror or error}): choose another with --out."
        ) from error
    if taken:
        raise ConfigurationError(
            f"{folder} is not empty: an authority is never overwritten. Choose a new folder with "
            "--out; remove one that has no ca.pem, which an interrupted `pki init` left."
        )


def read_signer(folder: Path) -> Signer:
    """Return the authority of a folder. Raises StorageError when it is not usable or not safe."""
    try:
        mode = (folder / "ca.key").stat().st_mode
        certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(
            f"There is no usable authority in {folder} ({error}): name its folder with --dir, make "
            "one with `pki init`, or bring ca.pem and ca.key back from the backup."
        ) from error
    if mode & _FOREIGN:
        raise StorageError(
            f"{folder / 'ca.key'} can be read by others: `chmod 600` it, and make a new authority "
            "if somebody may have copied it."
        )
    if not isinstance(key, ec.EllipticCurvePrivateKey) or (
        key.public_key() != certificate.public_key()
    ):
        raise StorageError(f"ca.key and ca.pem in {folder} do not belong together.")
    return Signer(certificate, key)


def replace_folder(target: Path, files: dict[str, tuple[bytes, int]]) -> None:
    """Put a folder in the place of `target`: its key and certificate always belong together.

    files: name to content and mode. Raises StorageError.
    """
    staged = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        staged.mkdir(parents=True, mode=_PRIVATE_FOLDER)
        for name, (data, mode) in files.items():
            write_atomically(staged / name, data, mode)
        if target.exists():
            shutil.rmtree(target)
        staged.rename(target)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written ({error.strerror or error}): check the disk and the "
            "rights of its folder, then run the command again with --renew."
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
