"""Which operations the Edge TPU runs, and with which limitations.

Source: "Supported operations" of https://coral.ai/docs/edgetpu/models-intro/ (compiler and runtime
16; the same table stands under "artpec-7/supported-ops" of https://developer.axis.com). One more
limit follows from the compiler's age: converters since 2024 quantise fully-connected weights per
channel (https://github.com/tensorflow/tflite-micro/pull/2602), years after its last release; a 1x1
convolution does the same work and is mapped. LSTM is left out: no model here has one, and its limit
cannot be seen in a file.

A rule takes the model and one of its operations, whose tensors are 8-bit and of constant size, and
returns what is wrong as the end of a sentence, or None. Numbers of options are those of the schema
(`tools.lab.tflite`).
"""

import math
from collections.abc import Callable

from tools.lab.tflite import Model, Operator, Tensor

Rule = Callable[[Model, Operator], str | None]

_SOFTMAX_MOST = 16_000
_DEPTH_MULTIPLE = 4
_PAIR = 2


def _tensors(model: Model, indices: tuple[int, ...]) -> list[Tensor]:
    return [model.tensors[index] for index in indices if index >= 0]


def _constant(*numbers: int) -> Rule:
    """Return the rule that the inputs of these numbers, where there, are constants."""

    def rule(model: Model, operator: Operator) -> str | None:
        given = tuple(operator.inputs[n] for n in numbers if n < len(operator.inputs))
        constant = all(tensor.data for tensor in _tensors(model, given))
        return None if constant else "has parameters that are not constant"

    return rule


def _no_fused(number: int) -> Rule:
    """Return the rule that option `number`, the fused activation, is none."""

    def rule(_: Model, operator: Operator) -> str | None:
        return "has a fused activation function" if operator.option(number, "<b") else None

    return rule


def _same_dilation(across: int, down: int) -> Rule:
    """Return the rule that two options, the dilations, are equal."""

    def rule(_: Model, operator: Operator) -> str | None:
        same = operator.option(across, "<i", 1) == operator.option(down, "<i", 1)
        return None if same else "dilates differently across and down"

    return rule


def _concatenation(model: Model, operator: Operator) -> str | None:
    inputs = _tensors(model, operator.inputs)
    constant = [tensor for tensor in inputs if tensor.data]
    if not constant or (len(inputs) == _PAIR and all(_is_zero(model, t) for t in constant)):
        return None
    return "has a constant among its inputs: only a single one of zeros is supported"


def _is_zero(model: Model, tensor: Tensor) -> bool:
    """Tell whether all values of a constant 8-bit tensor mean 0."""
    start, end = tensor.data or (0, 0)
    return set(model.data[start:end]) <= {tensor.zero_points[0] % 256}


def _fully_connected(model: Model, operator: Operator) -> str | None:
    if operator.option(1, "<b"):
        return "has weights in another than the default format"
    if len(model.tensors[operator.inputs[1]].scales) > 1:
        return "has weights quantised per channel: a 1x1 convolution may"
    (output,) = _tensors(model, operator.outputs)
    return None if math.prod(output.shape[:-1]) == 1 else "has an output of several dimensions"


def _prelu(model: Model, operator: Operator) -> str | None:
    alpha = model.tensors[operator.inputs[1]]
    if math.prod(alpha.shape[:-1]) == 1:
        return None
    return f"has slopes of shape {list(alpha.shape)}: one per channel is supported"


def _softmax(model: Model, operator: Operator) -> str | None:
    shape = model.tensors[operator.inputs[0]].shape
    if math.prod(shape[:-1]) != 1:
        return f"has an input of shape {list(shape)}: one dimension is supported"
    return None if shape[-1] <= _SOFTMAX_MOST else f"has more than {_SOFTMAX_MOST:,} elements"


def _reduction(model: Model, operator: Operator) -> str | None:
    shape = model.tensors[operator.inputs[0]].shape
    axes = {axis % len(shape) for axis in model.numbers(operator.inputs[1])} if shape else {0}
    if 0 in axes:
        return "reduces the batch dimension"
    if operator.name == "MEAN" and len(shape) - 1 in axes and shape[-1] % _DEPTH_MULTIPLE:
        return f"reduces a depth that is no multiple of {_DEPTH_MULTIPLE}"
    return None


def _batch_one(model: Model, operator: Operator) -> str | None:
    batches = {tensor.shape[0] for tensor in _tensors(model, operator.outputs) if tensor.shape}
    return None if batches <= {1} else "works in the batch dimension"


def _strided_slice(model: Model, operator: Operator) -> str | None:
    if operator.option(2, "<i") or operator.option(3, "<i"):
        return "has an ellipsis or a new axis"
    strides = model.numbers(operator.inputs[3])
    return None if set(strides) <= {1} else "has a stride other than 1"


RULES: dict[str, tuple[Rule, ...]] = {
    "ADD": (),
    "AVERAGE_POOL_2D": (_no_fused(5),),
    "CONCATENATION": (_no_fused(1), _concatenation),
    "CONV_2D": (_constant(1, 2), _same_dilation(4, 5)),
    "DEPTHWISE_CONV_2D": (_constant(1, 2), _same_dilation(5, 6)),
    "EXPAND_DIMS": (),
    "FULLY_CONNECTED": (_constant(1, 2), _fully_connected),
    "L2_NORMALIZATION": (),
    "LOGISTIC": (),
    "MAXIMUM": (),
    "MAX_POOL_2D": (_no_fused(5),),
    "MEAN": (_constant(1), _reduction),
    "MINIMUM": (),
    "MUL": (),
    "PACK": (_batch_one,),
    "PAD": (_constant(1), _batch_one),
    "PRELU": (_constant(1), _prelu),
    "QUANTIZE": (),
    "REDUCE_MAX": (_constant(1), _reduction),
    "REDUCE_MIN": (_constant(1), _reduction),
    "RELU": (),
    "RELU6": (),
    "RELU_N1_TO_1": (),
    "RESHAPE": (),
    "RESIZE_BILINEAR": (_constant(1), _batch_one),
    "RESIZE_NEAREST_NEIGHBOR": (_constant(1), _batch_one),
    "RSQRT": (),
    "SLICE": (_constant(1, 2), _batch_one),
    "SOFTMAX": (_softmax,),
    "SPACE_TO_DEPTH": (),
    "SPLIT": (_batch_one,),
    "SQUARED_DIFFERENCE": (),
    "SQUEEZE": (),
    "STRIDED_SLICE": (_constant(1, 2, 3), _strided_slice, _batch_one),
    "SUB": (),
    "SUM": (_constant(1), _reduction),
    "TANH": (),
    "TRANSPOSE": (_constant(1), _batch_one),
    "TRANSPOSE_CONV": (_constant(0, 1),),
}
"""The rules of every operation of the published list."""
