"""ONNX: the initializers of a graph.

Source of the field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.field.upstream.protobuf import floats, grouped, messages, text, whole
from tools.field.values import Tensors

_GRAPH, _INITIALIZER = 7, 5
_DTYPES = {1: "<f4", 7: "<i8", 10: "<f2", 11: "<f8"}
_INT64 = 7


def tensors(data: bytes) -> Tensors:
    """Return all initializers of a file by name. Raises ValueError for other bytes."""
    (graph,) = messages(grouped(data), _GRAPH)
    return dict(tensor(one) for one in messages(grouped(graph), _INITIALIZER))


def tensor(data: bytes) -> tuple[str, npt.NDArray[Any]]:
    """Return name and array of a TensorProto."""
    found = grouped(data)
    shape = whole(found, 1)
    (kind,) = whole(found, 2)
    dtype = _DTYPES[kind]
    raw = messages(found, 9)
    if raw:
        values: npt.NDArray[Any] = np.frombuffer(raw[0], dtype)
    elif kind == _INT64:
        values = np.array(whole(found, 7), np.int64)
    else:
        values = floats(found, 4)
    if math.prod(shape) != values.size:
        raise ValueError("a tensor is incomplete")
    return text(found, 8), values.reshape(shape)
