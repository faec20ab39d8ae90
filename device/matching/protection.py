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

A list that is open is compared in another form, `Session`: all its templates under one more
rotation of the key, without blinding, their offsets beside them. That is a quarter of the work for
each probe, and there is still no plain template in memory; but such rows tell who resembles whom.
So they are made in locked memory, beside the rotation that turns them back, and never leave it
(docs/decisions/0013-one-rotation-while-a-list-is-open.md).

Whoever has the key has the templates: multiplying back is all it takes. This is encryption that can
be compared without being undone, and a way to renew templates; it is no one-way function (R57).
"""

import hashlib
import math
import secrets
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from device.capture.frame import Ephemeral
from device.errors import WatchlistError
from device.matching.products import (
    leave_nothing,
    leave_nothing_packed,
    products,
    rows_in,
    shape_of,
)
from device.matching.rotation import Doubles, frame, gaussians, rotate_into
from device.memory import Key, LockedBuffer

Floats = npt.NDArray[np.float32]

SEED_BYTES: Final = 32
_ADDED: Final = 2
"""Coordinates beside the template: the offset and the check."""
_POWER: Final = 4.0
"""Squared length of a stored row, over the block's references. With less than the sum of a block's
squared lengths (about 2 per reference) blinding could be impossible; more costs precision."""
_CHECK_TOLERANCE: Final = 1e-3
"""Rounding makes some 1e-6; another key some 1."""
_FLOAT32_BYTES: Final = 4
_OF_SESSION: Final = 2**64 - 1
"""Which part of the key stream makes a session's rotation: no list has so many blocks."""


def block_of(dimension: int) -> int:
    """Return how many references share a rotation: the dimension, where a comparison is cheapest.

    n references cost n/b rotations of d × (d + b) and n rows of d + b, least at b = d.
    """
    return dimension


def width_of(dimension: int) -> int:
    """Return the numbers in a stored row for templates of `dimension`."""
    return dimension + _ADDED + block_of(dimension)


class Transformation(Ephemeral):
    """The rotations of one sealed list, in locked memory: for who makes stored rows.

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
            rotate_into(rotation, seed, block)

    @property
    def fault(self) -> str | None:
        """Why the rotations may be swapped to the disk, or None."""
        return self._buffer.fault

    def wipe(self) -> None:
        """Overwrite the rotations: without them stored rows say nothing."""
        self._buffer.wipe()


class Session(Ephemeral):
    """An opened list as it is compared: its templates under one rotation, in locked memory.

    rows: (references, dimension) float32, the templates turned. offsets: (references,) float32, of
    each. rotations: (1, dimension, dimension) float32, orthonormal; a probe times it is turned. It
    comes of the seed, so that the proof of forgetting knows it. buffer: all of it.
    """

    __slots__ = ("_blocks", "_fault", "buffer", "dimension", "offsets", "rotations", "rows")

    def __init__(self, seed: Key, dimension: int, stored: Floats) -> None:
        """Turn stored rows, (references, width) float32, block by block; they stay as they are.

        seed: 32 bytes, of this list alone. Raises WatchlistError, and wipes what it made, when rows
        were made with another key or are not whole: not finite, not of the one length.
        """
        shape = shape_of(len(stored), dimension)
        self.buffer, (turn, self._blocks, self.offsets) = _locked(
            (1, dimension, dimension), shape, (len(stored),)
        )
        self.dimension = dimension
        self.rows = rows_in(self._blocks, len(stored))
        self.rotations: Floats = turn.transpose(0, 2, 1)
        width, size = width_of(dimension), block_of(dimension)
        scratch, (rotation, between) = _locked((dimension + _ADDED, width), (dimension, width))
        self._fault = scratch.fault
        try:
            rotate_into(turn[0], seed, _OF_SESSION)
            for block, start in enumerate(range(0, len(stored), size)):
                part = slice(start, start + size)
                rotate_into(rotation, seed, block)
                _take_offsets(stored[part], rotation[dimension:], size, self.offsets[part])
                # In one product: turning back first would make plain templates.
                np.matmul(turn[0], rotation[:dimension], out=between)
                np.matmul(stored[part], between.T, out=self.rows[part])
        except BaseException:
            self.wipe()
            raise
        finally:
            scratch.wipe()
            leave_nothing_packed(width)

    @property
    def fault(self) -> str | None:
        """Why the list, or what opened it, may have been swapped to the disk, or None."""
        return self.buffer.fault or self._fault

    def scores(self, templates: Floats) -> Floats:
        """Return the inner products of probes with all references, (n, references) float32.

        templates: (n, dimension) float32.
        """
        found = np.zeros((len(templates), self._blocks.shape[0] * self.dimension), np.float32)
        turned = np.zeros((len(templates), self.dimension), np.float32)
        try:
            _turned(templates, self.rotations, turned)
            products(self._blocks, turned, found)
        except BaseException:
            found.fill(0)
            raise
        finally:
            turned.fill(0)
            leave_nothing(self._blocks)
        return found[:, : len(self.rows)]

    def wipe(self) -> None:
        """Overwrite rows, offsets and rotation."""
        self.buffer.wipe()


def _take_offsets(stored: Floats, added: Floats, size: int, offsets: Floats) -> None:
    """Read the offsets out of one block's rows, into (references,) float32.

    stored: (references, width). added: (2, width), the directions of offset and check. size:
    references of a full block. Raises WatchlistError when rows do not fit their key.
    """
    found = added @ stored.T
    powers = np.einsum("ij,ij->i", stored, stored) / (_POWER * size)
    off = np.maximum(np.abs(found[1] - 1), np.abs(powers - 1))
    offsets[:] = found[0]
    found.fill(0)
    # Not `> tolerance`: what is no number fits no key.
    if not np.all(off < _CHECK_TOLERANCE):
        raise WatchlistError(
            "The templates of the watchlist do not fit its key: publish it again with the desk's "
            "programs."
        )


def _locked(*shapes: tuple[int, ...]) -> tuple[LockedBuffer, list[Floats]]:
    """Return zeroed locked memory, and float32 views of these shapes, one behind the other."""
    sizes = [math.prod(shape) for shape in shapes]
    buffer = LockedBuffer(sum(sizes) * _FLOAT32_BYTES)
    parts = np.split(buffer.array.view(np.float32), list(accumulate(sizes))[:-1])
    return buffer, [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _turned(probes: Floats, rotations: Floats, out: Floats) -> None:
    """Turn probes, (n, dimension), as they are compared with a session's rows."""
    products(rotations.transpose(0, 2, 1), probes, out)


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
        noise = gaussians(secret, block, (width_of(dimension), len(plain)))
        # Columns at right angles to everything a probe can reach.
        beyond = frame(np.hstack([turned, noise]))[:, turned.shape[1] :]
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
