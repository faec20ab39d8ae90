"""The age format (age-encryption.org/v1), with types and sentences around `pyrage`."""

from collections.abc import Sequence

import pyrage  # type: ignore[import-untyped]  # it brings no types

from device.errors import ConfigurationError, StorageError


class Identity:
    """The secret key of a keeper, X25519. It is never printed."""

    def __init__(self, secret: str | None = None) -> None:
        """secret: AGE-SECRET-KEY-1…; None: a new one. Raises ConfigurationError."""
        kind = pyrage.x25519.Identity
        try:
            self._key = kind.generate() if secret is None else kind.from_str(secret.strip())
        except pyrage.IdentityError as error:
            raise ConfigurationError("This is no secret key of a keeper.") from error

    @property
    def public(self) -> str:
        """The public key, age1…, for `recipients.txt`."""
        return str(self._key.to_public())

    def secret(self) -> str:
        """Return AGE-SECRET-KEY-1…; to be encrypted at once."""
        return str(self._key)

    def decrypt(self, sealed: bytes, name: str) -> bytes:
        """Return the content of an age file. name: for the sentence. Raises StorageError."""
        try:
            return bytes(pyrage.decrypt(sealed, [self._key]))
        except pyrage.DecryptError as error:
            if "No matching keys" in str(error):
                raise StorageError(
                    f"{name} is not encrypted for this identity: take the identity of another "
                    "keeper, or have one admit you (`passerby-desk watchlist keeper admit`)."
                ) from error
            raise StorageError(
                f"{name} is cut, altered or no age file: take it from the backup."
            ) from error


def encrypt(content: bytes, recipients: Sequence[str]) -> bytes:
    """Return an age file for these public keys. Raises ConfigurationError."""
    return bytes(pyrage.encrypt(content, [_recipient(text) for text in recipients]))


def check_recipients(recipients: Sequence[str]) -> None:
    """Raise ConfigurationError when one of them is no public key."""
    for text in recipients:
        _recipient(text)


def _recipient(text: str) -> object:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise ConfigurationError(
            f'"{text[:80]}" in recipients.txt is no public key of a keeper (age1…): remove or '
            "correct the line."
        ) from error
