"""Numbers as a `.tflite` file stores them: whole numbers times a scale, or floats.

Source: https://ai.google.dev/edge/litert/models/quantization_spec: weights are int8 in -127…127
with one scale per output channel and zero point 0, biases int32 with scale = input's × weights'.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from device.errors import ModelError
from tools.field.values import Doubles

_LIMITS = {"int8": 127, "int32": 2**31 - 1}
_FLOATS = ("float32", "float16")


def stored(
    values: Doubles, dtype: str, scales: npt.NDArray[np.float32], axis: int
) -> npt.NDArray[Any]:
    """Return values as they are stored.

    dtype: "int8", "int32" (rounded half to even, cut to the symmetric range), "float32" or
    "float16". scales: one, or one per element of `axis`; not looked at for floats. Raises
    ModelError for values that are not finite, and for another dtype.
    """
    if not np.isfinite(values).all():
        raise ModelError("The published file holds numbers that are not finite.")
    if dtype in _FLOATS:
        return values.astype(dtype)
    if dtype not in _LIMITS:
        raise ModelError(f"A recipe asks for {dtype}, which is not stored in models.")
    shape = [1] * values.ndim
    shape[axis] = -1
    whole = np.rint(values / scales.astype(np.float64).reshape(shape))
    return np.clip(whole, -_LIMITS[dtype], _LIMITS[dtype]).astype(dtype)
