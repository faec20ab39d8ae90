"""A private signing key as a file: Ed25519, PEM, PKCS #8, encrypted with a passphrase.

cryptography's own `BestAvailableEncryption` was looked at and is not used: cryptography 50 writes
PBES2 with PBKDF2-HMAC-SHA256 of 2,048 rounds and AES-256-CBC (as `openssl asn1parse` shows), which
graphics cards guess through at millions of passphrases a second. Written here instead, in the same
format (RFC 5958, RFC 8018) and with the same cipher, is PBES2 with scrypt (RFC 7914, section 7):
N = 16,384, r = 8, p = 16, so half a second and 16 MiB for each guess. More memory `openssl pkey`
would not accept by default; so any OpenSSL opens these files, and cryptography does.

No I/O here.
"""

import base64
import secrets
import textwrap
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from device.errors import ConfigurationError

SCRYPT_N: Final = 1 << 14
SCRYPT_R: Final = 8
SCRYPT_P: Final = 16
LARGEST_BYTES: Final = 4096
"""Some 300 bytes are normal."""

_LABEL = "ENCRYPTED PRIVATE KEY"
_SALT_BYTES = 16
_INTEGER, _OCTETS, _OID, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_PBES2 = bytes.fromhex("2a864886f70d01050d")
_SCRYPT = bytes.fromhex("2b06010401da47040b")
_AES256_CBC = bytes.fromhex("60864801650304012a")


def encrypted(key: Ed25519PrivateKey, passphrase: str) -> bytes:
    """Return the key as encrypted PEM, under a fresh salt."""
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt = secrets.token_bytes(_SALT_BYTES)
    start = secrets.token_bytes(algorithms.AES256.block_size // 8)
    scrypt = Scrypt(salt=salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)
    cipher = Cipher(algorithms.AES256(scrypt.derive(passphrase.encode())), modes.CBC(start))
    padder, encryptor = PKCS7(algorithms.AES256.block_size).padder(), cipher.encryptor()
    padded = padder.update(plain) + padder.finalize()
    return _pem(_envelope(salt, start, encryptor.update(padded) + encryptor.finalize()))


def opened(content: bytes, passphrase: str) -> Ed25519PrivateKey:
    """Return the key of an encrypted PEM file. Raises ConfigurationError, without the file's name.

    Any PBES2 that cryptography knows is read; a file without encryption is refused.
    """
    check_encrypted(content)
    try:
        key = load_pem_private_key(content, passphrase.encode())
    except (ValueError, TypeError, MemoryError, UnsupportedAlgorithm) as error:
        # MemoryError: the file itself says how much memory scrypt shall take.
        raise ConfigurationError(
            "the key does not open: the passphrase is wrong, or the file is damaged"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("the key is of another kind than Ed25519")
    return key


def check_encrypted(content: bytes) -> None:
    """Raise ConfigurationError unless this looks like a whole, encrypted key file."""
    text = content.strip()
    begin, end = (f"-----{word} {_LABEL}-----".encode() for word in ("BEGIN", "END"))
    if text.startswith(begin) and text.endswith(end) and len(content) <= LARGEST_BYTES:
        return
    if b"PRIVATE KEY-----" in text and _LABEL.encode() not in text:
        raise ConfigurationError("the key is not encrypted: whoever copied the file has the key")
    raise ConfigurationError("this is no encrypted key file, or not a whole one")


def _envelope(salt: bytes, start: bytes, ciphertext: bytes) -> bytes:
    """Return EncryptedPrivateKeyInfo in DER."""
    costs = (_der(_INTEGER, _positive(number)) for number in (SCRYPT_N, SCRYPT_R, SCRYPT_P))
    derivation = _sequence(_der(_OID, _SCRYPT), _sequence(_der(_OCTETS, salt), *costs))
    encryption = _sequence(_der(_OID, _AES256_CBC), _der(_OCTETS, start))
    scheme = _sequence(_der(_OID, _PBES2), _sequence(derivation, encryption))
    return _sequence(scheme, _der(_OCTETS, ciphertext))


def _sequence(*parts: bytes) -> bytes:
    return _der(_SEQUENCE, b"".join(parts))


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:  # noqa: PLR2004 - the short form of X.690, 8.1.3.4
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size) + content


def _positive(number: int) -> bytes:
    """Return a number whose first bit is 0: in DER the first bit is the sign."""
    return number.to_bytes(number.bit_length() // 8 + 1)


def _pem(content: bytes) -> bytes:
    lines = "\n".join(textwrap.wrap(base64.b64encode(content).decode(), 64))
    return f"-----BEGIN {_LABEL}-----\n{lines}\n-----END {_LABEL}-----\n".encode()
