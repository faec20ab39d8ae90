"""PyTorch checkpoints in the format before 1.6: pickles, then each storage's numbers.

Source: `_legacy_load` of https://github.com/pytorch/pytorch/blob/main/torch/serialization.py. A
pickle may name any function to call; here it may name a few, and gets our stand-ins for them, so
that nothing of a file is ever executed.
"""

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.field.values import Tensors

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8", "HalfStorage": "<f2"}
_COUNT_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: str
    size: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild(storage: object, offset: object, shape: object, strides: object, *_: object) -> object:
    """Stand in for torch._utils._rebuild_tensor_v2: note where a tensor lies."""
    if isinstance(storage, _Storage) and isinstance(shape, tuple) and isinstance(strides, tuple):
        return _Tensor(storage, int(str(offset)), shape, strides)
    raise ValueError("a tensor without a storage")


class _Unpickler(pickle.Unpickler):
    """Reads a pickle that may hold numbers, texts, containers and the stand-ins, nothing else."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as in pickle
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _DTYPES:
            return name
        raise ValueError(f"{module}.{name} is not allowed")

    def persistent_load(self, pid: Any) -> _Storage:  # noqa: ANN401 - as in pickle
        kind, storage_type, key, _, size, _ = pid
        if kind != "storage":
            raise ValueError(f"{kind} is not allowed")
        return _Storage(str(key), _DTYPES[storage_type], int(size))


def tensors(data: bytes) -> Tensors:
    """Return the tensors of a checkpoint's state by name. Raises ValueError for other bytes."""
    stream = io.BytesIO(data)
    if (_load(stream), _load(stream)) != (_MAGIC, _PROTOCOL):
        raise ValueError("no checkpoint")
    _load(stream)  # The machine it was written on.
    state = _load(stream)
    keys = _load(stream)
    found = {name: one for name, one in dict(state).items() if isinstance(one, _Tensor)}
    dtypes = {one.storage.key: one.storage.dtype for one in found.values()}
    storages = {key: _numbers(stream, dtypes[key]) for key in keys}
    return {str(name): _array(one, storages) for name, one in found.items()}


def _load(stream: io.BytesIO) -> Any:  # noqa: ANN401 - whatever is in the file
    load: Callable[[], Any] = _Unpickler(stream, encoding="utf-8").load
    try:
        return load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError) as error:
        raise ValueError("a pickle is damaged") from error


def _numbers(stream: io.BytesIO, dtype: str) -> npt.NDArray[Any]:
    count = int.from_bytes(stream.read(_COUNT_BYTES), "little")
    size = count * np.dtype(dtype).itemsize
    content = stream.read(size)
    if len(content) != size:
        raise ValueError("a storage is incomplete")
    return np.frombuffer(content, dtype)


def _array(one: _Tensor, storages: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    size = math.prod(one.shape)
    contiguous = tuple(math.prod(one.shape[axis + 1 :]) for axis in range(len(one.shape)))
    if one.strides != contiguous or one.offset < 0:
        raise ValueError("a tensor that is not contiguous")
    numbers = storages[one.storage.key][one.offset : one.offset + size]
    return numbers.reshape(one.shape)
