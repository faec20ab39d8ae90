"""Changes to a graph that leave what it computes the same."""

from collections.abc import Mapping
from dataclasses import replace

from device.errors import ModelError
from tools.field.values import Value, number
from tools.lab.convert.graph import SAME, Builder, Graph, Node, Padding, Shape

_NONE: Padding = (0, 0, 0, 0)
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
    """Make paddings SAME, or nodes of their own, as small as the strides allow.

    kernels: height and width of the windows of convolutions, by name.
    """
    builder = Builder()
    for node in graph.nodes:
        if node.op == "pad" or node.padding in {SAME, _NONE}:
            builder.add(node)
            continue
        given, kernel = shapes[node.inputs[0]], kernels[node.name]
        if node.padding == _same(given, shapes[node.name], kernel, node.stride):
            builder.add(replace(node, padding=SAME))
            continue
        name = f"{node.name}/pad"
        builder.add(Node(name, "pad", node.inputs, padding=_needed(node, given, kernel)))
        builder.add(replace(node, inputs=(name,), padding=_NONE))
    return replace(graph, nodes=tuple(builder.nodes))


def _same(
    given: Shape, made: Shape, kernel: tuple[int, int], stride: tuple[int, int]
) -> Padding | None:
    """Return the zeros that SAME adds; None when it would make another size.

    Source: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2.
    """
    sides = []
    for have, want, window, step in zip(given[1:3], made[1:3], kernel, stride, strict=True):
        if want != -(-have // step):
            return None
        total = max((want - 1) * step + window - have, 0)
        sides += [total // 2, total - total // 2]
    top, bottom, left, right = sides
    return top, bottom, left, right


def _needed(node: Node, given: Shape, kernel: tuple[int, int]) -> Padding:
    """Return a padding without the zeros at the end that no window reaches."""
    top, bottom, left, right = node.padding
    unused = [
        (have + before + after - window) % step
        for have, before, after, window, step in zip(
            given[1:3], (top, left), (bottom, right), kernel, node.stride, strict=True
        )
    ]
    return top, max(bottom - unused[0], 0), left, max(right - unused[1], 0)


def normalised(
    node: Node, normalisation: tuple[Value, Value, Value, Value], epsilon: float
) -> Node:
    """Return a convolution with the batch normalisation after it.

    normalisation: gain, shift, mean and variance, (out,) each: (x - mean) / sqrt(variance +
    epsilon) * gain + shift.
    """
    gain, shift, mean, variance = normalisation
    by = gain / (variance + number(epsilon)).root()
    before = -mean if node.bias is None else node.bias - mean
    return replace(node, weights=scaled_outputs(node, by), bias=shift + before * by)


def scaled_outputs(node: Node, by: Value) -> Value:
    """Return a convolution's weights with every output channel times `by`, (out,) or (1,)."""
    if node.weights is None:
        raise ModelError(f'"{node.name}" has no weights.')
    return node.weights * (by if node.op == "depthwise" else by.reshape(-1, 1, 1, 1))


def scaled_inputs(node: Node, by: Value) -> Value:
    """Return a convolution's weights with every input channel times `by`, (in,)."""
    if node.weights is None:
        raise ModelError(f'"{node.name}" has no weights.')
    return node.weights * by


def fold_input(graph: Graph, mean: int) -> Graph:
    """Put what is done to the input, per channel, into the first convolution.

    Its padding with zeros then pads with the pixel `mean` in every channel, whose own zeros are a
    little different: exact everywhere but at the edge.
    """
    picture, affine, *_ = graph.nodes
    first, *others = graph.users()[affine.name]
    scale, offset = affine.weights, affine.bias
    if others or scale is None or offset is None or first.weights is None:
        raise ModelError(f'"{affine.name}" is nothing that the first convolution can do.')
    at_zero = offset + scale * number(mean)
    constant = (first.weights * at_zero).total(3).total(2).total(1)
    folded = replace(
        first,
        inputs=(picture.name,),
        weights=scaled_inputs(first, scale),
        bias=constant if first.bias is None else first.bias + constant,
    )
    nodes = tuple(folded if node is first else node for node in graph.nodes if node is not affine)
    return replace(graph, nodes=nodes, mean=mean)
