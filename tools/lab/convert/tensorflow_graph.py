"""TensorFlow GraphDef -> graph: the operators of a frozen MobileNet.

Source: https://www.tensorflow.org/api_docs/python/tf/raw_ops. A batch normalisation goes into the
convolution before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from device.errors import ModelError
from tools.field.upstream.graphdef import attributes
from tools.field.upstream.protobuf import Field, grouped, messages, single, text, whole
from tools.field.values import Value, source
from tools.lab.convert.graph import SAME, Builder, Graph, Node
from tools.lab.convert.passes import normalised

_Attributes = Mapping[str, dict[int, list[Field]]]


@dataclass(frozen=True, slots=True)
class _Step:
    """A NodeDef; attributes: AttrValue messages."""

    op: str
    inputs: tuple[str, ...]
    name: str
    attributes: _Attributes


@dataclass(slots=True)
class _Reading:
    """names: step -> the node whose tensor it is, or the constant."""

    builder: Builder = field(default_factory=Builder)
    names: dict[str, str] = field(default_factory=dict)


def read(data: bytes, height: int, width: int, *, mean: int, scale: float) -> Graph:
    """Read a network of one picture, which takes (pixel - mean) * scale. Raises ModelError."""
    reading = _Reading()
    for step in map(_step, messages(grouped(data), 1)):
        if step.op == "Const":
            reading.names[step.name] = step.name
        elif step.op == "Placeholder":
            picture = Node(step.name, "input", shape=(1, height, width, 3))
            reading.names[step.name] = reading.builder.add(picture)
        else:
            reading.names[step.name] = _add(reading, step)
    last = reading.builder.nodes[-1].name
    output = reading.builder.add(Node("output", "reshape", (last,), shape=(1, -1)))
    return Graph(tuple(reading.builder.nodes), (output,), mean=mean, scale=scale)


def _step(data: bytes) -> _Step:
    found = grouped(data)
    given = {name: grouped(one) for name, one in attributes(data).items()}
    inputs = tuple(one.decode() for one in messages(found, 3))
    return _Step(text(found, 2), inputs, text(found, 1), given)


def _add(reading: _Reading, step: _Step) -> str:
    """Add the step's node, or change the one before it; return the name of its tensor."""
    builder = reading.builder
    inputs = tuple(reading.names[one] for one in step.inputs)
    last = builder.nodes[-1]
    if step.op in {"Identity", "Reshape"}:
        return inputs[0]
    if step.op in {"FusedBatchNorm", "BiasAdd"} and last.name == inputs[0]:
        builder.nodes[-1] = _changed(last, step, inputs)
        return last.name
    return builder.add(_node(step, inputs))


def _changed(node: Node, step: _Step, inputs: tuple[str, ...]) -> Node:
    """Return a convolution with the normalisation, or the bias, that follows."""
    if step.op == "BiasAdd":
        return replace(node, bias=source(inputs[1]))
    gain, shift, mean, variance = map(source, inputs[1:])
    epsilon = single(step.attributes["epsilon"], 4)
    return normalised(node, (gain, shift, mean, variance), epsilon)


def _node(step: _Step, inputs: tuple[str, ...]) -> Node:
    name, first = step.name, inputs[:1]
    if step.op in {"Conv2D", "DepthwiseConv2dNative"}:
        return _convolution(step, first, source(inputs[1]))
    if step.op == "MatMul":
        weights = source(inputs[1]).transpose(1, 0).reshape(0, 1, 1, -1)
        return Node(name, "conv", first, weights=weights)
    if step.op == "Relu":
        return Node(name, "relu", first, activation="relu")
    if step.op == "Add":
        return Node(name, "add", inputs)
    if step.op == "Sigmoid":
        return Node(name, "sigmoid", first)
    if step.op == "AvgPool":
        _, down, across, _ = _numbers(step, "ksize")
        return Node(name, "mean", first, kernel=(down, across))
    raise ModelError(f"The converter does not know this {step.op} of TensorFlow ({name}).")


def _convolution(step: _Step, first: tuple[str, ...], weights: Value) -> Node:
    """Weights are (height, width, in, out), and (height, width, channels, 1)."""
    depthwise = step.op == "DepthwiseConv2dNative"
    _, down, across, _ = _numbers(step, "strides")
    same = messages(step.attributes["padding"], 2) == [b"SAME"]
    return Node(
        step.name,
        "depthwise" if depthwise else "conv",
        first,
        weights=weights.transpose(3, 0, 1, 2),
        stride=(down, across),
        padding=SAME if same else (0, 0, 0, 0),
    )


def _numbers(step: _Step, name: str) -> list[int]:
    """Return an attribute that is a list of whole numbers."""
    (values,) = messages(step.attributes[name], 1)
    return whole(grouped(values), 3)
