"""Age files that a passphrase opens, for identity files (C2SP age.md, "scrypt recipient stanza").

Written out here, since `pyrage` measures the computer at each call and refuses to open a file that
was made on a faster one, or by itself when the computer was less busy. The work is fixed: what
opens today opens on any computer. Content up to one chunk of 64 KiB, which is all that is needed.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from device.errors import ConfigurationError

WORK: Final = 17
"""log2 of scrypt's N: 128 MiB and about half a second for every guess (OWASP's recommendation)."""
_MOST_WORK: Final = 20
"""More is refused: a file must not decide how much memory it takes."""
_CHUNK: Final = 65_536
_TAG, _KEY, _SALT, _NONCE = 16, 16, 16, 16
_LABEL: Final = b"age-encryption.org/v1/scrypt"
_LAST_CHUNK: Final = bytes(11) + b"\x01"
_ZEROS: Final = bytes(12)
_HEADER: Final = re.compile(
    rb"age-encryption\.org/v1\n-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n"
    rb"([A-Za-z0-9+/]{43})\n--- ([A-Za-z0-9+/]{43})\n"
)


def encrypt_with_passphrase(content: bytes, passphrase: str) -> bytes:
    """Return an age file. content: 1 to 65,536 bytes. Raises ConfigurationError."""
    if not 0 < len(content) <= _CHUNK:
        raise ConfigurationError("This is too long for a file with a passphrase, or empty.")
    salt, file_key = secrets.token_bytes(_SALT), secrets.token_bytes(_KEY)
    wrapped = ChaCha20Poly1305(_stretched(passphrase, salt, WORK)).encrypt(_ZEROS, file_key, None)
    head = b"age-encryption.org/v1\n-> scrypt %s %d\n%s\n---" % (_text(salt), WORK, _text(wrapped))
    nonce = secrets.token_bytes(_NONCE)
    sealed = ChaCha20Poly1305(_derived(file_key, nonce, b"payload")).encrypt(
        _LAST_CHUNK, content, None
    )
    return head + b" " + _text(_mac(file_key, head)) + b"\n" + nonce + sealed


def decrypt_with_passphrase(sealed: bytes, passphrase: str, name: str) -> bytes:
    """Return the content of such a file. name: for the sentence.

    Raises ConfigurationError: no such file, cut, altered, or another passphrase.
    """
    header = _HEADER.match(sealed)
    if header is None:
        raise ConfigurationError(f"{name} is no identity file of a keeper, or it is cut.")
    salt, work, wrapped, mac = header[1], int(header[2]), header[3], header[4]
    if work > _MOST_WORK:
        raise ConfigurationError(f"{name} asks for too much work to open: it is not ours.")
    wrapping_key = _stretched(passphrase, _bytes(salt), work)
    try:
        file_key = ChaCha20Poly1305(wrapping_key).decrypt(_ZEROS, _bytes(wrapped), None)
    except InvalidTag as error:
        raise ConfigurationError(
            f"{name} does not open: the passphrase is wrong, or the file is damaged."
        ) from error
    head = sealed[: header.start(4) - 1]
    body = sealed[header.end() :]
    whole = hmac.compare_digest(_mac(file_key, head), _bytes(mac))
    try:
        if whole and _NONCE + _TAG < len(body) <= _NONCE + _CHUNK + _TAG:
            key = _derived(file_key, body[:_NONCE], b"payload")
            return ChaCha20Poly1305(key).decrypt(_LAST_CHUNK, body[_NONCE:], None)
    except InvalidTag:
        pass
    raise ConfigurationError(f"{name} is cut or damaged: take it from the backup.")


def _stretched(passphrase: str, salt: bytes, work: int) -> bytes:
    kdf = Scrypt(salt=_LABEL + salt, length=32, n=1 << work, r=8, p=1)
    return kdf.derive(passphrase.encode())


def _mac(file_key: bytes, head: bytes) -> bytes:
    return hmac.new(_derived(file_key, b"", b"header"), head, hashlib.sha256).digest()


def _derived(file_key: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt or None, purpose).derive(file_key)


def _text(content: bytes) -> bytes:
    return base64.b64encode(content).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4))
