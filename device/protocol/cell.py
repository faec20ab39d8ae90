"""Cells and letters: what is signed, sealed to one recipient with HPKE (RFC 9180, base mode).

    version (1) | suite (1) | recipient's key id (16) | encapsulated key | ciphertext

A *cell* is what travels: `CELL_BYTES` long, whatever is in it, because its content is padded with
zeros before it is sealed. A *letter* is what waits on a device's disk: as long as its content.
Protocol version, purpose, suite, device and recipient go into HPKE's `info`: a cell that is moved
to another device's topic, or a letter that is sent as a cell, does not open.

Sealing draws a fresh key every time: two cells with the same content have nothing in common.
"""

from typing import Final, Literal

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke

from device.protocol.cose import VERSION
from device.protocol.keys import KEY_ID_BYTES, PrivateKeys, PublicKeys
from device.protocol.refusals import (
    ForgedError,
    MisaddressedError,
    NotCanonicalError,
    OversizeError,
    TruncatedError,
    UnknownVersionError,
)

CELL_BYTES: Final = 12_288
"""Of every message on the wire: alerts, receipts, commands, status and dummies alike."""
LARGEST_LETTER_BYTES: Final = 10_752
"""So that a signed letter fits a cell in either suite."""

SuiteName = Literal["mlkem768-x25519", "x25519"]
Purpose = Literal["cell", "letter"]

_HEADER_BYTES = 2 + KEY_ID_BYTES
_LENGTH_BYTES = 4
_NUMBERS: dict[SuiteName, int] = {"mlkem768-x25519": 1, "x25519": 2}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_KEMS = {"mlkem768-x25519": hpke.KEM.MLKEM768_X25519, "x25519": hpke.KEM.X25519}
_SUITES = {
    # ChaCha20 rather than AES: the Pi 4 has no AES instructions.
    name: hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    for name, kem in _KEMS.items()
}
_OVERHEAD_BYTES = {"mlkem768-x25519": 1_136, "x25519": 48}
"""Encapsulated key and authentication tag."""


def room(suite: SuiteName, purpose: Purpose) -> int:
    """Return how many bytes of content a cell or a letter can hold."""
    whole = CELL_BYTES - _LENGTH_BYTES if purpose == "cell" else LARGEST_LETTER_BYTES
    return whole - _HEADER_BYTES - _OVERHEAD_BYTES[suite]


def seal_cell(content: bytes, to: PublicKeys, source: str, suite: SuiteName) -> bytes:
    """Pad and seal. source: URI of the device at one end. Raises OversizeError."""
    space = room(suite, "cell")
    if len(content) > space:
        raise OversizeError(f"A message of {len(content)} bytes does not fit a cell ({space}).")
    length = len(content).to_bytes(_LENGTH_BYTES, "big")
    return _seal(length + content + bytes(space - len(content)), to, source, suite, "cell")


def seal_letter(content: bytes, to: PublicKeys, source: str, suite: SuiteName) -> bytes:
    """Seal for the disk, without padding. Raises OversizeError."""
    space = room(suite, "letter")
    if len(content) > space:
        raise OversizeError(f"A message of {len(content)} bytes does not fit a letter ({space}).")
    return _seal(content, to, source, suite, "letter")


def open_cell(cell: bytes, keys: PrivateKeys, source: str) -> bytes:
    """Return the content of a cell.

    Raises OversizeError, TruncatedError, UnknownVersionError, MisaddressedError, ForgedError,
    NotCanonicalError.
    """
    if len(cell) > CELL_BYTES:
        raise OversizeError(f"A cell has {CELL_BYTES} bytes, this message {len(cell)}.")
    if len(cell) < CELL_BYTES:
        raise TruncatedError(f"A cell has {CELL_BYTES} bytes, this message {len(cell)}.")
    padded = _open(cell, keys, source, "cell")
    length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    end = _LENGTH_BYTES + length
    if end > len(padded):
        raise TruncatedError("The content of a cell is longer than the cell.")
    if any(padded[end:]):
        raise NotCanonicalError("The padding of a cell is not blank.")
    return padded[_LENGTH_BYTES:end]


def open_letter(letter: bytes, keys: PrivateKeys, source: str) -> bytes:
    """Return the content of a letter. Raises as `open_cell` does."""
    if len(letter) > LARGEST_LETTER_BYTES:
        raise OversizeError(f"A letter of {len(letter)} bytes is refused.")
    return _open(letter, keys, source, "letter")


def _seal(content: bytes, to: PublicKeys, source: str, suite: SuiteName, purpose: Purpose) -> bytes:
    key = to.hybrid if suite == "mlkem768-x25519" else to.classic
    header = bytes((VERSION, _NUMBERS[suite])) + to.key_id
    return header + _SUITES[suite].encrypt(content, key, _info(purpose, suite, source, to.key_id))


def _open(sealed: bytes, keys: PrivateKeys, source: str, purpose: Purpose) -> bytes:
    if len(sealed) < _HEADER_BYTES:
        raise TruncatedError("A sealed message ends within its header.")
    suite = _NAMES.get(sealed[1])
    if sealed[0] != VERSION or suite is None:
        raise UnknownVersionError("A sealed message is of another version, or of no known suite.")
    if len(sealed) < _HEADER_BYTES + _OVERHEAD_BYTES[suite]:
        raise TruncatedError("A sealed message ends within its key or its tag.")
    key_id = sealed[2:_HEADER_BYTES]
    if key_id != keys.public.key_id:
        raise MisaddressedError("A sealed message is for somebody else.")
    key = keys.hybrid if suite == "mlkem768-x25519" else keys.classic
    try:
        return _SUITES[suite].decrypt(
            sealed[_HEADER_BYTES:], key, _info(purpose, suite, source, key_id)
        )
    except (InvalidTag, ValueError) as error:
        raise ForgedError(
            "A sealed message does not open: altered, or sealed otherwise."
        ) from error


def _info(purpose: Purpose, suite: SuiteName, source: str, to: bytes) -> bytes:
    parts = ["passerby", VERSION, purpose, _NUMBERS[suite], source, to]
    return cbor2.dumps(parts, canonical=True)
