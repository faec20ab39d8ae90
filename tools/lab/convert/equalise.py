"""Cross-layer equalisation: channels of one tensor get ranges that one scale can serve.

Source: M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
ICCV 2019, section 4.1: since f(x / s) = f(x) / s for ReLU and PReLU and s > 0, a convolution's
output channels may be divided by s where the next convolution's weights for them are multiplied by
s. Here s follows from the ranges that were seen on pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tools.field.recipe import KEPT
from tools.field.values import Doubles, factor, number
from tools.lab.convert.calibrate import Statistics
from tools.lab.convert.graph import Graph, Node
from tools.lab.convert.passes import scaled_inputs, scaled_outputs

_CONVOLUTIONS = ("conv", "depthwise")
_LEAST = 0.02
"""Channels that hold less than this part of the median are left as small as they are."""
_DEPTHWISE, _DENSE = 1.0, 0.5
"""How much of the difference is taken out: all of it before a depthwise convolution, whose weights
have a scale per channel; half, in logarithms, before another, whose weights share one."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A convolution, the tensors after it up to the next convolution, and that one."""

    first: Node
    between: tuple[Node, ...]
    second: Node


def equalise(graph: Graph, seen: Mapping[str, Statistics]) -> tuple[Graph, dict[str, Doubles]]:
    """Return the equalised graph and its factors by name; seen: of every node's output."""
    nodes = {node.name: node for node in graph.nodes}
    factors: dict[str, Doubles] = {}
    for pair in _pairs(graph):
        name = f"{pair.first.name}/s"
        factors[name] = _factor(pair, seen)
        first, second = nodes[pair.first.name], nodes[pair.second.name]
        by = factor(name)
        inverse = number(1.0) / by
        bias = None if first.bias is None else first.bias * inverse
        nodes[first.name] = replace(first, weights=scaled_outputs(first, inverse), bias=bias)
        nodes[second.name] = replace(second, weights=scaled_inputs(second, by))
    return replace(graph, nodes=tuple(nodes.values())), factors


def _factor(pair: _Pair, seen: Mapping[str, Statistics]) -> Doubles:
    """Return each channel's s, as a recipe keeps it: any near one serves as well."""
    tensors = [seen[node.name] for node in (pair.first, *pair.between)]
    largest = np.max([np.maximum(np.abs(one.lows), np.abs(one.highs)) for one in tensors], axis=0)
    middle = float(np.median(largest)) or 1.0
    strength = _DEPTHWISE if pair.second.op == "depthwise" else _DENSE
    wanted: Doubles = (np.maximum(largest, _LEAST * middle) / middle) ** strength
    return wanted.astype(KEPT).astype(np.float64)


def _pairs(graph: Graph) -> list[_Pair]:
    users = graph.users()
    found = []
    for node in graph.nodes:
        if node.op not in _CONVOLUTIONS or node.activation == "relu6":
            continue
        between: list[Node] = []
        last = node
        while len(users[last.name]) == 1 and last.name not in graph.outputs:
            (last,) = users[last.name]
            if last.op in _CONVOLUTIONS:
                found.append(_Pair(node, tuple(between), last))
            if last.op not in {"prelu", "relu", "pad"} or last.activation == "relu6":
                break
            between.append(last)
    return found
