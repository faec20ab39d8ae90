"""PReLU without PReLU: two convolutions with ReLU, which every 8-bit kernel and the Edge TPU know.

max(x, 0) + a min(x, 0) is relu(x) - relu(-a x) for a slope a >= 0, and relu(x) + relu(a x) for
a < 0. Where x is a convolution, -a x and a x are the same convolution with other weights. The
tensor before the activation, most of whose range the slope may throw away, is never quantised.
"""

from collections.abc import Mapping
from dataclasses import replace

from device.errors import ModelError
from tools.field.values import Doubles
from tools.lab.convert.graph import Graph, Node
from tools.lab.convert.passes import scaled_outputs


def split_slopes(graph: Graph, values: Mapping[str, Doubles]) -> Graph:
    """Return the graph without PReLU; values: the slopes, by "NODE/weights".

    Raises ModelError for a PReLU of anything but a convolution, and for slopes of both signs.
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
    positive = bool((slopes >= 0).all())
    if not positive and (slopes > 0).any():
        raise ModelError(f'"{node.name}" has slopes of both signs.')
    if convolution.op not in {"conv", "depthwise"} or node.weights is None:
        raise ModelError(f'"{node.name}" is no PReLU of a convolution.')
    by = -node.weights if positive else node.weights
    first = replace(convolution, activation="relu")
    second = replace(
        first,
        name=f"{convolution.name}/negative",
        weights=scaled_outputs(convolution, by),
        bias=None if convolution.bias is None else convolution.bias * by,
    )
    joined = Node(node.name, "subtract" if positive else "add", (first.name, second.name))
    return first, second, joined
