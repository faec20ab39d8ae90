"""A network as a list of nodes: what the readers make, the passes change and the writer stores.

Pictures are (1, height, width, channels). Weights are `Value`s, expressions over the published
file's tensors, so that what a pass did to them can be done again elsewhere from a recipe.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from device.errors import ModelError
from tools.field.values import Value

Op = Literal[
    "input",
    "conv",
    "depthwise",
    "add",
    "subtract",
    "multiply",
    "affine",
    "relu",
    "prelu",
    "maxpool",
    "mean",
    "double",
    "sigmoid",
    "softmax",
    "reshape",
    "concat",
    "pad",
]
Activation = Literal["", "relu", "relu6"]
Shape = tuple[int, ...]
Padding = tuple[int, int, int, int]
SAME: Padding = (-1, -1, -1, -1)
"""As many zeros as make ceil(size / stride) places, the odd one at the bottom and right."""
_PICTURE = 4


@dataclass(frozen=True, slots=True)
class Node:
    """One step; its name is also that of the tensor it makes.

    weights: conv (out, height, width, in), depthwise (1, height, width, channels), prelu slopes
    (channels,) or (1,), affine factors (channels,). bias: (out,); affine: offsets. stride: down,
    across. kernel: of maxpool; of "mean" to check that it is all of height and width. padding:
    zeros at top, bottom, left, right, or SAME. activation: fused; of "relu" it is what it does.
    shape: of input and reshape, there -1 is the rest. "double" repeats every pixel twice down and
    across, "affine" is x * weights + bias.
    """

    name: str
    op: Op
    inputs: tuple[str, ...] = ()
    weights: Value | None = None
    bias: Value | None = None
    stride: tuple[int, int] = (1, 1)
    kernel: tuple[int, int] = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    activation: Activation = ""
    shape: Shape = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which each can be computed, and the names of the outputs.

    mean, scale: what the input is of the pixels, 0-255: (pixel - mean) * scale. The mean is a whole
    number, so that an 8-bit pixel is one exactly and no arithmetic is needed.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    mean: int = 0
    scale: float = 1.0

    def __getitem__(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def users(self) -> dict[str, list[Node]]:
        """Return who takes each tensor."""
        found: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node)
        return found


@dataclass(slots=True)
class Builder:
    """Collects nodes; each method returns the name of the new tensor."""

    nodes: list[Node] = field(default_factory=list)

    def add(self, node: Node) -> str:
        """Append a node."""
        if any(known.name == node.name for known in self.nodes):
            node = replace(node, name=f"{node.name}/{len(self.nodes)}")
        self.nodes.append(node)
        return node.name


def shapes(graph: Graph, weights: dict[str, Shape]) -> dict[str, Shape]:
    """Return every tensor's shape; weights: those of the nodes' weights, by name of the node.

    Raises ModelError when the nodes do not fit together, naming the first that does not.
    """
    found: dict[str, Shape] = {}
    for node in graph.nodes:
        try:
            given = [found[name] for name in node.inputs]
            found[node.name] = _shape(node, given, weights.get(node.name, ()))
        except (KeyError, IndexError, ValueError) as error:
            raise ModelError(f'Node "{node.name}" ({node.op}) does not fit: {error}.') from error
    return found


def _shape(node: Node, given: Sequence[Shape], weights: Shape) -> Shape:
    if node.op in {"input", "reshape"}:
        return node.shape if node.op == "input" else _reshaped(node.shape, given[0])
    if node.op in {"add", "subtract", "multiply"}:
        return tuple(max(sides) for sides in zip(*given, strict=True))
    if node.op == "concat":
        return (*given[0][:-1], sum(shape[-1] for shape in given))
    first = given[0]
    if node.op in {"affine", "relu", "prelu", "sigmoid", "softmax"}:
        return first
    if len(first) != _PICTURE:
        raise ValueError(f"{first} is no picture")
    return _picture_shape(node, first, weights)


def _reshaped(wanted: Shape, given: Shape) -> Shape:
    known = math.prod(side for side in wanted if side >= 0)
    shape = tuple(math.prod(given) // known if side < 0 else side for side in wanted)
    if math.prod(shape) != math.prod(given):
        raise ValueError(f"{given} is not {wanted}")
    return shape


def _picture_shape(node: Node, given: Shape, weights: Shape) -> Shape:
    one, height, width, channels = given
    down, across = node.stride
    top, bottom, left, right = (0, 0, 0, 0) if node.padding == SAME else node.padding
    height, width = height + top + bottom, width + left + right
    if node.op == "pad":
        return one, height, width, channels
    if node.op == "mean":
        if node.kernel not in {(1, 1), (height, width)}:
            raise ValueError(f"{node.kernel} is not the whole {height}x{width}")
        return one, 1, 1, channels
    if node.op == "double":
        return one, 2 * height, 2 * width, channels
    kernel = node.kernel if node.op == "maxpool" else weights[1:3]
    taken = {"conv": weights[-1:], "depthwise": weights[-1:], "maxpool": (channels,)}[node.op]
    if taken != (channels,):
        raise ValueError(f"{channels} channels come, {taken[0]} are taken")
    size = (height - kernel[0]) // down + 1, (width - kernel[1]) // across + 1
    if node.padding == SAME:
        size = -(-height // down), -(-width // across)
    elif min(size) < 1:
        raise ValueError(f"{height}x{width} is smaller than the kernel")
    return one, *size, weights[0] if node.op == "conv" else channels
