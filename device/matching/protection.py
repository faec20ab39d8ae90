"""Templates bound to one deployment's key, as ISO/IEC 24745 asks (R55).

A reference g becomes Q·[g; o; 1; r] and a probe p becomes Q·[p; 0; 0; 0]; Q is a random rotation
that only the key tells. Rotations keep inner products, so every score stays what it was. Three
things are added to the plain rotation of the literature, each because without it lists were linked
(docs/decisions/0011-templates-that-tell-nothing.md):

- *blinding*, r: the desk chooses it so that in a block of references all stored rows have the same
  length and stand at right angles to each other. What a plain rotation keeps, who resembles whom,
  is then the same for every list. Such rows, turned by a random rotation, are distributed the same
  whoever was enrolled: without the key they say nothing, not only little.
- *blocks*: each `block_of(dimension)` references have a rotation of their own. It takes as many
  extra numbers per row as a block has references; one block for a whole list would be slower.
- *the offset*, o: what a reference's level takes off its scores (`device.matching.cohort`). Beside
  the rows it would be a fingerprint of person and list.

The 1 tells whether rows and key belong together: another key finds something else there.

Whoever has the key has the templates: multiplying back is all it takes. This is encryption that can
be compared without being undone, and a way to renew templates; it is no one-way function (R57).
"""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from device.capture.frame import Ephemeral
from device.errors import WatchlistError
from device.memory import Key, LockedBuffer

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

SEED_BYTES: Final = 32
_ADDED: Final = 2
"""Coordinates beside the template: the offset and the check."""
_POWER: Final = 4.0
"""Squared length of a stored row, over the block's references. With less than the sum of a block's
squared lengths (about 2 per reference) blinding could be impossible; more costs precision."""
_CHECK_TOLERANCE: Final = 1e-3
"""Rounding makes some 1e-6; another key some 1."""
_FLOAT32_BYTES: Final = 4


def block_of(dimension: int) -> int:
    """Return how many references share a rotation: the dimension, where a comparison is cheapest.

    n references cost n/b rotations of d × (d + b) and n rows of d + b, least at b = d.
    """
    return dimension


def width_of(dimension: int) -> int:
    """Return the numbers in a stored row for templates of `dimension`."""
    return dimension + _ADDED + block_of(dimension)


