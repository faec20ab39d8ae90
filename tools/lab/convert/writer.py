"""A graph as a `.tflite` file.

Source of the field numbers: tensorflow/compiler/mlir/lite/schema/schema.fbs. Weights, biases and
other constants are tensors of their own with the node's name and "/weights", "/bias" and so on, so
that a recipe finds their bytes again with `tools.lab.tflite`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.lab.convert.flatbuffer import Scalar, Table, Vector, serialise
from tools.lab.convert.graph import SAME, Graph, Node, Shape
from tools.lab.tflite import IDENTIFIER
from tools.lab.tflite_operators import OPERATORS

PIXELS = "/pixels"
"""What the name of the input's tensor of raw pixels ends in."""
_SCHEMA_VERSION = 3
_SAME, _VALID = 0, 1
_FUSED = {"": 0, "relu": 1, "relu6": 3}
_TYPES = {"float32": 0, "int32": 2, "uint8": 3, "int8": 9}
_ALIGN = 16
_OPERATORS = {
    "conv": ("CONV_2D", 1),
    "depthwise": ("DEPTHWISE_CONV_2D", 2),
    "maxpool": ("MAX_POOL_2D", 5),
    "softmax": ("SOFTMAX", 9),
    "concat": ("CONCATENATION", 10),
    "add": ("ADD", 11),
    "reshape": ("RESHAPE", 17),
    "multiply": ("MUL", 21),
    "pad": ("PAD", 22),
    "mean": ("MEAN", 27),
    "subtract": ("SUB", 28),
    "double": ("RESIZE_NEAREST_NEIGHBOR", 74),
    "sigmoid": ("LOGISTIC", 0),
    "relu": ("RELU", 0),
    "relu6": ("RELU6", 0),
    "prelu": ("PRELU", 0),
    "quantize": ("QUANTIZE", 89),
}
"""Name of the operator and number of its kind of options, 0 for none."""
_CONVOLUTION_INT8 = 3
_OTHER_INT8 = 2
_ONE_VERSION = {"RESHAPE", "QUANTIZE", "PRELU"}


@dataclass(frozen=True, slots=True)
class Quantisation:
    """real = scale * (stored - zero point); one pair, or one per element of dimension `axis`."""

    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    axis: int = 0


@dataclass(slots=True)
class _File:
    """The parts of the file while they are collected."""

    graph: Graph
    shapes: Mapping[str, Shape]
    constants: Mapping[str, npt.NDArray[Any]]
    quantisation: Mapping[str, Quantisation]
    tensors: list[Table] = field(default_factory=list)
    buffers: list[Table] = field(default_factory=lambda: [{}])
    codes: list[tuple[str, int]] = field(default_factory=list)
    operators: list[Table] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    pixels: int = 0

    @property
    def dtype(self) -> str:
        """Type of everything that is computed."""
        return "int8" if self.quantisation else "float32"

    def tensor(self, name: str, shape: Shape, dtype: str, buffer: int = 0) -> int:
        """Add a tensor; return its index."""
        table: dict[int, Any] = {
            0: Vector(np.array(shape, np.int32)),
            1: Scalar("b", _TYPES[dtype]),
            2: Scalar("I", buffer),
            3: name,
        }
        known = self.quantisation.get(name)
        if known is not None:
            table[4] = {2: Vector(known.scales), 3: Vector(known.zero_points, 8)}
            if known.axis:
                table[4][6] = Scalar("i", known.axis)
        self.tensors.append(table)
        self.index[name] = len(self.tensors) - 1
        return self.index[name]

    def constant(self, name: str, values: npt.NDArray[Any]) -> int:
        """Add a constant tensor; return its index."""
        flat = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.buffers.append({0: Vector(flat, _ALIGN)})
        return self.tensor(name, values.shape, str(values.dtype), len(self.buffers) - 1)

    def operator(self, kind: str, inputs: Sequence[int], output: int, options: Table) -> None:
        """Add an operator."""
        name, number = _OPERATORS[kind]
        code = name, self._version(name)
        if code not in self.codes:
            self.codes.append(code)
        table: dict[int, Any] = {
            0: Scalar("I", self.codes.index(code)),
            1: Vector(np.array(inputs, np.int32)),
            2: Vector(np.array([output], np.int32)),
        }
        if number:
            table |= {3: Scalar("B", number), 4: options}
        self.operators.append(table)

    def _version(self, name: str) -> int:
        """Return the lowest version of an operator that knows our types."""
        if self.dtype != "int8" or name in _ONE_VERSION:
            return 1
        return _CONVOLUTION_INT8 if name.endswith("CONV_2D") else _OTHER_INT8

    def finish(self) -> bytes:
        """Return the file."""
        codes = [_operator_code(name, version) for name, version in self.codes]
        outputs = [self.index[name] for name in self.graph.outputs]
        subgraph: Table = {
            0: self.tensors,
            1: Vector(np.array([self.pixels], np.int32)),
            2: Vector(np.array(outputs, np.int32)),
            3: self.operators,
            4: "main",
        }
        root: Table = {
            0: Scalar("I", _SCHEMA_VERSION),
            1: codes,
            2: [subgraph],
            3: "converted by passerby-lab convert",
            4: self.buffers,
        }
        return serialise(root, IDENTIFIER)


