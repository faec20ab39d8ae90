"""Inner products of probes with many rows, of which linear algebra keeps nothing.

NumPy leaves a product of a matrix and a vector to OpenBLAS. From some 500 numbers on that works in
memory of its own, which it neither gives back nor overwrites: the scores of a stranger against 300
references were found there, long after the frame. So rows lie in blocks, every product is that of a
block and a vector, and the last one is of zeros: it takes the same places as those before it.
Blocks cost nothing, the last product as much as one block.

Products of two matrices, of which opening a list consists, copy both into such memory.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def shape_of(references: int, dimension: int) -> tuple[int, int, int]:
    """Return the shape of the blocks of so many rows: (blocks, dimension, dimension)."""
    return -(-references // dimension), dimension, dimension


def rows_in(blocks: Floats, references: int) -> Floats:
    """Return the rows in blocks, (references, dimension) float32: a view. The rest stays zero."""
    return blocks.reshape(-1, blocks.shape[2])[:references]


def products(blocks: Floats, probes: Floats, out: Floats) -> None:
    """Multiply probes with all rows; `leave_nothing` comes afterwards.

    blocks: (blocks, dimension, dimension) float32. probes: (n, dimension) float32. out: (n,
    blocks * dimension) float32, contiguous. The same to the last bit wherever they lie in memory.
    """
    for probe, found in zip(probes, out, strict=True):
        np.matmul(blocks, probe, out=found.reshape(blocks.shape[:2]))


def leave_nothing(blocks: Floats) -> None:
    """Overwrite what `products` of these blocks left in the linear algebra's own memory."""
    nothing = np.zeros(blocks.shape[2], np.float32)
    np.matmul(blocks[0], nothing, out=np.empty_like(nothing))


def leave_nothing_packed(side: int) -> None:
    """Overwrite what products and decompositions of matrices up to (side, side) left there."""
    for kind in (np.float32, np.float64):
        nothing = np.zeros((side, side), kind)
        np.matmul(nothing, nothing)
