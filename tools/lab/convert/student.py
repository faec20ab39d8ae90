"""A network trained here, as an int8 `.tflite` file.

    python -m tools.lab.convert.student GRAPH.npz CALIBRATION.npz OUT.tflite [--float OUT2.tflite]

GRAPH.npz holds the arrays of the weights under any names, and "graph", a text in JSON:

    {"input": {"name": "image", "shape": [112, 112], "mean": 128, "scale": 0.0078125},
     "nodes": [{"op": "conv", "name": "c1", "input": "image", "weights": "c1.w", "bias": "c1.b",
                "stride": 2, "padding": 1, "activation": "relu6"}, …],
     "outputs": ["embedding"]}

The input's pixels are uint8, 0-255, in the order of colours the network was trained on; what the
first node sees is (pixel - mean) * scale. `mean` is a whole number (0-255): then an 8-bit pixel is
that number exactly and a padding with zeros pads with the mean, as in training.

| op | keys | what it does |
|---|---|---|
| conv | weights (out, in, h, w) as in PyTorch, bias, stride, padding, activation | ordinary |
| depthwise | weights (channels, 1, h, w), and the same | groups = channels |
| linear | weights (out, in), bias, activation | as a 1x1 convolution; the input is (1, 1, in) |
| add, multiply | inputs [a, b], activation | multiply may widen (1, 1, channels) |
| concat | inputs [a, b, …] | over the channels |
| relu, relu6, sigmoid, softmax | input | fused into the convolution before it, where it can be |
| maxpool | input, kernel, stride | no padding |
| mean | input | over height and width: (1, 1, channels) |
| double | input | nearest neighbour, twice as high and wide (no TILE) |
| reshape | input, shape without the batch | rows stay rows: (h, w, c) -> (h * w, c) |

`bias`, `stride` (1), `padding` (0; the same on all sides, or [top, bottom, left, right]),
`activation` ("", "relu", "relu6") may be left out. Fold batch normalisation before (`folded`).
A global depthwise convolution is a depthwise one whose window is the whole picture.

CALIBRATION.npz holds "pictures": (n, height, width, 3) uint8, some hundreds, as the device would
give them. The results are deterministic. Ops, types and shapes are all for the Edge TPU
(`passerby-lab edgetpu-check`).
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from device.errors import ModelError
from device.files import write_atomically
from tools.console import guarded
from tools.field.values import Tensors, Value, source
from tools.lab.convert.build import Built, build
from tools.lab.convert.calibrate import Pictures
from tools.lab.convert.correct import correct
from tools.lab.convert.graph import Builder, Graph, Node, Padding

_PLAIN = ("add", "multiply", "concat", "sigmoid", "softmax", "maxpool", "mean", "double")
_WEIGHTS = ("conv", "depthwise", "linear")
_SIDES = 4


def folded(
    weights: npt.NDArray[Any],
    bias: npt.NDArray[Any] | None,
    normalisation: Mapping[str, npt.NDArray[Any]],
    epsilon: float = 1e-5,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return weights and bias of a convolution with the batch normalisation after it.

    weights: (out, …). bias: (out,). normalisation: its arrays, (out,), under PyTorch's names:
    weight, bias, running_mean, running_var.
    """
    by = normalisation["weight"] / np.sqrt(normalisation["running_var"] + epsilon)
    mean = normalisation["running_mean"] if bias is None else normalisation["running_mean"] - bias
    widened = by.reshape(-1, *[1] * (weights.ndim - 1))
    return weights * widened, normalisation["bias"] - mean * by


def read(text: str, arrays: Tensors) -> Built:
    """Read the format of this module; arrays: those of the weights. Raises ModelError."""
    try:
        described = json.loads(text)
        return build(_graph(described), arrays)
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f"The graph cannot be read: {type(error).__name__} {error}.") from error


def as_int8(built: Built, arrays: Tensors, pictures: Pictures) -> bytes:
    """Return the 8-bit file of what `read` returned, with corrected biases (`correct`).

    arrays: those that `read` was given. pictures: (height, width, 3) uint8 each, to calibrate on.
    """
    seen = built.observe(pictures)
    corrected, _ = correct(built, arrays, {}, seen)
    return corrected.as_int8(seen)


def _graph(described: dict[str, Any]) -> Graph:
    entry = described["input"]
    height, width = entry["shape"]
    builder = Builder()
    builder.add(Node(entry["name"], "input", shape=(1, height, width, 3)))
    for one in described["nodes"]:
        builder.add(_node(one))
    return Graph(
        tuple(builder.nodes),
        tuple(described["outputs"]),
        mean=int(entry.get("mean", 0)),
        scale=float(entry.get("scale", 1.0)),
    )


def _node(one: dict[str, Any]) -> Node:
    op, name = one["op"], one["name"]
    inputs = tuple(one["inputs"]) if "inputs" in one else (one["input"],)
    activation = one.get("activation", "")
    if op in {"relu", "relu6"}:
        return Node(name, "relu", inputs, activation=op)
    if op == "reshape":
        return Node(name, "reshape", inputs, shape=(1, *one["shape"]))
    if op in _WEIGHTS:
        return Node(
            name,
            "depthwise" if op == "depthwise" else "conv",
            inputs,
            weights=_weights(op, one["weights"]),
            bias=source(one["bias"]) if one.get("bias") else None,
            stride=_pair(one.get("stride", 1)),
            padding=_padding(one.get("padding", 0)),
            activation=activation,
        )
    if op not in _PLAIN:
        raise ValueError(f'there is no op "{op}"')
    return Node(
        name,
        op,
        inputs,
        kernel=_pair(one.get("kernel", 1)),
        stride=_pair(one.get("stride", 1)),
        activation=activation,
    )


def _weights(op: str, name: str) -> Value:
    """Return weights in TensorFlow Lite's order of axes."""
    if op == "linear":
        return source(name).reshape(0, 1, 1, -1)
    return source(name).transpose(*((1, 2, 3, 0) if op == "depthwise" else (0, 2, 3, 1)))


def _pair(value: int | list[int]) -> tuple[int, int]:
    down, across = (value, value) if isinstance(value, int) else value
    return down, across


def _padding(value: int | list[int]) -> Padding:
    top, bottom, left, right = [value] * _SIDES if isinstance(value, int) else value
    return top, bottom, left, right


def main(arguments: list[str] | None = None) -> int:
    """Convert; 0 when both files are written."""
    parser = argparse.ArgumentParser(description="A network trained here, as int8 .tflite.")
    parser.add_argument("graph", type=Path, metavar="GRAPH.npz")
    parser.add_argument("calibration", type=Path, metavar="CALIBRATION.npz")
    parser.add_argument("out", type=Path, metavar="OUT.tflite")
    parser.add_argument("--float", type=Path, dest="as_float", metavar="OUT2.tflite")
    return guarded("student", lambda: _convert(parser.parse_args(arguments)))


def _convert(options: argparse.Namespace) -> int:
    arrays = _arrays(options.graph)
    pictures = _arrays(options.calibration)["pictures"]
    built = read(str(arrays.pop("graph")), arrays)
    write_atomically(options.out, as_int8(built, arrays, pictures), 0o644)
    if options.as_float:
        write_atomically(options.as_float, built.as_float(), 0o644)
    return 0


def _arrays(file: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(file, allow_pickle=False) as content:
            return dict(content)
    except (OSError, ValueError, BadZipFile) as error:
        raise ModelError(f"{file} is no .npz file of plain arrays ({error}).") from error


if __name__ == "__main__":
    sys.exit(main())
