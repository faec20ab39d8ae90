"""`passerby-lab edgetpu-check`: would the Edge TPU run all of this model?

A static check against the published requirements (`edgetpu_rules`); no compiler runs, and the
compiler may still leave an operation to the CPU, which its documentation calls "due to some
unspecified limitation". "Model requirements" of https://coral.ai/docs/edgetpu/models-intro/:
tensors are 8-bit integers, sizes and parameters are constant, and only the three innermost
dimensions may be larger than 1.
"""

import argparse
from pathlib import Path

from device.errors import StorageError
from tools.console import console
from tools.lab.edgetpu_rules import RULES
from tools.lab.tflite import Model, Operator, Tensor, read

_EIGHT_BIT = ("int8", "uint8")
_INNERMOST = 3


def run(options: argparse.Namespace) -> int:
    """Check each file; 0 when everything in all of them is on the Edge TPU's list."""
    failed = 0
    for file in options.files:
        problems = problems_of(_content(file), str(file))
        verdict = f"{len(problems)} not for the Edge TPU:" if problems else "all for the Edge TPU"
        console.print(f"{file}: {verdict}", markup=False)
        for problem in problems:
            console.print(f"  {problem}", markup=False)
        failed += bool(problems)
    return 1 if failed else 0


def problems_of(data: bytes, name: str = "the file") -> list[str]:
    """Return what keeps the Edge TPU from running all of a `.tflite` file, a line per operation.

    data: the file's bytes. Empty: everything is on the published list. Raises ModelError for bytes
    that are no TensorFlow Lite model, calling them `name`.
    """
    model = read(data, name)
    problems = []
    if model.subgraphs != 1:
        problems.append(f"the model has {model.subgraphs} subgraphs, one is supported")
    for number, operator in enumerate(model.operators):
        problems += [f"{number} {operator.name} {why}" for why in _why_not(model, operator)]
    return problems


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StorageError(f"{file} cannot be read ({error.strerror or error}).") from error


def _why_not(model: Model, operator: Operator) -> list[str]:
    """Return the reasons against one operation."""
    if operator.name not in RULES:
        return ["is no operation of the Edge TPU"]
    indices = [index for index in (*operator.inputs, *operator.outputs) if index >= 0]
    tensors = [model.tensors[index] for index in indices]
    found = [f'has "{t.name}", which {why}' for t in tensors if (why := _why_not_tensor(t))]
    if found:
        return found[:1]
    try:
        return [why for rule in RULES[operator.name] if (why := rule(model, operator))]
    except (IndexError, ValueError):
        return ["is damaged"]


def _why_not_tensor(tensor: Tensor) -> str | None:
    if tensor.dynamic:
        return "has a size that is not constant"
    if tensor.data is not None and tensor.dtype in {"int32", "int64"}:
        return None  # Biases, and the constants of reshapes, paddings and reductions.
    if tensor.data is None and any(side != 1 for side in tensor.shape[:-_INNERMOST]):
        return f"is {list(tensor.shape)}: only the three inner sides may be larger than 1"
    if tensor.dtype not in _EIGHT_BIT:
        return f"is {tensor.dtype}, not an 8-bit integer"
    return None if tensor.scales else "is not quantised"
