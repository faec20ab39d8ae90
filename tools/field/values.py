"""How a model's numbers follow from the tensors of a published file, step by step.

A `Value` is a small expression: a tensor of the published file, a recorded factor, or an
elementwise operation on other values. It is computed in float64, one IEEE 754 operation per element
and step, without NumPy's sums and products, whose order of additions differs between processors:
every machine gets the same bits. Values travel in recipes as JSON.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from device.errors import ModelError

Doubles = npt.NDArray[np.float64]
Tensors = Mapping[str, npt.NDArray[Any]]


class Value(Struct, frozen=True, array_like=True):
    """An expression.

    op: "source" and "factor" name a tensor of the published file and a recorded one; "number" is
    numbers[0]; "transpose" and "reshape" take numbers as axes and shape; "total" adds up, one after
    the other, what lies along axis numbers[0]; "negate" and "root" take
    one value, "add", "subtract", "multiply", "divide" two, which broadcast as in NumPy.
    """

    op: str
    inputs: "tuple[Value, ...]" = ()
    name: str = ""
    numbers: tuple[float, ...] = ()

    def __add__(self, other: "Value") -> "Value":
        return Value("add", (self, other))

    def __sub__(self, other: "Value") -> "Value":
        return Value("subtract", (self, other))

    def __mul__(self, other: "Value") -> "Value":
        return Value("multiply", (self, other))

    def __truediv__(self, other: "Value") -> "Value":
        return Value("divide", (self, other))

    def __neg__(self) -> "Value":
        return Value("negate", (self,))

    def root(self) -> "Value":
        """Return the square root."""
        return Value("root", (self,))

    def transpose(self, *axes: int) -> "Value":
        """Return the value with its axes in this order."""
        return Value("transpose", (self,), numbers=axes)

    def reshape(self, *shape: int) -> "Value":
        """Return the value in this shape; 0: as it is there, -1: whatever is left."""
        return Value("reshape", (self,), numbers=shape)

    def total(self, axis: int) -> "Value":
        """Return the sums along one axis, which disappears."""
        return Value("total", (self,), numbers=(axis,))


def source(name: str) -> Value:
    """Return the value that is a tensor of the published file."""
    return Value("source", name=name)


def factor(name: str) -> Value:
    """Return the value that is a recorded factor."""
    return Value("factor", name=name)


def number(value: float) -> Value:
    """Return the value that is one number."""
    return Value("number", numbers=(value,))


_ELEMENTWISE: dict[str, Callable[..., Doubles]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negate": np.negative,
    "root": np.sqrt,
}


def compute(value: Value, sources: Tensors, factors: Tensors) -> Doubles:
    """Return a value as a float64 array. Raises ModelError when it does not fit the tensors."""
    try:
        with np.errstate(all="ignore"):
            return _compute(value, sources, factors)
    except KeyError as error:
        raise ModelError(f"The published file has no tensor {error}.") from error
    except (ValueError, TypeError, RecursionError, IndexError) as error:
        raise ModelError(f"A tensor of the published file has another shape: {error}.") from error


def _compute(value: Value, sources: Tensors, factors: Tensors) -> Doubles:
    if value.op in {"source", "factor"}:
        named = sources if value.op == "source" else factors
        return named[value.name].astype(np.float64)
    if value.op == "number":
        return np.array(value.numbers[0], np.float64)
    given = [_compute(one, sources, factors) for one in value.inputs]
    if value.op in _ELEMENTWISE:
        return np.asarray(_ELEMENTWISE[value.op](*given), np.float64)
    return _rearranged(value, given[0])


def _rearranged(value: Value, given: Doubles) -> Doubles:
    whole = [int(one) for one in value.numbers]
    if value.op == "transpose":
        return given.transpose(whole)
    if value.op == "reshape":
        return given.reshape([n or given.shape[i] for i, n in enumerate(whole)])
    if value.op == "total":
        return _total(np.moveaxis(given, whole[0], 0))
    raise ValueError(f'"{value.op}" is no step')


def _total(parts: Doubles) -> Doubles:
    total = np.zeros(parts.shape[1:])
    for part in parts:
        total += part
    return total
