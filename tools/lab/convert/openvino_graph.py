"""OpenVINO IR (`.xml`) -> graph: the few operators that small embedders use.

Source: https://docs.openvino.ai, "Operation sets", opset 1. Weights lie in the `.bin` beside it;
they are read only where it decides the graph (the sign of a slope).
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, replace

from device.errors import ModelError
from tools.field.upstream.openvino import name_of
from tools.field.values import Value, source
from tools.lab.convert.graph import Builder, Graph, Node, Op, Padding

_GROUPED = 5


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer; inputs: the identities of the layers before it, in the order of its ports."""

    identity: str
    kind: str
    data: Mapping[str, str]
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Constant:
    value: Value
    shape: tuple[int, ...]


def read(xml: bytes) -> Graph:
    """Read a network of one picture and one vector, "template" (1, n).

    Raises ModelError for what the converter does not know.
    """
    try:
        root = ET.fromstring(xml)  # noqa: S314 - the file's SHA-256 is known
    except ET.ParseError as error:
        raise ModelError(f"The .xml is damaged ({error}).") from error
    builder = Builder()
    constants: dict[str, _Constant] = {}
    names: dict[str, str] = {}
    for layer in _ordered(root):
        if layer.kind == "Const":
            constants[layer.identity] = _constant(layer)
        elif layer.kind == "Convert":
            constants[layer.identity] = constants[layer.inputs[0]]
        elif layer.kind == "Result":
            last = names[layer.inputs[0]]
            builder.add(Node("template", "reshape", (last,), shape=(1, -1)))
        else:
            names[layer.identity] = _add(builder, layer, constants, names)
    return Graph(tuple(builder.nodes), ("template",))


def _ordered(root: ET.Element) -> list[_Layer]:
    """Return the layers, each after those it needs."""
    before: dict[str, dict[int, str]] = {}
    for edge in root.iter("edge"):
        given = before.setdefault(edge.attrib["to-layer"], {})
        given[int(edge.attrib["to-port"])] = edge.attrib["from-layer"]
    layers = {}
    for layer in root.iter("layer"):
        data = layer.find("data")
        attributes = {} if data is None else dict(data.attrib)
        identity = layer.attrib["id"]
        inputs = tuple(one for _, one in sorted(before.get(identity, {}).items()))
        layers[identity] = _Layer(identity, layer.attrib["type"], attributes, inputs)
    ordered: dict[str, _Layer] = {}
    waiting = list(reversed(layers))
    while waiting:
        needed = [one for one in layers[waiting[-1]].inputs if one not in ordered]
        if needed:
            waiting += needed
        else:
            identity = waiting.pop()
            ordered[identity] = layers[identity]
    return list(ordered.values())


def _constant(layer: _Layer) -> _Constant:
    shape = [int(side) for side in layer.data["shape"].split(",") if side.strip()]
    name = name_of(layer.data["element_type"], int(layer.data["offset"]), shape)
    return _Constant(source(name), tuple(shape))


def _add(
    builder: Builder, layer: _Layer, constants: Mapping[str, _Constant], names: Mapping[str, str]
) -> str:
    """Add the layer's node, or change the one before it; return the name of its tensor."""
    pictures = tuple(names[one] for one in layer.inputs if one in names)
    fixed = [constants[one] for one in layer.inputs if one in constants]
    name = f"{layer.kind.lower()}_{layer.identity}"
    if layer.kind == "Parameter":
        one, channels, height, width = map(int, layer.data["shape"].split(","))
        return builder.add(Node("picture", "input", shape=(one, height, width, channels)))
    if layer.kind in {"Convolution", "GroupConvolution"}:
        return builder.add(_convolution(name, layer, pictures, fixed[0]))
    if layer.kind in {"Add", "Multiply"} and fixed:
        return _with_constant(builder, layer, name, pictures[0], fixed[0])
    if layer.kind == "PReLU":
        return builder.add(Node(name, "prelu", pictures, weights=fixed[0].value.reshape(-1)))
    plain: dict[str, Op] = {
        "Add": "add",
        "Multiply": "multiply",
        "Sigmoid": "sigmoid",
        "AvgPool": "mean",
    }
    if layer.kind not in plain:
        raise ModelError(f"The converter knows no {layer.kind} of OpenVINO.")
    kernel = _two(layer.data["kernel"]) if layer.kind == "AvgPool" else (1, 1)
    return builder.add(Node(name, plain[layer.kind], pictures, kernel=kernel))


def _convolution(name: str, layer: _Layer, pictures: tuple[str, ...], weights: _Constant) -> Node:
    value, depthwise = weights.value, layer.kind == "GroupConvolution"
    if depthwise:
        # Their shape is groups, 1, 1, height, width.
        if len(weights.shape) != _GROUPED or weights.shape[1:3] != (1, 1):
            raise ModelError("The converter knows no convolution of some groups.")
        value = value.reshape(0, 1, *weights.shape[3:]).transpose(1, 2, 3, 0)
    else:
        value = value.transpose(0, 2, 3, 1)
    (top, left), (bottom, right) = _two(layer.data["pads_begin"]), _two(layer.data["pads_end"])
    padding: Padding = top, bottom, left, right
    kind: Op = "depthwise" if depthwise else "conv"
    stride = _two(layer.data["strides"])
    return Node(name, kind, pictures, weights=value, stride=stride, padding=padding)


def _with_constant(
    builder: Builder, layer: _Layer, name: str, picture: str, constant: _Constant
) -> str:
    """Make a sum with a constant a convolution's bias; what the picture itself gets is affine."""
    before, value = builder.nodes[-1], constant.value.reshape(-1)
    if layer.kind == "Add" and before.name == picture and before.bias is None and before.weights:
        builder.nodes[-1] = replace(before, bias=value)
        return picture
    if layer.kind == "Multiply":
        return builder.add(Node(name, "affine", (picture,), weights=value))
    raise ModelError(f"The converter does not know this {layer.kind} with a constant ({name}).")


def _two(text: str) -> tuple[int, int]:
    down, across = (int(one) for one in text.split(","))
    return down, across
