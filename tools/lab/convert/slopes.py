"""PReLU without PReLU: two convolutions with ReLU, which every 8-bit kernel and the Edge TPU know.

y = max(x, 0) + a min(x, 0) is relu(x) - relu(-a x) for slopes a >= 0, relu(x) + relu(a x) for
a <= 0, and relu((1 - a) x) + a x for slopes of both signs up to 1. Where x is a convolution, a
multiple of it is the same convolution with other weights. In the first two, the tensor before the
activation, most of whose range the slope may throw away, is never quantised.
"""

from collections.abc import Mapping
from dataclasses import replace

from device.errors import ModelError
from tools.field.values import Doubles, Value, number
from tools.lab.convert.graph import Graph, Node, Op
from tools.lab.convert.passes import scaled_outputs

_ADD: Op = "add"
_SUBTRACT: Op = "subtract"


def split_slopes(graph: Graph, values: Mapping[str, Doubles]) -> Graph:
    """Return the graph without PReLU; values: the slopes, by "NODE/weights".

    Raises ModelError for a PReLU of anything but a convolution, and for slopes of both signs of
    which some are larger than 1.
    """
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        if node.op == "prelu":
            slopes = values[f"{node.name}/weights"]
            nodes |= {one.name: one for one in _split(nodes[node.inputs[0]], node, slopes)}
        else:
            nodes[node.name] = node
    return replace(graph, nodes=tuple(nodes.values()))


def _split(convolution: Node, node: Node, slopes: Doubles) -> tuple[Node, Node, Node]:
    """Return the two convolutions and what joins them, under the PReLU's name."""
    slope = node.weights
    if convolution.op not in {"conv", "depthwise"} or slope is None:
        raise ModelError(f'"{node.name}" is no PReLU of a convolution.')
    first = replace(convolution, activation="relu")
    if (slopes >= 0).all():
        second, op = _times(first, -slope), _SUBTRACT
    elif (slopes <= 0).all():
        second, op = _times(first, slope), _ADD
    elif (slopes <= 1).all():
        first = replace(_times(first, number(1.0) - slope), name=first.name)
        second, op = _times(convolution, slope), _ADD
    else:
        raise ModelError(f'"{node.name}" has slopes of both signs, some larger than 1.')
    return first, second, Node(node.name, op, (first.name, second.name))


def _times(convolution: Node, by: Value) -> Node:
    """Return another convolution, whose output is `by`, (out,), times as large."""
    return replace(
        convolution,
        name=f"{convolution.name}/negative",
        weights=scaled_outputs(convolution, by),
        bias=None if convolution.bias is None else convolution.bias * by,
    )
