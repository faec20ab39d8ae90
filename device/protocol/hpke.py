"""HPKE (RFC 9180, base mode, one message) with the two suites of Passerby, and one header.

    version (1) | suite (1) | recipient's key id (16) | encapsulated key | ciphertext

What a sealed thing is for stands in HPKE's `info`, deterministic CBOR: protocol version, purpose,
suite, device, recipient, and what the purpose adds. Whatever was sealed for one of these opens for
no other. Sealing draws a fresh key every time: two sealings have nothing in common.
"""

from typing import Final, Literal, Protocol

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from device.protocol.cose import VERSION
from device.protocol.keys import KEY_ID_BYTES, PublicKeys
from device.protocol.refusals import (
    ForgedError,
    MisaddressedError,
    TruncatedError,
    UnknownVersionError,
)

SuiteName = Literal["mlkem768-x25519", "x25519"]
Purpose = Literal["cell", "letter", "list key"]

HEADER_BYTES: Final = 2 + KEY_ID_BYTES
OVERHEAD_BYTES: Final[dict[SuiteName, int]] = {"mlkem768-x25519": 1_136, "x25519": 48}
"""Encapsulated key and authentication tag."""

_NUMBERS: dict[SuiteName, int] = {"mlkem768-x25519": 1, "x25519": 2}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_KEMS = {"mlkem768-x25519": hpke.KEM.MLKEM768_X25519, "x25519": hpke.KEM.X25519}
_SUITES = {
    # ChaCha20 rather than AES: the Pi 4 has no AES instructions.
    name: hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    for name, kem in _KEMS.items()
}


class Opener(Protocol):
    """Who can open: a party's private keys, or keys that live for one answer."""

    @property
    def public(self) -> PublicKeys:
        """The public half."""
        ...

    @property
    def classic(self) -> X25519PrivateKey:
        """Opens what was sealed with X25519 alone."""
        ...

    @property
    def hybrid(self) -> hpke.MLKEM768X25519PrivateKey:
        """Opens what was sealed with ML-KEM-768 and X25519 together."""
        ...


def seal(
    content: bytes, to: PublicKeys, source: str, suite: SuiteName, purpose: Purpose, *more: str
) -> bytes:
    """Seal for one recipient. source: URI of the device. more: what else is bound."""
    key = to.hybrid if suite == "mlkem768-x25519" else to.classic
    header = bytes((VERSION, _NUMBERS[suite])) + to.key_id
    info = _info(purpose, suite, source, to.key_id, more)
    return header + _SUITES[suite].encrypt(content, key, info)


def unseal(sealed: bytes, own: Opener, source: str, purpose: Purpose, *more: str) -> bytes:
    """Return what was sealed for these keys and for nothing else.

    Raises TruncatedError, UnknownVersionError, MisaddressedError, ForgedError.
    """
    if len(sealed) < HEADER_BYTES:
        raise TruncatedError("A sealed message ends within its header.")
    suite = _NAMES.get(sealed[1])
    if sealed[0] != VERSION or suite is None:
        raise UnknownVersionError("A sealed message is of another version, or of no known suite.")
    if len(sealed) < HEADER_BYTES + OVERHEAD_BYTES[suite]:
        raise TruncatedError("A sealed message ends within its key or its tag.")
    key_id = sealed[2:HEADER_BYTES]
    if key_id != own.public.key_id:
        raise MisaddressedError("A sealed message is for somebody else.")
    key = own.hybrid if suite == "mlkem768-x25519" else own.classic
    info = _info(purpose, suite, source, key_id, more)
    try:
        return _SUITES[suite].decrypt(sealed[HEADER_BYTES:], key, info)
    except (InvalidTag, ValueError) as error:
        raise ForgedError(
            "A sealed message does not open: altered, or sealed otherwise."
        ) from error


def _info(
    purpose: Purpose, suite: SuiteName, source: str, to: bytes, more: tuple[str, ...]
) -> bytes:
    parts = ["passerby", VERSION, purpose, _NUMBERS[suite], source, to, *more]
    return cbor2.dumps(parts, canonical=True)