def _operator_code(name: str, version: int) -> Table:
    code = OPERATORS.index(name)
    return {0: Scalar("b", code), 2: Scalar("i", version), 3: Scalar("i", code)}


def write(
    graph: Graph,
    shapes: Mapping[str, Shape],
    constants: Mapping[str, npt.NDArray[Any]],
    quantisation: Mapping[str, Quantisation],
) -> bytes:
    """Return the `.tflite` file of a graph whose paddings are explicit (`passes`).

    constants: "NODE/weights" and "NODE/bias", as they are stored. quantisation: of all tensors and
    constants, or empty for a file of float32. The input is (1, height, width, 3) uint8 or float32,
    pixels of 0-255.
    """
    file = _File(graph, shapes, constants, quantisation)
    for node in graph.nodes:
        if node.op == "input":
            _write_input(file, node)
        else:
            _write_node(file, node)
    return file.finish()


def _write_input(file: _File, node: Node) -> None:
    """Bring pixels to the input's numbers: (pixel - mean) * scale."""
    name = node.name + PIXELS
    if file.dtype == "int8":
        file.pixels = file.tensor(name, node.shape, "uint8")
        file.operator("quantize", [file.pixels], file.tensor(node.name, node.shape, "int8"), {})
        return
    if (file.graph.mean, file.graph.scale) == (0, 1.0):
        file.pixels = file.tensor(node.name, node.shape, "float32")
        return
    file.pixels = file.tensor(name, node.shape, "float32")
    scale = file.constant(f"{node.name}/scale", np.array([file.graph.scale], np.float32))
    scaled = file.tensor(f"{node.name}/scaled", node.shape, "float32")
    file.operator("multiply", [file.pixels, scale], scaled, {})
    shift = np.array([-file.graph.mean * file.graph.scale], np.float32)
    offset = file.constant(f"{node.name}/offset", shift)
    file.operator("add", [scaled, offset], file.tensor(node.name, node.shape, "float32"), {})


def _write_node(file: _File, node: Node) -> None:
    if node.op == "affine":
        _write_affine(file, node)
        return
    inputs = [file.index[name] for name in node.inputs]
    for part in ("weights", "bias"):
        name = f"{node.name}/{part}"
        if name in file.constants:
            inputs.append(file.constant(name, _for_operator(file, node, file.constants[name])))
    options = _options(file, node, inputs)
    output = file.tensor(node.name, file.shapes[node.name], file.dtype)
    file.operator(node.activation if node.op == "relu" else node.op, inputs, output, options)


def _for_operator(file: _File, node: Node, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return slopes as one per channel, which the kernels want; anything else as it is."""
    if node.op != "prelu":
        return values
    return np.broadcast_to(values, (1, 1, file.shapes[node.name][-1]))


def _write_affine(file: _File, node: Node) -> None:
    """Write x * weights + bias as two operators."""
    shape = file.shapes[node.name]
    factors = file.constant(f"{node.name}/weights", file.constants[f"{node.name}/weights"])
    product = file.tensor(f"{node.name}/product", shape, file.dtype)
    file.operator("multiply", [file.index[node.inputs[0]], factors], product, {})
    offsets = file.constant(f"{node.name}/bias", file.constants[f"{node.name}/bias"])
    output = file.tensor(node.name, shape, file.dtype)
    file.operator("add", [product, offsets], output, {})


def _options(file: _File, node: Node, inputs: list[int]) -> Table:
    """Return a node's options; appends the constants that the schema wants as inputs instead."""
    fused = Scalar("b", _FUSED[node.activation])
    if node.op in {"conv", "depthwise", "maxpool"}:
        return _window_options(node, fused)
    if node.op in {"add", "subtract", "multiply"}:
        return {0: fused}
    if node.op == "concat":
        return {0: Scalar("i", len(file.shapes[node.name]) - 1), 1: fused}
    if node.op == "softmax":
        return {0: Scalar("f", 1.0)}
    return _constant_options(file, node, inputs)


def _window_options(node: Node, fused: Scalar) -> Table:
    down, across = Scalar("i", node.stride[0]), Scalar("i", node.stride[1])
    start = {0: Scalar("b", _SAME if node.padding == SAME else _VALID), 1: across, 2: down}
    if node.op == "conv":
        return start | {3: fused}
    if node.op == "depthwise":
        return start | {3: Scalar("i", 1), 4: fused}
    height, width = node.kernel
    return start | {3: Scalar("i", width), 4: Scalar("i", height), 5: fused}


def _constant_options(file: _File, node: Node, inputs: list[int]) -> Table:
    top, bottom, left, right = node.padding
    shape = file.shapes[node.name]
    constants = {
        "reshape": ("shape", list(shape)),
        "double": ("size", list(shape[1:3])),
        "mean": ("axes", [1, 2]),
        "pad": ("paddings", [[0, 0], [top, bottom], [left, right], [0, 0]]),
    }
    if node.op in constants:
        name, values = constants[node.op]
        inputs.append(file.constant(f"{node.name}/{name}", np.array(values, np.int32)))
    if node.op == "reshape":
        return {0: Vector(np.array(shape, np.int32))}
    return {0: Scalar("B", 1)} if node.op == "mean" else {}
