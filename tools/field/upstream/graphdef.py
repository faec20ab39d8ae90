"""TensorFlow GraphDef (`.pb`, frozen): the constants of a graph.

Source of the field numbers: tensorflow/core/framework/graph.proto, node_def.proto,
attr_value.proto, tensor.proto.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.field.upstream.protobuf import floats, grouped, messages, text, whole
from tools.field.values import Tensors

_NODE, _ATTRIBUTE = 1, 5
_FLOAT, _INT32 = 1, 3


def tensors(data: bytes) -> Tensors:
    """Return all constants of a file by name. Raises ValueError for other bytes."""
    found = {}
    for node in messages(grouped(data), _NODE):
        fields = grouped(node)
        if text(fields, 2) == "Const":
            value = attributes(node)["value"]
            found[text(fields, 1)] = _tensor(messages(grouped(value), 8)[0])
    if not found:
        raise ValueError("no constants")
    return found


def attributes(node: bytes) -> dict[str, bytes]:
    """Return the attributes of a NodeDef, each an AttrValue message."""
    pairs = [grouped(one) for one in messages(grouped(node), _ATTRIBUTE)]
    return {text(pair, 1): messages(pair, 2)[0] for pair in pairs}


def _tensor(data: bytes) -> npt.NDArray[Any]:
    found = grouped(data)
    shapes = [grouped(shape) for shape in messages(found, 2)]
    sides = [grouped(side) for shape in shapes for side in messages(shape, 2)]
    shape = [next(iter(whole(side, 1)), 0) for side in sides]
    (kind,) = whole(found, 1)
    dtype = {_FLOAT: "<f4", _INT32: "<i4"}[kind]
    content = b"".join(messages(found, 4))
    if content:
        values: npt.NDArray[Any] = np.frombuffer(content, dtype)
    else:
        values = floats(found, 5) if kind == _FLOAT else np.array(whole(found, 7), np.int32)
    if values.size == 1:
        # One number stands for a tensor that holds nothing else.
        values = np.full(_checked(math.prod(shape)), values.item(), dtype)
    if math.prod(shape) != values.size:
        raise ValueError("a tensor is incomplete")
    return values.reshape(shape)


def _checked(size: int) -> int:
    if not 0 <= size <= 2**24:
        raise ValueError("a tensor is too large")
    return size
