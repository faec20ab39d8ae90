"""How many multiply-accumulates a network takes for one picture, read from its file."""

from math import prod
from pathlib import Path
from typing import Final

from tools.lab.tflite import Model, Operator, read

_WEIGHTS: Final = 1
"""Which input of a convolution or of a fully connected layer holds its weights."""


def mmac_of(file: Path) -> float:
    """Return millions of multiply-accumulates of one pass. Raises ModelError: no such file.

    Convolutions and fully connected layers only: the rest is small, and is not counted by those
    whose figures these are compared with either.
    """
    model = read(file.read_bytes(), file.name)
    return sum(_of(model, operator) for operator in model.operators) / 1e6


def _of(model: Model, operator: Operator) -> int:
    if operator.name not in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
        return 0
    weights = model.tensors[operator.inputs[_WEIGHTS]].shape
    made = model.tensors[operator.outputs[0]].shape
    # Weights: (channels out, height, width, channels in); of a depthwise one (1, height, width,
    # channels); of a fully connected one (out, in).
    each = {
        "CONV_2D": prod(weights[1:]),
        "DEPTHWISE_CONV_2D": prod(weights[1:3]),
        "FULLY_CONNECTED": weights[-1],
    }
    return prod(made) * each[operator.name]
