"""Small published files in the formats that the readers know, written byte by byte."""

import io
import pickle
import struct
from typing import ClassVar

import numpy as np


def varint(value):
    out = b""
    value &= 2**64 - 1
    while True:
        value, low = value >> 7, value & 0x7F
        out += bytes([low | (0x80 if value else 0)])
        if not value:
            return out


def message(*fields):
    """A Protocol Buffers message of (number, whole number | float | text | bytes)."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            content = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(content)) + content
    return out


def onnx_tensor(name, values):
    kind = {"float32": 1, "int64": 7}[str(values.dtype)]
    dims = [(1, side) for side in values.shape]
    return message(*dims, (2, kind), (8, name), (9, values.tobytes()))


def onnx_attribute(name, value):
    whole = [(8, one) for one in value] if isinstance(value, list) else [(3, value)]
    return message((1, name), *whole)


def onnx_node(op, inputs, output, **attributes):
    given = [(5, onnx_attribute(name, value)) for name, value in attributes.items()]
    return message(*[(1, one) for one in inputs], (2, output), (4, op), *given)


def onnx(tensors, nodes=(), inputs=(), outputs=()):
    """An ONNX file; tensors: name -> array."""
    graph = message(
        *[(1, node) for node in nodes],
        *[(5, onnx_tensor(name, values)) for name, values in tensors.items()],
        *[(11, message((1, name))) for name in inputs],
        *[(12, message((1, name))) for name in outputs],
    )
    return message((1, 7), (7, graph))


def tensorflow_node(name, op, inputs=(), **attributes):
    """A NodeDef; attributes: AttrValue messages."""
    pairs = [(5, message((1, key), (2, value))) for key, value in attributes.items()]
    return (1, message((1, name), (2, op), *[(3, one) for one in inputs], *pairs))


def tensorflow_constant(name, values, *, content=None):
    """A Const; content: other fields than the raw bytes."""
    kind = {"float32": 1, "int32": 3}[str(values.dtype)]
    shape = message(*[(2, message((1, side))) for side in values.shape])
    held = content if content is not None else ((4, values.tobytes()),)
    tensor = message((1, kind), (2, shape), *held)
    return tensorflow_node(name, "Const", dtype=message((6, kind)), value=message((8, tensor)))


class Call:
    """Pickles as a call of a function by its name."""

    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def named(module, name):
    """A function that pickles under this name, whether or not there is one."""
    stand_in = type(name, (), {})
    stand_in.__module__, stand_in.__qualname__ = module, name
    return stand_in


class Pickler(pickle._Pickler):
    """Writes what PyTorch writes, without PyTorch: names of functions that are not there."""

    def save_global(self, obj, name=None):
        text = f"c{obj.__module__}\n{name or obj.__qualname__}\n"
        self.write(text.encode())
        self.memoize(obj)

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def persistent_id(self, obj):
        return obj.identity if isinstance(obj, Storage) else None

    def save_type(self, obj):
        self.save_global(obj)

    dispatch[type] = save_type


class Storage:
    def __init__(self, key, values):
        kind = {"float32": "FloatStorage", "int64": "LongStorage"}[str(values.dtype)]
        self.identity = ("storage", named("torch", kind), key, "cpu", values.size, None)


def pickled(value):
    out = io.BytesIO()
    Pickler(out, 2).dump(value)
    return out.getvalue()


def checkpoint(tensors, rebuild=("torch._utils", "_rebuild_tensor_v2")):
    """A PyTorch checkpoint in the old format; tensors: name -> array."""
    function = named(*rebuild)
    state = {}
    for number, (name, values) in enumerate(tensors.items()):
        strides = tuple(side // values.itemsize for side in values.strides)
        storage = Storage(str(number), values)
        arguments = storage, 0, values.shape, strides, False, {}
        state[name] = Call(function, arguments)
    head = [pickled(one) for one in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    storages = [struct.pack("<q", values.size) + values.tobytes() for values in tensors.values()]
    keys = pickled([str(number) for number in range(len(tensors))])
    return b"".join((*head, pickled(state), keys, *storages))


def some(seed=0):
    """A few arrays as models have them."""
    rng = np.random.default_rng(seed)
    return {
        "first.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "first.bias": rng.normal(size=4).astype(np.float32),
        "count": np.array([7, -1], np.int64),
    }
