"""`passerby-lab train export`: a trained embedder as a graph, and as float and 8-bit `.tflite`."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from device.errors import ModelError
from device.files import sha256_of, write_atomically
from tools.console import console
from tools.lab.convert import student as conversion
from tools.lab.edgetpu_check import problems_of
from tools.lab.train.lessons import small
from tools.lab.train.samples import Recipe, batches
from tools.lab.train.sources import Sources, load
from tools.lab.train.student import INPUT_SIDE, TEMPLATE_LENGTH, Layout, Student, Unit

_CALIBRATION = 512
_SEED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="student.pt")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the faces of the training")
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], metavar="FILE.npz")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.tflite")
    parser.add_argument("--float", type=Path, metavar="FILE.tflite", help="the same in floats")


def run(options: argparse.Namespace) -> int:
    """Write the files; 0."""
    network = Student(Layout()).eval()
    try:
        network.load_state_dict(torch.load(options.checkpoint, weights_only=True))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{options.checkpoint} is no trained embedder ({error}).") from error
    built = conversion.read(*graph(network))
    faces = calibration(load(options.data, options.rendered))
    content = built.as_int8(built.observe(faces))
    write_atomically(options.out, content, mode=0o644)
    if options.float:
        write_atomically(options.float, built.as_float(), mode=0o644)
    console.print(f"{options.out}: {len(content):,} bytes, SHA-256 {sha256_of(options.out)}")
    for problem in problems_of(content):
        console.print(f"Edge TPU: {problem}", markup=False)
    return 0


def calibration(sources: Sources) -> NDArray[np.uint8]:
    """Return faces (512, 112, 112, 3) uint8 BGR as the device would see them."""
    batch = next(batches(sources, Recipe(), (_SEED,), _CALIBRATION))
    return small(batch.seen).permute(0, 2, 3, 1).numpy()


def graph(network: Student) -> tuple[str, dict[str, NDArray[Any]]]:
    """Return the network in the format of `tools.lab.convert.student`: a text, and arrays."""
    writer = _Writer()
    last = writer.unit(network.stem, "image", "stem")
    for number, stage in enumerate(network.stages):
        widen, *blocks = stage
        last = writer.unit(widen, last, f"stage{number}")
        for place, block in enumerate(blocks):
            name = f"stage{number}.{place}"
            first = writer.unit(block.first, last, f"{name}.first")
            second = writer.unit(block.second, first, f"{name}.second")
            last = writer.node("add", name, inputs=[last, second], activation="relu6")
    last = writer.unit(network.gather, writer.unit(network.widen, last, "widen"), "gather")
    last = writer.convolution(network.template, last, "length", None, "")
    writer.node("reshape", "template", input=last, shape=[TEMPLATE_LENGTH])
    return writer.text(), writer.arrays


class _Writer:
    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self._nodes: list[dict[str, object]] = []

    def node(self, kind: str, name: str, **keys: object) -> str:
        self._nodes.append({"op": kind, "name": name, **keys})
        return name

    def unit(self, unit: Unit, source: str, name: str) -> str:
        relu = "relu6" if len(unit) == 3 else ""  # noqa: PLR2004 - convolution, norm, ReLU6
        return self.convolution(unit[0], source, name, unit[1], relu)

    def convolution(
        self,
        layer: torch.nn.Conv2d,
        source: str,
        name: str,
        norm: torch.nn.BatchNorm2d | None,
        activation: str,
    ) -> str:
        weights = layer.weight.detach().double().numpy()
        bias = None if layer.bias is None else layer.bias.detach().double().numpy()
        if norm is not None:
            state = {key: value.double().numpy() for key, value in norm.state_dict().items()}
            weights, bias = conversion.folded(weights, bias, state, norm.eps)
        self.arrays[f"{name}.w"], self.arrays[f"{name}.b"] = weights, np.asarray(bias)
        return self.node(
            "conv" if layer.groups == 1 else "depthwise",
            name,
            input=source,
            weights=f"{name}.w",
            bias=f"{name}.b",
            stride=layer.stride[0],
            padding=layer.padding[0],
            activation=activation,
        )

    def text(self) -> str:
        """Return the graph. Pixels are only divided: see student.py."""
        image = {"name": "image", "shape": [INPUT_SIDE, INPUT_SIDE], "mean": 0, "scale": 1 / 255}
        described = {"input": image, "nodes": self._nodes, "outputs": ["template"]}
        return json.dumps(described)
