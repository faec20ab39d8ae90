"""The teacher of the embedder: the published OMZ network, run in PyTorch, never copied.

Reads OpenVINO's IR (version 10 or 11, one input, one output) and runs it as it is. What the student
learns from are its answers, at its end and at three places on the way.
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_TYPES = {"f16": np.float16, "f32": np.float32, "i64": np.int64, "i32": np.int32}
_Step = Callable[[dict[str, Tensor]], None]


class Teacher:
    """The network as a list of steps over named tensors. Not trained, without gradients."""

    def __init__(self, structure: Path) -> None:
        """Read `NAME.xml` and the weights beside it, `NAME.bin`."""
        root = ET.parse(structure).getroot()  # noqa: S314 - an engineer's own file
        weights = structure.with_suffix(".bin").read_bytes()
        sources = _sources(root)
        self._constants: dict[str, Tensor] = {}
        self._steps: list[_Step] = []
        self._sizes: dict[str, int] = {}
        for layer in root.iterfind("layers/layer"):
            self._add(layer, sources.get(layer.get("id", ""), []), weights)
        # The last sum of each resolution: what the stages of the student are compared with.
        self._hints = list({size: name for name, size in self._sizes.items()}.values())

    def _add(self, layer: ET.Element, inputs: list[str], weights: bytes) -> None:
        name, kind = layer.get("id", ""), layer.get("type", "")
        data = layer.find("data")
        attributes = {} if data is None else dict(data.attrib)
        if kind == "Parameter":
            self._input = name
        elif kind == "Const":
            self._constants[name] = _constant(attributes, weights)
        elif kind == "Convert":
            self._constants[name] = self._constants[inputs[0]].float()
        elif kind == "Result":
            self._output = inputs[0]
        else:
            operands = [self._constants.get(i) for i in inputs]
            self._steps.append(_step(name, kind, inputs, operands, attributes))
            if kind == "Add" and not any(value is not None for value in operands):
                size = [int(d.text or 0) for d in layer.iterfind("output/port/dim")][-1]
                self._sizes[name] = size

    @torch.no_grad()
    def __call__(self, faces: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return templates (n, 256) of unit length and maps, for faces (n, 3, 128, 128) BGR 0-255.

        The maps come from fine to coarse: 32 x 32, 16 x 16, 8 x 8.
        """
        values = {self._input: faces}
        for step in self._steps:
            step(values)
        templates = values[self._output].flatten(1).float()
        return functional.normalize(templates), [values[name] for name in self._hints]


def _sources(root: ET.Element) -> dict[str, list[str]]:
    edges: dict[str, dict[int, str]] = {}
    for edge in root.iterfind("edges/edge"):
        target = edges.setdefault(edge.get("to-layer", ""), {})
        target[int(edge.get("to-port", "0"))] = edge.get("from-layer", "")
    return {layer: [ports[port] for port in sorted(ports)] for layer, ports in edges.items()}


def _constant(attributes: dict[str, str], weights: bytes) -> Tensor:
    kind = np.dtype(_TYPES[attributes["element_type"]])
    shape = [int(side) for side in attributes["shape"].split(",") if side.strip()]
    count = int(attributes["size"]) // kind.itemsize
    values = np.frombuffer(weights, kind, count, int(attributes["offset"])).reshape(shape)
    return torch.from_numpy(values.copy())


def _step(
    name: str,
    kind: str,
    inputs: list[str],
    constants: list[Tensor | None],
    attributes: dict[str, str],
) -> _Step:
    first = inputs[0]
    second = constants[1] if len(constants) > 1 else None
    if kind in {"Convolution", "GroupConvolution"}:
        weight = cast("Tensor", second)
        groups = weight.shape[0] if kind == "GroupConvolution" else 1
        if groups > 1:
            weight = weight.flatten(0, 1)
        stride, padding = int(attributes["strides"][0]), int(attributes["pads_begin"][0])

        def convolve(values: dict[str, Tensor]) -> None:
            x = values[first]
            w = weight.to(x.dtype)
            values[name] = functional.conv2d(x, w, None, stride, padding, 1, groups)

        return convolve
    if kind == "PReLU":
        slope = cast("Tensor", second).flatten()

        def prelu(values: dict[str, Tensor]) -> None:
            x = values[first]
            values[name] = functional.prelu(x, slope.to(x.dtype))

        return prelu
    if kind == "AvgPool":
        return lambda values: values.__setitem__(name, values[first].mean((2, 3), keepdim=True))
    if kind == "Sigmoid":
        return lambda values: values.__setitem__(name, values[first].sigmoid())
    if kind in {"Add", "Multiply"}:
        join = torch.add if kind == "Add" else torch.mul

        def combine(values: dict[str, Tensor]) -> None:
            x = values[first]
            other = values[inputs[1]] if second is None else second.to(x.dtype)
            values[name] = join(x, other)

        return combine
    msg = f"The teacher has a layer of kind {kind}, which this reader does not know."
    raise ValueError(msg)