class Transformation(Ephemeral):
    """The rotations of one sealed list, in locked memory.

    rotations: (blocks, dimension + 2, width) float32, each with orthonormal rows: the part of Q
    that probes need. fault: see `LockedBuffer`.
    """

    __slots__ = ("_buffer", "dimension", "rotations")

    def __init__(self, seed: Key, dimension: int, references: int) -> None:
        """seed: 32 bytes, uniformly random, of this list alone."""
        blocks = -(-references // block_of(dimension))
        shape = (blocks, dimension + _ADDED, width_of(dimension))
        self._buffer = LockedBuffer(int(np.prod(shape)) * _FLOAT32_BYTES)
        self.dimension = dimension
        self.rotations: Floats = self._buffer.array.view(np.float32).reshape(shape)
        for block, rotation in enumerate(self.rotations):
            frame = _frame(_gaussians(seed, block, (shape[2], shape[1])))
            # In two steps: NumPy casts through a buffer that it does not wipe.
            single = frame.astype(np.float32)
            rotation[:] = single.T
            for used in (frame, single):
                used.fill(0)

    @property
    def fault(self) -> str | None:
        """Why the rotations may be swapped to the disk, or None."""
        return self._buffer.fault

    def scores(self, rows: Floats, templates: Floats) -> Floats:
        """Return the inner products of probes with stored references, (n, references) float32.

        rows: (references, width). templates: (n, dimension) float32.
        """
        found = np.empty((len(templates), len(rows)), np.float32)
        probes = np.zeros((len(templates), self.dimension + _ADDED), np.float32)
        turned = scores = np.empty((0, 0), np.float32)
        try:
            probes[:, : self.dimension] = templates
            for rotation, part in self._blocks(len(rows)):
                turned = _turned(probes, rotation)
                scores = turned @ rows[part].T
                found[:, part] = scores
                for used in (turned, scores):
                    used.fill(0)
        except BaseException:
            found.fill(0)
            raise
        finally:
            for used in (probes, turned, scores):
                used.fill(0)
        return found

    def offsets(self, rows: Floats) -> Floats:
        """Return the offset of each stored reference, (references,) float32."""
        return self._added(rows, 0)

    def fits(self, rows: Floats) -> bool:
        """Return whether rows were made with this key and are whole: finite, of the one length."""
        powers = np.einsum("ij,ij->i", rows, rows) / (_POWER * block_of(self.dimension))
        off = np.maximum(np.abs(self._added(rows, 1) - 1), np.abs(powers - 1))
        # Not `> tolerance`: what is no number fits no key.
        return bool(np.all(off < _CHECK_TOLERANCE))

    def wipe(self) -> None:
        """Overwrite the rotations: without them stored rows say nothing."""
        self._buffer.wipe()

    def _added(self, rows: Floats, coordinate: int) -> Floats:
        found = np.empty(len(rows), np.float32)
        for rotation, part in self._blocks(len(rows)):
            found[part] = rows[part] @ rotation[self.dimension + coordinate]
        return found

    def _blocks(self, references: int) -> list[tuple[Floats, slice]]:
        size = block_of(self.dimension)
        return [
            (rotation, slice(start, min(start + size, references)))
            for rotation, start in zip(self.rotations, range(0, references, size), strict=False)
        ]


def _turned(probes: Floats, rotation: Floats) -> Floats:
    """Return probes as they are compared with one block of rows."""
    return np.asarray(probes @ rotation, np.float32)


def protect(references: Floats, offsets: Floats, transformation: Transformation) -> Floats:
    """Return the rows to store, (n, width) float32, blinded afresh at every call.

    references: (n, dimension) float32, weighed directions. offsets: (n,) float32. Raises
    WatchlistError when lengths are so uneven that blinding cannot hide them.
    """
    dimension = references.shape[1]
    size = block_of(dimension)
    secret = bytearray(secrets.token_bytes(SEED_BYTES))
    stored = np.empty((len(references), width_of(dimension)), np.float32)
    for block, rotation in enumerate(transformation.rotations):
        part = slice(block * size, (block + 1) * size)
        ones = np.ones(len(references[part]))
        plain = np.column_stack([references[part], offsets[part], ones]).astype(np.float64)
        turned = np.asarray(rotation.T, np.float64)
        noise = _gaussians(secret, block, (width_of(dimension), len(plain)))
        # Columns at right angles to everything a probe can reach.
        beyond = _frame(np.hstack([turned, noise]))[:, turned.shape[1] :]
        stored[part] = plain @ turned.T + _blinding(plain, _POWER * size) @ beyond.T
    secret[:] = bytes(SEED_BYTES)
    return stored


def template_digests(ids: Sequence[str], rows: Floats) -> dict[str, str]:
    """Return the SHA-256 of each reference's stored row, for the manifest (R27).

    rows: (references, width) float32, as on the device; the same at the desk and on the device.
    """
    return {
        reference_id: hashlib.sha256(np.ascontiguousarray(row, "<f4").data).hexdigest()
        for reference_id, row in zip(ids, rows, strict=True)
    }


def _blinding(plain: Doubles, power: float) -> Doubles:
    """Return B (n, n) with plain·plain' + B·B' = power·identity."""
    values, vectors = np.linalg.eigh(plain @ plain.T)
    if values[-1] > power:
        raise WatchlistError(
            "The templates of this list differ too much in length to be protected: enrol the "
            "photographs again with one embedder."
        )
    return np.asarray(vectors * np.sqrt(power - values), np.float64)


def _frame(gaussians: Doubles) -> Doubles:
    """Return orthonormal columns, uniformly random where the columns given are.

    Source: Mezzadri, "How to generate random matrices from the classical compact groups", Notices
    of the AMS 54, 2007: QR, with the signs of R's diagonal taken into Q.
    """
    frame, upper = np.linalg.qr(gaussians)
    frame *= np.where(np.diagonal(upper) < 0, -1.0, 1.0)
    upper.fill(0)
    gaussians.fill(0)
    return np.asarray(frame, np.float64)


def _gaussians(key: Key, stream: int, shape: tuple[int, int]) -> Doubles:
    """Return independent normal deviates from ChaCha20's key stream (Box and Muller, 1958).

    The same on every machine but for the last bit of logarithm and cosine.
    """
    pairs = (shape[0] * shape[1] + 1) // 2
    stream_of_bytes = bytearray(pairs * 16)
    # Counter, then nonce, as cryptography's ChaCha20 takes them.
    nonce = bytes(8) + stream.to_bytes(8, "little")
    encryptor = Cipher(ChaCha20(key, nonce), None).encryptor()
    encryptor.update_into(bytes(len(stream_of_bytes)), stream_of_bytes)
    words = np.frombuffer(stream_of_bytes, "<u8").reshape(2, pairs)
    first, second = (words >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2 * np.log1p(-first))
    turn = 2 * np.pi * second
    found = np.concatenate([radius * np.cos(turn), radius * np.sin(turn)])
    stream_of_bytes[:] = bytes(len(stream_of_bytes))
    for used in (first, second, radius, turn):
        used.fill(0)
    return found[: shape[0] * shape[1]].reshape(shape)
