"""What a network answers, as it stores it: only what is asked for becomes numbers."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Output:
    """One output of a network, as it is stored: numbers of 8 bits mostly, and what they stand for.

    Only what is asked for becomes float32. Valid while `Network.outputs` is open.
    """

    __slots__ = ("_quantization", "stored")

    def __init__(
        self, stored: npt.NDArray[Any], quantization: tuple[float, int] = (0.0, 0)
    ) -> None:
        """stored: (1, n, k) or whatever the model has. quantization: scale and zero point; 0: none.

        The values are scale * (stored - zero point): TensorFlow Lite 8-bit quantisation
        specification.
        """
        self.stored = stored
        self._quantization = quantization

    def all(self) -> Floats:
        """Return all values, float32 in the output's own shape."""
        return _dequantised(self.stored, self._quantization)

    def rows(self, which: npt.NDArray[np.intp]) -> Floats:
        """Return the values of some rows (m,) of (1, n, k), as (m, k) float32."""
        return _dequantised(self.stored[0][which], self._quantization)

    def reaches(self, value: float) -> npt.NDArray[np.bool_]:
        """Return for each row of (1, n, 1) whether its value is at least this, (n,)."""
        column = self.stored[0, :, 0]
        if not self._quantization[0]:
            return np.asarray(column >= value)
        return np.asarray(column >= _lowest(column.dtype, self._quantization, value))

    def close(self) -> None:
        """Let go of the tensor: no view of it may be held across `invoke`, by nobody."""
        self.stored = np.empty(0, np.uint8)


@lru_cache(maxsize=64)
def _lowest(dtype: np.dtype[Any], quantization: tuple[float, int], value: float) -> int:
    """Return the lowest stored number that stands for at least a value; one too many for none."""
    limits = np.iinfo(dtype)
    numbers = np.arange(limits.min, limits.max + 1, dtype=np.int64)
    reached = np.flatnonzero(_dequantised(numbers, quantization) >= value)
    return int(numbers[reached[0]]) if reached.size else int(limits.max) + 1


def _dequantised(raw: npt.NDArray[Any], quantization: tuple[float, int]) -> Floats:
    """Return scale * (stored - zero point): TensorFlow Lite 8-bit quantisation specification."""
    scale, zero = quantization
    values = raw.astype(np.float32)
    if scale:
        values -= zero
        values *= scale
    return values
