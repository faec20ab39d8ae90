"""Writing FlatBuffers (https://flatbuffers.dev/internals) without any library.

A table is a dict from field number to `Scalar`, `Vector`, text, a table, or a list of tables. The
bytes depend on nothing but the argument, so that a model written twice has one SHA-256.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number; layout: its `struct` code without byte order."""

    layout: str
    value: int | float


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector of numbers in the array's own type; align: of its first byte in the file."""

    values: npt.NDArray[np.generic]
    align: int = 4


Table = Mapping[int, "Scalar | Vector | str | Table | Sequence[Table]"]
_OFFSET = Scalar("I", 0)


def serialise(root: Table, identifier: bytes) -> bytes:
    """Return the file of one root table; identifier: its four letters."""
    out = bytearray(struct.pack("<I", 0) + identifier)
    _point(out, 0, _write_table(out, root))
    _align(out, 4)
    return bytes(out)


def _align(out: bytearray, size: int, ahead: int = 0) -> None:
    """Fill up until what follows after `ahead` more bytes begins at a multiple of `size`."""
    out.extend(bytes(-(len(out) + ahead) % size))


def _point(out: bytearray, place: int, target: int) -> None:
    """Write at `place` the offset to `target`; targets always lie further on."""
    struct.pack_into("<I", out, place, target - place)


def _write_table(out: bytearray, table: Table) -> int:
    """Append a table's vtable, the table and what it points to; return where the table begins."""
    inline = {n: v if isinstance(v, Scalar) else _OFFSET for n, v in sorted(table.items())}
    slots = max(inline, default=-1) + 1
    vtable_size = 4 + 2 * slots
    _align(out, 8, ahead=vtable_size)
    vtable, start = len(out), len(out) + vtable_size
    places, end = {}, 4
    for number, value in inline.items():
        size = struct.calcsize(f"<{value.layout}")
        end += -end % size
        places[number] = end
        end += size
    offsets = [places.get(number, 0) for number in range(slots)]
    out += struct.pack(f"<{2 + slots}H", vtable_size, end, *offsets)
    out += struct.pack("<i", start - vtable) + bytes(end - 4)
    for number, value in inline.items():
        struct.pack_into(f"<{value.layout}", out, start + places[number], value.value)
    for number, child in sorted(table.items()):
        if not isinstance(child, Scalar):
            _point(out, start + places[number], _write_child(out, child))
    return start


def _write_child(out: bytearray, child: "Vector | str | Table | Sequence[Table]") -> int:
    if isinstance(child, str):
        return _write_vector(out, np.frombuffer(child.encode() + b"\0", np.uint8), 4, 1)
    if isinstance(child, Vector):
        return _write_vector(out, child.values, max(child.align, child.values.itemsize), 0)
    if isinstance(child, Mapping):
        return _write_table(out, child)
    start = _write_vector(out, np.zeros(len(child), np.uint32), 4, 0)
    for number, table in enumerate(child):
        _point(out, start + 4 + 4 * number, _write_table(out, table))
    return start


def _write_vector(
    out: bytearray, values: npt.NDArray[np.generic], align: int, uncounted: int
) -> int:
    """Append length and elements; uncounted: elements at the end that the length leaves out."""
    _align(out, max(align, 4), ahead=4)
    start = len(out)
    out += struct.pack("<I", values.size - uncounted)
    out += np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    return start
