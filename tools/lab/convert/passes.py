"""Changes to a graph that leave what it computes the same."""

from collections.abc import Mapping
from dataclasses import replace

from tools.lab.convert.graph import Builder, Graph, Node, Shape
from tools.lab.convert.writer import same_padding

_FUSE = ("conv", "depthwise", "add", "subtract", "multiply")


def fuse_activations(graph: Graph) -> Graph:
    """Let a convolution or sum do the ReLU that is its only user."""
    users = graph.users()
    nodes: list[Node] = []
    gone: dict[str, str] = {}
    for node in graph.nodes:
        inputs = tuple(gone.get(name, name) for name in node.inputs)
        before = next((one for one in nodes if one.name == inputs[0]), None) if inputs else None
        if node.op == "relu" and before is not None and _may_fuse(graph, before, users):
            nodes[nodes.index(before)] = replace(before, activation=node.activation)
            gone[node.name] = before.name
        else:
            nodes.append(replace(node, inputs=inputs))
    outputs = tuple(gone.get(name, name) for name in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs)


def _may_fuse(graph: Graph, node: Node, users: Mapping[str, list[Node]]) -> bool:
    alone = len(users[node.name]) == 1 and node.name not in graph.outputs
    return node.op in _FUSE and not node.activation and alone


def explicit_padding(
    graph: Graph, shapes: Mapping[str, Shape], kernels: Mapping[str, tuple[int, int]]
) -> Graph:
    """Make paddings that are not "SAME" nodes of their own, as small as the strides allow.

    kernels: height and width of the windows of convolutions, by name.
    """
    builder = Builder()
    for node in graph.nodes:
        kernel = kernels.get(node.name, node.kernel)
        given = shapes[node.inputs[0]] if node.inputs else ()
        same = any(node.padding) and same_padding(given, shapes[node.name], kernel, node.stride)
        if not any(node.padding) or node.op == "pad" or same == node.padding:
            builder.add(node)
            continue
        unused = [
            (have + before + after - window) % step
            for have, before, after, window, step in zip(
                given[1:3], node.padding[::2], node.padding[1::2], kernel, node.stride, strict=True
            )
        ]
        top, bottom, left, right = node.padding
        padding = top, max(bottom - unused[0], 0), left, max(right - unused[1], 0)
        name = f"{node.name}/pad"
        builder.add(Node(name, "pad", node.inputs, padding=padding))
        builder.add(replace(node, inputs=(name,), padding=(0, 0, 0, 0)))
    return replace(graph, nodes=tuple(builder.nodes))
