"""What is inside a `.tflite` file, read without any runtime: tensors, operators, constant bytes.

A TensorFlow Lite file is a FlatBuffer (https://flatbuffers.dev/internals) with the schema
tensorflow/compiler/mlir/lite/schema/schema.fbs. This reader knows the few fields that the static
checks and the recipes need, checks every offset against the file, and therefore takes any bytes:
what is no such file is one sentence.
"""

import struct
from dataclasses import dataclass, field

from device.errors import ModelError
from tools.lab.tflite_operators import OPERATORS

IDENTIFIER = b"TFL3"
_NAMES = """
float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64
resource variant uint32 uint16 int4
"""
_DTYPES = _NAMES.split()
_CUSTOM = 32
_MOST_TABLES, _MOST_ENDS, _MOST_CHANNELS = 20_000, 256, 65_536
"""No honest file has more; a hostile one would fill the memory by pointing at one place often."""


class MalformedError(ValueError):
    """The bytes are no FlatBuffer of this schema."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor.

    shape: its sides; dynamic: one of them is not known before the model runs. scales, zero_points:
    of the quantisation, one or one per channel of dimension `axis`, empty without. data: start and
    end of its constant bytes in the file, None for what is computed. scales_at: where the float32
    scales begin in the file.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    dynamic: bool
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    data: tuple[int, int] | None
    scales_at: int


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: its name in the schema, tensors by index (-1: left out), and its options."""

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: "Table | None" = field(repr=False)

    def option(self, number: int, layout: str, default: int = 0) -> int:
        """Return a whole-number field of the options by its number in the schema."""
        return self.options.scalar(number, layout, default) if self.options else default


@dataclass(frozen=True, slots=True)
class Model:
    """One file with its first subgraph; subgraphs counts them all, data: the file's bytes."""

    data: bytes = field(repr=False)
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int

    def numbers(self, index: int) -> tuple[int, ...]:
        """Return a constant int32 tensor's values, flat; empty for any other tensor."""
        tensor = self.tensors[index]
        if tensor.data is None or tensor.dtype != "int32":
            return ()
        start, end = tensor.data
        return struct.unpack_from(f"<{(end - start) // 4}i", self.data, start)


@dataclass(frozen=True, slots=True)
class Table:
    """A FlatBuffer table at byte `at` of `data`."""

    data: bytes
    at: int

    def _place(self, number: int) -> int:
        """Return where field `number` lies, or 0 when it is absent."""
        vtable = self.at - _scalar(self.data, self.at, "<i")
        slot = 4 + 2 * number
        if slot >= _scalar(self.data, vtable, "<H"):
            return 0
        offset = _scalar(self.data, vtable + slot, "<H")
        return self.at + offset if offset else 0

    def scalar(self, number: int, layout: str, default: int = 0) -> int:
        """Return a whole number; layout: a `struct` code such as "<i"."""
        place = self._place(number)
        return _scalar(self.data, place, layout) if place else default

    def table(self, number: int) -> "Table | None":
        """Return the table that a field points to."""
        place = self._place(number)
        return Table(self.data, place + _scalar(self.data, place, "<I")) if place else None

    def span(self, number: int, size: int) -> tuple[int, int]:
        """Return first byte and length of a vector of elements of `size` bytes; (0, 0) if absent.

        Raises MalformedError when it goes beyond the file.
        """
        place = self._place(number)
        if not place:
            return 0, 0
        start = place + _scalar(self.data, place, "<I")
        length = _scalar(self.data, start, "<I")
        if start + 4 + length * size > len(self.data):
            raise MalformedError
        return start + 4, length

    def values(self, number: int, code: str, most: int = _MOST_ENDS) -> tuple[int, ...]:
        """Return a vector of at most `most` numbers; code: a `struct` letter."""
        start, length = self.span(number, struct.calcsize(f"<{code}"))
        if length > most:
            raise MalformedError
        return struct.unpack_from(f"<{length}{code}", self.data, start)

    def tables(self, number: int) -> "tuple[Table, ...]":
        """Return a vector of tables."""
        start, length = self.span(number, 4)
        if length > _MOST_TABLES:
            raise MalformedError
        places = range(start, start + 4 * length, 4)
        return tuple(Table(self.data, at + _scalar(self.data, at, "<I")) for at in places)

    def text(self, number: int) -> str:
        """Return a string."""
        start, length = self.span(number, 1)
        return self.data[start : start + length].decode("utf-8", "backslashreplace")


