"""This device's own keys, made on first use, and the desk's public ones."""

from pathlib import Path

from device.errors import ConfigurationError, MessageError, StorageError
from device.files import write_new
from device.protocol.envelope import Envelope
from device.protocol.keys import (
    LARGEST_KEY_FILE_BYTES,
    PrivateKeys,
    PublicKeys,
    decode_private_keys,
    decode_public_keys,
    encode_keys,
)
from device.protocol.topics import Topics
from device.settings import Settings

NAME = "identity.key"


def own_keys(directory: Path) -> PrivateKeys:
    """Return this device's keys; the first time they are made and kept.

    Raises StorageError when they cannot be read or kept: a device never makes itself a new identity
    because the old one is damaged.
    """
    path = directory / NAME
    content = _content(path)
    if content is None:
        # Another command may do the same at this moment: the first one's keys count.
        write_new(path, encode_keys(PrivateKeys.generate()), mode=0o600)
        content = _content(path) or b""
    try:
        return decode_private_keys(content)
    except MessageError as error:
        raise StorageError(
            f"This device's keys in {path} cannot be used ({error}): restore the file. Without it, "
            "remove it and add the device to the desk anew: what waits in its outbox is then lost."
        ) from error


def desk_keys(settings: Settings) -> PublicKeys:
    """Return the desk's public keys. Raises ConfigurationError."""
    name = settings.desk.public_keys
    if not name:
        raise ConfigurationError(
            "desk.public_keys is missing: alerts are sealed for a desk. Make its keys with "
            "`passerby-desk keys create` and name the public file in [desk]."
        )
    path = Path(name)
    try:
        content = _content(path)
    except StorageError as error:
        raise ConfigurationError(f"desk.public_keys: {error}") from error
    if content is None:
        raise ConfigurationError(
            f"desk.public_keys names {path}, which does not exist: copy the desk's public file "
            "there."
        )
    try:
        return decode_public_keys(content)
    except MessageError as error:
        raise ConfigurationError(f"desk.public_keys, {path}: {error}") from error


def envelope_for(settings: Settings) -> Envelope:
    """Return what seals for the desk. Raises ConfigurationError, StorageError."""
    device = settings.device
    desk = desk_keys(settings)
    own = own_keys(Path(device.state_directory))
    return Envelope(own, desk, Topics(device.site, device.id), settings.desk.suite)


def _content(path: Path) -> bytes | None:
    """Return a file's content, None when there is no file. Raises StorageError."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_KEY_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error
