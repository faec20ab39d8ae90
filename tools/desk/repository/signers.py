"""Signers: securesystemslib's, for keys in our encrypted files and for keys in a token.

A key is named by a path (`officer.pem`) or by a URI of securesystemslib, as `hsm:2?label=NAME` for
a PKCS#11 token. Our own scheme is registered there like any other, so nothing below this file knows
which of the two it has.
"""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.exceptions import KeyMismatchError
from securesystemslib.signer import (
    SIGNER_FOR_URI_SCHEME,
    CryptoSigner,
    HSMSigner,
    Key,
    SecretsHandler,
    Signer,
    SSlibKey,
)

from device.errors import ConfigurationError, PasserbyError
from tools.desk.repository import keyfile
from tools.desk.repository.holders import PublicHalf, Role, decode_half, public_half
from tools.desk.repository.storage import read_input
from tools.desk.secrets import passphrase

_UNENCRYPTED: Final = "file2"
"""securesystemslib's scheme for key files without a passphrase."""


class FileSigner(CryptoSigner):
    """Signs with a key of an encrypted file: `passerby-file:PATH`."""

    SCHEME = "passerby-file"

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> CryptoSigner:
        """Open the key file. Raises ConfigurationError."""
        path = Path(priv_key_uri.removeprefix(f"{cls.SCHEME}:"))
        if secrets_handler is None or not isinstance(public_key, SSlibKey):
            raise ConfigurationError(f"The key file {path} needs a passphrase and a public half.")
        key = open_key_file(path, secrets_handler)
        try:
            return cls(key, public_key)
        except KeyMismatchError as error:
            raise ConfigurationError(
                f"{path} and its public half do not belong together: give the .pub that was made "
                "with it."
            ) from error


SIGNER_FOR_URI_SCHEME[FileSigner.SCHEME] = FileSigner


def open_key_file(path: Path, secrets_handler: SecretsHandler) -> Ed25519PrivateKey:
    """Return the private key of a file. The passphrase is asked for only if the file is sound.

    Raises ConfigurationError.
    """
    content = read_input(path, keyfile.LARGEST_BYTES, "signing key")
    try:
        keyfile.check_encrypted(content)
        return keyfile.opened(content, secrets_handler("passphrase"))
    except ConfigurationError as error:
        if error.__cause__ is None and str(error).endswith("."):
            raise  # of the question for the passphrase: a whole sentence already
        raise ConfigurationError(f"{path}: {error}.") from error


def read_half(key: str, public: Path | None) -> PublicHalf:
    """Return the public half that belongs to a key named by path or URI.

    public: its file; None takes the one beside a key file, `officer.pub` beside `officer.pem`.
    Raises ConfigurationError.
    """
    if public is None and _scheme(key) is not None:
        raise ConfigurationError(
            f"The key {key} is not in a file: name its public half with --public FILE.pub "
            "(`passerby-desk signing-key import` makes it)."
        )
    return read_half_file(public or half_beside(Path(key)))


def half_beside(key: Path) -> Path:
    """Return where the public half of a key file lies. Raises ConfigurationError: no file name."""
    if not key.name:
        raise ConfigurationError(f'"{key}" names no key file: give one, as keys/officer.pem.')
    return key.with_suffix(".pub")


def read_half_file(path: Path) -> PublicHalf:
    """Return the public half in a file. Raises ConfigurationError with the file's name."""
    content = read_input(path, 16 * keyfile.LARGEST_BYTES, "public half of a signing key")
    try:
        return decode_half(content)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}.") from error


def load_signer(key: str, half: PublicHalf, passphrase_file: Path | None) -> Signer:
    """Return the signer of a key that is named by path or URI. Raises ConfigurationError."""
    scheme = _scheme(key)
    if scheme == _UNENCRYPTED:
        raise ConfigurationError(
            f"{key} is a key file without a passphrase, which signs nothing here: make an "
            "encrypted one with `passerby-desk signing-key create`."
        )
    uri = key if scheme is not None else f"{FileSigner.SCHEME}:{key}"

    def ask(what: str) -> str:
        return passphrase(f"{half.holder}, {what} of {key}", passphrase_file)

    try:
        return Signer.from_priv_key_uri(uri, half.key(), ask)
    except PasserbyError:
        raise
    except Exception as error:  # whatever the maker of a token's library raises
        raise refused(key, error) from error


def import_token_key(
    number: int | None, label: str | None, role: Role, holder: str, file: Path | None
) -> tuple[str, PublicHalf]:
    """Return the URI and the public half of a PKCS#11 token's key. Raises ConfigurationError.

    Args:
        number: the key's id on the token; None takes 2, the slot for signing of a PIV card.
        label: the token's label; None takes the only token.
        role: what the key is for.
        holder: whose it is.
        file: of the PIN, where the token shows its public keys only with it; None asks.
    """

    def ask(what: str) -> str:
        return passphrase(f"{holder}, {what} of the token", file)

    try:
        uri, key = HSMSigner.import_(number, label, ask)
    except PasserbyError:
        raise
    except Exception as error:  # likewise
        raise refused(f"{HSMSigner.SCHEME}:", error) from error
    return uri, public_half(key, role, holder)


def refused(key: str, error: BaseException) -> ConfigurationError:
    """Return the sentence for a signer that failed, in whatever words its library has."""
    words = " ".join(str(error).split()) or type(error).__name__
    return ConfigurationError(
        f"The key {key} cannot sign ({words}). For a token: is it plugged in, is its PIN right, is "
        "the package python-pkcs11 installed, and does PYKCS11LIB name the token's module?"
    )


def _scheme(key: str) -> str | None:
    """Return the scheme of a URI that securesystemslib knows; None for a path."""
    scheme, colon, _ = key.partition(":")
    return scheme if colon and scheme in SIGNER_FOR_URI_SCHEME else None