def _scalar(data: bytes, at: int, layout: str) -> int:
    if at < 0 or at + struct.calcsize(layout) > len(data):
        raise MalformedError
    (value,) = struct.unpack_from(layout, data, at)
    return int(value)


def read(data: bytes, name: str = "the file") -> Model:
    """Read a TensorFlow Lite file. Raises ModelError for anything else, with its `name`."""
    try:
        return _model(_root(data))
    except (MalformedError, IndexError, RecursionError) as error:
        raise ModelError(
            f"{name} is no TensorFlow Lite model, or a damaged one: give a .tflite file."
        ) from error


def _root(data: bytes) -> Table:
    if data[4:8] != IDENTIFIER:
        raise MalformedError
    return Table(data, _scalar(data, 0, "<I"))


def _model(root: Table) -> Model:
    codes = [_operator_code(table) for table in root.tables(1)]
    buffers = [table.span(0, 1) for table in root.tables(4)]
    subgraphs = root.tables(2)
    graph = subgraphs[0]
    tensors = tuple(_tensor(i, t, buffers) for i, t in enumerate(graph.tables(0)))
    model = Model(
        data=root.data,
        tensors=tensors,
        operators=tuple(_operator(table, codes) for table in graph.tables(3)),
        inputs=graph.values(1, "i"),
        outputs=graph.values(2, "i"),
        subgraphs=len(subgraphs),
    )
    ends = [*model.inputs, *model.outputs]
    used = [i for operator in model.operators for i in (*operator.inputs, *operator.outputs)]
    if not ends or any(not -1 <= i < len(tensors) for i in used + ends) or min(ends) < 0:
        raise MalformedError
    return model


def _operator_code(table: Table) -> tuple[str, int]:
    """Return name and version; codes under 127 stand in the older, one-byte field too."""
    code = max(table.scalar(0, "<b"), table.scalar(3, "<i"))
    if code == _CUSTOM:
        return f"CUSTOM ({table.text(1)})", table.scalar(2, "<i", 1)
    known = 0 <= code < len(OPERATORS)
    return OPERATORS[code] if known else f"operator {code}", table.scalar(2, "<i", 1)


def _operator(table: Table, codes: list[tuple[str, int]]) -> Operator:
    name, version = codes[table.scalar(0, "<I")]
    return Operator(name, version, table.values(1, "i"), table.values(2, "i"), table.table(4))


def _tensor(index: int, table: Table, buffers: list[tuple[int, int]]) -> Tensor:
    kind = table.scalar(1, "<b")
    start, length = buffers[table.scalar(2, "<I")]
    quantised = table.table(4)
    scales_at = quantised.span(2, 4)[0] if quantised else 0
    return Tensor(
        index=index,
        name=table.text(3),
        dtype=_DTYPES[kind] if 0 <= kind < len(_DTYPES) else f"type {kind}",
        shape=table.values(0, "i"),
        dynamic=-1 in table.values(7, "i") or -1 in table.values(0, "i"),
        scales=quantised.values(2, "f", _MOST_CHANNELS) if quantised else (),
        zero_points=quantised.values(3, "q", _MOST_CHANNELS) if quantised else (),
        axis=quantised.scalar(6, "<i") if quantised else 0,
        data=(start, start + length) if length else None,
        scales_at=scales_at,
    )
