"""ONNX -> graph: the few operators that small detectors use.

Source: https://onnx.ai/onnx/operators/. Pictures are turned from (1, channels, height, width) to
(1, height, width, channels); a transposition that does just that then falls away.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from device.errors import ModelError
from tools.field.upstream.onnx import tensors
from tools.field.upstream.protobuf import grouped, messages, text, whole
from tools.field.values import Tensors, source
from tools.lab.convert.graph import Builder, Graph, Node, Op

_TO_CHANNELS_LAST = [0, 2, 3, 1]
_PLAIN: dict[str, Op] = {"Add": "add", "Mul": "multiply", "Sigmoid": "sigmoid", "Resize": "double"}


@dataclass(frozen=True, slots=True)
class _Step:
    """A NodeProto; attributes: those that are whole numbers."""

    op: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, list[int]]


def read(data: bytes, height: int, width: int) -> Graph:
    """Read a network of one picture as if its input had this size. Raises ModelError."""
    graph = grouped(messages(grouped(data), 7)[0])
    constants = tensors(data)
    named = [text(grouped(one), 1) for one in messages(graph, 11)]
    (picture,) = [name for name in named if name not in constants]
    builder = Builder([Node(picture, "input", shape=(1, height, width, 3))])
    turned: dict[str, str] = {}
    for step in map(_step, messages(graph, 1)):
        if step.op == "Transpose" and step.attributes["perm"] == _TO_CHANNELS_LAST:
            turned[step.output] = step.inputs[0]
        else:
            builder.add(_node(step, constants, turned))
    outputs = [text(grouped(one), 1) for one in messages(graph, 12)]
    return Graph(tuple(builder.nodes), tuple(outputs))


def _step(data: bytes) -> _Step:
    found = grouped(data)
    attributes = {}
    for one in map(grouped, messages(found, 5)):
        attributes[text(one, 1)] = whole(one, 8) or whole(one, 3)
    inputs = tuple(name.decode() for name in messages(found, 1))
    return _Step(text(found, 4), inputs, text(found, 2), attributes)


def _node(step: _Step, constants: Tensors, turned: Mapping[str, str]) -> Node:
    """Return the step's node; turned: tensors that ONNX has as (height, width, channels) too."""
    name, first = step.output, step.inputs[:1]
    if step.op == "Conv":
        return _convolution(step, constants)
    if step.op in _PLAIN:
        both = tuple(one for one in step.inputs if one not in constants)
        return Node(name, _PLAIN[step.op], both if step.op in {"Add", "Mul"} else first)
    if step.op == "Relu":
        return Node(name, "relu", first, activation="relu")
    if step.op == "MaxPool" and not any(step.attributes["pads"]):
        kernel, stride = step.attributes["kernel_shape"], step.attributes["strides"]
        return Node(name, "maxpool", first, kernel=_two(kernel), stride=_two(stride))
    if step.op == "Reshape" and first[0] in turned:
        shape = tuple(int(side) for side in constants[step.inputs[1]])
        return Node(name, "reshape", (turned[first[0]],), shape=shape)
    raise ModelError(f"The converter does not know this {step.op} of ONNX ({name}).")


def _convolution(step: _Step, constants: Tensors) -> Node:
    picture, weights, *bias = step.inputs
    out, _, _, _ = constants[weights].shape
    (groups,) = step.attributes["group"]
    if groups not in {1, out}:
        raise ModelError(f"The converter knows no convolution of {groups} groups ({step.output}).")
    depthwise = groups > 1
    top, left, bottom, right = step.attributes["pads"]
    return Node(
        step.output,
        "depthwise" if depthwise else "conv",
        (picture,),
        weights=source(weights).transpose(*((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))),
        bias=source(bias[0]) if bias else None,
        stride=_two(step.attributes["strides"]),
        padding=(top, bottom, left, right),
    )


def _two(values: list[int]) -> tuple[int, int]:
    down, across = values
    return down, across
