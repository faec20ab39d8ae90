"""OpenVINO IR: the `.bin` beside a `.xml`, one run of bytes. A tensor's name says where it lies."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.field.values import Tensors

_DTYPES = {"f16": "<f2", "f32": "<f4", "i64": "<i8", "i32": "<i4"}


def name_of(element_type: str, offset: int, shape: list[int]) -> str:
    """Return the name under which `tensors` finds a tensor, such as "f16:1024:64x32x1x1"."""
    return f"{element_type}:{offset}:{'x'.join(map(str, shape))}"


class _Places(Mapping[str, npt.NDArray[Any]]):
    """Tensors that are looked up by `name_of` their places."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        element_type, offset, sides = name.split(":")
        shape = [int(side) for side in sides.split("x") if side]
        return np.frombuffer(
            self._data, _DTYPES[element_type], math.prod(shape), int(offset)
        ).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def tensors(data: bytes) -> Tensors:
    """Return the tensors of a `.bin`; any bytes are one, so that only their hash can be wrong."""
    return _Places(data)
