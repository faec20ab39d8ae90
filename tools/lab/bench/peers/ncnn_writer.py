"""A graph as ncnn's two files: `.param`, text, and `.bin`, the weights.

Source: ncnn's wiki, "param and model file structure" and "operation param weight table". Pictures
are (channels, height, width) there; weights of convolutions (out, in, height, width). A tensor that
several layers take has to be split into one for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from device.errors import ModelError
from tools.field.values import Doubles, Tensors
from tools.lab.convert.build import numbers_of
from tools.lab.convert.graph import SAME, Graph, Node
from tools.lab.convert.passes import fuse_activations

_MAGIC = 7767517
_FLOAT32 = b"\0\0\0\0"
"""Before a convolution's weights: plain float32."""
_SAME_UPPER = -233
_TO_CHANNELS_LAST = 3
_BINARY = {"add": 0, "subtract": 1, "multiply": 2}
_ACTIVATIONS: dict[str, dict[int, str]] = {
    "": {},
    "relu": {9: "1"},
    "relu6": {9: "3", -23310: "2,0.0,6.0"},
}
_PICTURE = 4
_PLAIN: dict[tuple[str, str], tuple[str, dict[int, str]]] = {
    ("relu", "relu"): ("ReLU", {}),
    ("relu", "relu6"): ("Clip", {0: "0.0", 1: "6.0"}),
    ("sigmoid", ""): ("Sigmoid", {}),
    ("double", ""): ("Interp", {0: "1", 1: "2.0", 2: "2.0"}),
    ("concat", ""): ("Concat", {0: "0"}),
    ("mean", ""): ("Pooling", {0: "1", 4: "1"}),
}
"""Operation and activation -> kind and parameters."""


@dataclass(frozen=True, slots=True)
class NcnnModel:
    """The two files, and the names of the input and of the outputs in the graph's order."""

    param: str
    weights: bytes
    input: str
    outputs: tuple[str, ...]


@dataclass(slots=True)
class _File:
    """What is written so far. flat: tensors without height and width, which ncnn has as vectors."""

    values: Mapping[str, Doubles]
    lines: list[str] = field(default_factory=list)
    weights: list[bytes] = field(default_factory=list)
    flat: set[str] = field(default_factory=set)
    blobs: int = 0

    def layer(
        self, kind: str, inputs: tuple[str, ...], outputs: tuple[str, ...], given: Mapping[int, str]
    ) -> None:
        """Append a layer, called like its first output. given: its parameters by number."""
        self.blobs += len(outputs)
        numbers = [f"{key}={value}" for key, value in given.items()]
        names = [f"{len(inputs)} {len(outputs)}", *inputs, *outputs, *numbers]
        self.lines.append(" ".join([f"{kind:<22}", f"{outputs[0]:<16}", *names]))
        if kind not in {"Reshape", "BinaryOp"} and all(name in self.flat for name in inputs):
            self.flat.update(outputs if inputs else ())

    def raw(self, values: Doubles) -> None:
        """Append weights as float32."""
        self.weights.append(np.ascontiguousarray(values, "<f4").tobytes())


def write(graph: Graph, sources: Tensors) -> NcnnModel:
    """Write a graph of one picture with the numbers that follow from a published file's tensors.

    The outputs keep the graph's shapes but the leading 1: (rows, columns), or (n,) of one row.
    Raises ModelError for what has no form here.
    """
    graph = fuse_activations(graph)
    names = {node.name: f"t{number}" for number, node in enumerate(graph.nodes)}
    users = {name: len(nodes) for name, nodes in graph.users().items()}
    for name in graph.outputs:
        users[name] += 1
    file, ready = _File(numbers_of(graph, sources, {})), dict[str, list[str]]()
    for node in graph.nodes:
        inputs = tuple(ready[name].pop() for name in node.inputs)
        _layer(file, node, inputs, names[node.name])
        ready[node.name] = _split(file, names[node.name], users[node.name])
    outputs = tuple(ready[name].pop() for name in graph.outputs)
    head = f"{_MAGIC}\n{len(file.lines)} {file.blobs}\n"
    (picture,) = [node.name for node in graph.nodes if node.op == "input"]
    text = head + "\n".join(file.lines) + "\n"
    return NcnnModel(text, b"".join(file.weights), names[picture], outputs)


def _split(file: _File, name: str, users: int) -> list[str]:
    """Return one name of the tensor for each user."""
    if users == 1:
        return [name]
    parts = tuple(f"{name}_{number}" for number in range(users))
    file.layer("Split", (name,), parts, {})
    return list(parts)


