"""Bias correction: what rounding the weights adds to a channel on average is taken off its bias.

Source: M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
ICCV 2019, section 4.2: rounding weights w to w' adds (w' - w) * x, whose expectation over the
pictures is (w' - w) * E[x]. E[x] is the mean of each input channel, as the float graph has it.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tools.field.recipe import KEPT
from tools.field.values import Doubles, Tensors, factor
from tools.lab.convert.build import Built, build
from tools.lab.convert.calibrate import Statistics
from tools.lab.convert.graph import Node
from tools.lab.convert.quantise import quantise


def correct(
    built: Built, sources: Tensors, factors: Mapping[str, Doubles], seen: Mapping[str, Statistics]
) -> tuple[Built, dict[str, Doubles]]:
    """Return the graph with corrected biases, and all factors; seen: of every node's output."""
    constants, quantisation = quantise(built.graph, built.values, seen)
    found = dict(factors)
    nodes = []
    for node in built.graph.nodes:
        if node.op not in {"conv", "depthwise"} or node.inputs[0] not in seen:
            nodes.append(node)
            continue
        weights = f"{node.name}/weights"
        scales, axis = quantisation[weights].scales, quantisation[weights].axis
        shape = [-1 if side == axis else 1 for side in range(4)]
        stored = constants[weights].astype(np.float64) * scales.reshape(shape)
        name = f"{node.name}/b"
        found[name] = _added(node, stored - built.values[weights], seen[node.inputs[0]].means)
        shift = -factor(name)
        nodes.append(replace(node, bias=shift if node.bias is None else node.bias + shift))
    graph = replace(built.graph, nodes=tuple(nodes))
    return build(graph, sources, found), found


def _added(node: Node, errors: Doubles, means: Doubles) -> Doubles:
    """Return what the weights' errors add to each output channel, as a recipe keeps it."""
    axes = (1, 2, 3) if node.op == "conv" else (0, 1, 2)
    added: Doubles = (errors * means).sum(axis=axes).astype(KEPT).astype(np.float64)
    return added
