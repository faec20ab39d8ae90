"""Cells and letters: what is signed, sealed to one recipient with HPKE (`device.protocol.hpke`).

    version (1) | suite (1) | recipient's key id (16) | encapsulated key | ciphertext

A *cell* is what travels: `CELL_BYTES` long, whatever is in it, because its content is padded with
zeros before it is sealed. A *letter* is what waits on a device's disk: as long as its content.
Protocol version, purpose, suite, device and recipient go into HPKE's `info`: a cell that is moved
to another device's topic, or a letter that is sent as a cell, does not open.

Sealing draws a fresh key every time: two cells with the same content have nothing in common.
"""

from typing import Final, Literal

from device.protocol.hpke import HEADER_BYTES, OVERHEAD_BYTES, SuiteName, seal, unseal
from device.protocol.keys import PrivateKeys, PublicKeys
from device.protocol.refusals import NotCanonicalError, OversizeError, TruncatedError

__all__ = [
    "CELL_BYTES",
    "LARGEST_LETTER_BYTES",
    "SuiteName",
    "open_cell",
    "open_letter",
    "room",
    "seal_cell",
    "seal_letter",
]

CELL_BYTES: Final = 12_288
"""Of every message on the wire: alerts, receipts, commands, status and dummies alike."""
LARGEST_LETTER_BYTES: Final = 10_752
"""So that a signed letter fits a cell in either suite."""

_LENGTH_BYTES = 4


def room(suite: SuiteName, purpose: Literal["cell", "letter"]) -> int:
    """Return how many bytes of content a cell or a letter can hold."""
    whole = CELL_BYTES - _LENGTH_BYTES if purpose == "cell" else LARGEST_LETTER_BYTES
    return whole - HEADER_BYTES - OVERHEAD_BYTES[suite]


def seal_cell(content: bytes, to: PublicKeys, source: str, suite: SuiteName) -> bytes:
    """Pad and seal. source: URI of the device at one end. Raises OversizeError."""
    space = room(suite, "cell")
    if len(content) > space:
        raise OversizeError(f"A message of {len(content)} bytes does not fit a cell ({space}).")
    length = len(content).to_bytes(_LENGTH_BYTES, "big")
    return seal(length + content + bytes(space - len(content)), to, source, suite, "cell")


def seal_letter(content: bytes, to: PublicKeys, source: str, suite: SuiteName) -> bytes:
    """Seal for the disk, without padding. Raises OversizeError."""
    space = room(suite, "letter")
    if len(content) > space:
        raise OversizeError(f"A message of {len(content)} bytes does not fit a letter ({space}).")
    return seal(content, to, source, suite, "letter")


def open_cell(cell: bytes, keys: PrivateKeys, source: str) -> bytes:
    """Return the content of a cell.

    Raises OversizeError, TruncatedError, UnknownVersionError, MisaddressedError, ForgedError,
    NotCanonicalError.
    """
    if len(cell) > CELL_BYTES:
        raise OversizeError(f"A cell has {CELL_BYTES} bytes, this message {len(cell)}.")
    if len(cell) < CELL_BYTES:
        raise TruncatedError(f"A cell has {CELL_BYTES} bytes, this message {len(cell)}.")
    padded = unseal(cell, keys, source, "cell")
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
    return unseal(letter, keys, source, "letter")
