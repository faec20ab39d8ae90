"""From a graph and the numbers of its weights to `.tflite` files: float and 8-bit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tools.field.values import Doubles, Tensors, compute
from tools.lab.convert.calibrate import Pictures, Statistics, observe
from tools.lab.convert.graph import Graph, Shape, shapes
from tools.lab.convert.passes import explicit_padding, fuse_activations
from tools.lab.convert.quantise import quantise
from tools.lab.convert.writer import write


@dataclass(frozen=True, slots=True)
class Built:
    """A graph that can be written, its numbers in float64, and every tensor's shape."""

    graph: Graph
    values: Mapping[str, Doubles]
    shapes: Mapping[str, Shape]

    def as_float(self, outputs: tuple[str, ...] = ()) -> bytes:
        """Return the float32 file; outputs: others than the graph's."""
        graph = replace(self.graph, outputs=outputs or self.graph.outputs)
        constants = {name: value.astype(np.float32) for name, value in self.values.items()}
        return write(graph, self.shapes, constants, {})

    def observe(
        self, pictures: Pictures, progress: Callable[[], None] = lambda: None
    ) -> Mapping[str, Statistics]:
        """Return what every tensor holds on these pictures, (height, width, 3) uint8."""
        names = tuple(node.name for node in self.graph.nodes if node.op != "input")
        return observe(self.as_float(names), pictures, progress)

    def as_int8(self, seen: Mapping[str, Statistics], share: float = 1.0) -> bytes:
        """Return the 8-bit file; seen: as `observe` returns it; share: as in `quantise`."""
        constants, quantisation = quantise(self.graph, self.values, seen, share)
        return write(self.graph, self.shapes, constants, quantisation)


def build(graph: Graph, sources: Tensors, factors: Tensors | None = None) -> Built:
    """Compute a graph's numbers and bring it into a form that can be written.

    Raises ModelError when the graph, its weights and its shapes do not fit together.
    """
    graph = fuse_activations(graph)
    values = numbers_of(graph, sources, factors or {})
    graph = explicit_padding(graph, _shapes(graph, values), _kernels(values))
    return Built(graph, values, _shapes(graph, values))


def numbers_of(graph: Graph, sources: Tensors, factors: Tensors) -> dict[str, Doubles]:
    """Return weights and biases as "NODE/weights" and "NODE/bias"; a missing bias is zeros."""
    found = {}
    for node in graph.nodes:
        if node.weights is None:
            continue
        weights = compute(node.weights, sources, factors)
        found[f"{node.name}/weights"] = weights
        if node.bias is not None:
            found[f"{node.name}/bias"] = compute(node.bias, sources, factors)
        elif node.op in {"conv", "depthwise"}:
            channels = weights.shape[0 if node.op == "conv" else -1]
            found[f"{node.name}/bias"] = np.zeros(channels)
    return found


def _shapes(graph: Graph, values: Mapping[str, Doubles]) -> dict[str, Shape]:
    ending = "/weights"
    return shapes(
        graph,
        {name.removesuffix(ending): v.shape for name, v in values.items() if name.endswith(ending)},
    )


def _kernels(values: Mapping[str, Doubles]) -> dict[str, tuple[int, int]]:
    return {
        name.removesuffix("/weights"): (value.shape[1], value.shape[2])
        for name, value in values.items()
        if value.ndim == 4  # noqa: PLR2004 - out, height, width, in
    }