def _layer(file: _File, node: Node, inputs: tuple[str, ...], name: str) -> None:
    """Write a node's layers; its tensor is called `name` there."""
    if node.op in {"conv", "depthwise"}:
        _convolution(file, node, inputs, name)
    elif node.op in _BINARY:
        _sum(file, node, inputs, name)
    elif node.op == "affine":
        weights, bias = file.values[f"{node.name}/weights"], file.values.get(f"{node.name}/bias")
        given = {0: str(weights.size), 1: str(int(bias is not None))}
        file.layer("Scale", inputs, (name,), given)
        file.raw(weights)
        if bias is not None:
            file.raw(bias)
    elif node.op == "prelu":
        slopes = file.values[f"{node.name}/weights"]
        file.layer("PReLU", inputs, (name,), {0: str(slopes.size)})
        file.raw(slopes)
    elif node.op == "reshape":
        _reshape(file, node, inputs, name)
    else:
        kind, given = _plain(node)
        file.layer(kind, inputs, (name,), given)
        file.flat.update({name} if node.op == "mean" else ())


def _plain(node: Node) -> tuple[str, dict[int, str]]:
    """Return kind and parameters of a layer without weights."""
    (down, across), (step_down, step_across) = node.kernel, node.stride
    if node.op == "input":
        _, height, width, channels = node.shape
        return "Input", {0: str(width), 1: str(height), 2: str(channels)}
    if node.op == "maxpool" and node.padding == (0, 0, 0, 0):
        window = {1: str(across), 11: str(down), 2: str(step_across), 12: str(step_down)}
        return "Pooling", {0: "0", **window, 5: "1"}
    known = _PLAIN.get((node.op, node.activation))
    if known is None:
        raise ModelError(f'"{node.name}" ({node.op}) has no form in ncnn here.')
    return known


def _convolution(file: _File, node: Node, inputs: tuple[str, ...], name: str) -> None:
    weights, bias = file.values[f"{node.name}/weights"], file.values[f"{node.name}/bias"]
    depthwise = node.op == "depthwise"
    # (1, height, width, channels) and (out, height, width, in) become (out, in, height, width).
    turned = weights.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    out, _, height, width = turned.shape
    size = {0: str(out), 1: str(width), 11: str(height), 3: str(node.stride[1])}
    size |= {13: str(node.stride[0]), **_padding(node), 5: "1", 6: str(weights.size)}
    if inputs[0] in file.flat:
        kind, given = "InnerProduct", {0: str(out), 1: "1", 2: str(weights.size)}
    elif depthwise:
        kind, given = "ConvolutionDepthWise", size | {7: str(out)}
    else:
        kind, given = "Convolution", size
    file.layer(kind, inputs, (name,), given | _ACTIVATIONS[node.activation])
    file.weights.append(_FLOAT32)
    file.raw(turned)
    file.raw(bias)


def _padding(node: Node) -> dict[int, str]:
    if node.padding == SAME:
        return {4: str(_SAME_UPPER)}
    top, bottom, left, right = node.padding
    return {4: str(left), 15: str(right), 14: str(top), 16: str(bottom)}


def _sum(file: _File, node: Node, inputs: tuple[str, ...], name: str) -> None:
    """Write a sum, difference or product; an activation that was put into it comes after it."""
    pictures = []
    for number, one in enumerate(inputs):
        pictures.append(one)
        if one in file.flat:
            # A factor for each channel: as a vector it could mean one for each column.
            pictures[-1] = f"{name}_{number}_across"
            file.layer("Reshape", (one,), (pictures[-1],), {0: "1", 1: "1", 2: "-1"})
    made = f"{name}_plain" if node.activation else name
    file.layer("BinaryOp", tuple(pictures), (made,), {0: str(_BINARY[node.op])})
    if node.activation:
        kind, given = _plain(Node(name, "relu", activation=node.activation))
        file.layer(kind, (made,), (name,), given)


def _reshape(file: _File, node: Node, inputs: tuple[str, ...], name: str) -> None:
    """Write a reshape of (1, height, width, channels) to (1, rows, columns) or (1, n)."""
    if len(node.shape) >= _PICTURE or node.shape[0] != 1:
        raise ModelError(f'"{node.name}" (to {node.shape}) has no form in ncnn here.')
    if inputs[0] not in file.flat:
        file.layer("Permute", inputs, (f"{name}_turned",), {0: str(_TO_CHANNELS_LAST)})
        inputs = (f"{name}_turned",)
    sides = map(str, reversed(node.shape[1:]))
    file.layer("Reshape", inputs, (name,), dict(enumerate(sides)))
