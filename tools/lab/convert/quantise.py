"""From a float graph and its tensors' ranges to 8-bit whole numbers.

Source: https://ai.google.dev/edge/litert/models/quantization_spec. Activations are int8 with one
scale and zero point, weights int8 with a scale per output channel, biases int32.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from device.errors import ModelError
from tools.field.quantised import stored
from tools.field.values import Doubles
from tools.lab.convert.calibrate import Statistics
from tools.lab.convert.graph import Graph
from tools.lab.convert.writer import PIXELS, Quantisation

_SHARING = ("maxpool", "double", "reshape", "concat", "pad")
"""Operators whose output has the scale of their inputs."""
_BETWEEN_0_AND_1 = ("sigmoid", "softmax")
_LOWEST = -128
_STEPS = 255
_MOST_WEIGHT = 127
_MOST_BIAS = 2.0**30
_CHANNEL_AXIS = {"conv": 0, "depthwise": 3}


def quantise(
    graph: Graph,
    values: Mapping[str, Doubles],
    seen: Mapping[str, Statistics],
    share: float = 1.0,
) -> tuple[dict[str, npt.NDArray[np.generic]], dict[str, Quantisation]]:
    """Return the constants as they are stored, and the quantisation of all tensors.

    values: weights and biases by "NODE/weights" and "NODE/bias". seen: of every node's output.
    share: of the pictures whose values the scales hold; what is beyond them is cut.
    Raises ModelError for nodes that have no 8-bit form here, and where tensors that must share a
    scale cannot.
    """
    found = _activations(graph, seen, share)
    constants: dict[str, npt.NDArray[np.generic]] = {}
    for node in graph.nodes:
        if node.weights is None:
            continue
        if node.op not in _CHANNEL_AXIS:
            raise ModelError(f'"{node.name}" ({node.op}) has no 8-bit form here.')
        given = float(found[node.inputs[0]].scales[0])
        weights, bias = values[f"{node.name}/weights"], values[f"{node.name}/bias"]
        axis = _CHANNEL_AXIS[node.op]
        scales = weight_scales(weights, bias, axis, given)
        zeros = np.zeros(scales.size, np.int64)
        products = (scales.astype(np.float64) * given).astype(np.float32)
        found[f"{node.name}/weights"] = Quantisation(scales, zeros, axis)
        found[f"{node.name}/bias"] = Quantisation(products, zeros, 0)
        constants[f"{node.name}/weights"] = stored(weights, "int8", scales, axis)
        constants[f"{node.name}/bias"] = stored(bias, "int32", products, 0)
    return constants, found


def weight_scales(
    weights: Doubles, bias: Doubles, axis: int, given: float
) -> npt.NDArray[np.float32]:
    """Return the scale of each output channel: its largest weight is 127, its bias fits int32.

    given: the scale of the input.
    """
    largest = np.abs(np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)).max(axis=1)
    scales = np.maximum(largest / _MOST_WEIGHT, np.abs(bias) / (_MOST_BIAS * given))
    # A channel of zeros needs some scale; one that is usual keeps the kernels' arithmetic in range.
    usual = float(np.median(scales[scales > 0])) if (scales > 0).any() else 1.0
    return np.where(scales > 0, scales, usual).astype(np.float32)


def _activations(
    graph: Graph, seen: Mapping[str, Statistics], share: float
) -> dict[str, Quantisation]:
    """Return each tensor's quantisation; those that must be equal are one group."""
    pixels = Quantisation(np.array([graph.scale], np.float32), np.array([graph.mean], np.int64))
    found = {node.name + PIXELS: pixels for node in graph.nodes if node.op == "input"}
    fixed = {
        node.name: _pair(1 / 256, _LOWEST) for node in graph.nodes if node.op in _BETWEEN_0_AND_1
    }
    fixed |= {
        node.name: replace(pixels, zero_points=pixels.zero_points + _LOWEST)
        for node in graph.nodes
        if node.op == "input"
    }
    for group in _groups(graph):
        known = {_key(fixed[name]): fixed[name] for name in group if name in fixed}
        if len(known) > 1:
            raise ModelError(f"These tensors cannot share one scale: {', '.join(sorted(group))}.")
        if known:
            (shared,) = known.values()
        else:
            shared = from_range([seen[name].range(share) for name in group])
        found |= dict.fromkeys(group, shared)
    return found


def _key(one: Quantisation) -> tuple[float, int]:
    return float(one.scales[0]), int(one.zero_points[0])


def from_range(ranges: list[tuple[float, float]]) -> Quantisation:
    """Return the quantisation of int8 that covers all ranges and holds 0 exactly."""
    low = min(0.0, *(low for low, _ in ranges))
    high = max(0.0, *(high for _, high in ranges))
    scale = np.float32((high - low) / _STEPS) or np.float32(1)
    zero = int(np.clip(np.rint(_LOWEST - low / float(scale)), _LOWEST, -_LOWEST - 1))
    return _pair(float(scale), zero)


def _pair(scale: float, zero: int) -> Quantisation:
    return Quantisation(np.array([scale], np.float32), np.array([zero], np.int64))


def _groups(graph: Graph) -> list[set[str]]:
    """Return the sets of tensors that share one scale."""
    group: dict[str, set[str]] = {}
    for node in graph.nodes:
        group[node.name] = {node.name}
        if node.op in _SHARING:
            for name in node.inputs:
                joined = group[name] | group[node.name]
                group |= dict.fromkeys(joined, joined)
    return list({id(one): one for one in group.values()}.values())
