"""The wire format of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/)."""

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Field = int | bytes
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_MOST_BITS = 70


def fields(data: bytes) -> Iterator[tuple[int, Field]]:
    """Yield number and content of each field: a whole number, or its bytes.

    Raises ValueError at the first byte that is no field.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in {_EIGHT, _FOUR}:
            size = 8 if kind == _EIGHT else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(data):
            raise ValueError("a field goes beyond the end")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _MOST_BITS, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, at
    raise ValueError("a number goes beyond the end")


def grouped(data: bytes) -> dict[int, list[Field]]:
    """Return all fields of a message by their number, in order."""
    found: dict[int, list[Field]] = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def messages(found: dict[int, list[Field]], number: int) -> list[bytes]:
    """Return the fields of one number that hold bytes: messages, texts, packed numbers."""
    return [value for value in found.get(number, []) if isinstance(value, bytes)]


def text(found: dict[int, list[Field]], number: int) -> str:
    """Return a text field, empty when it is absent."""
    return next(iter(messages(found, number)), b"").decode("utf-8")


def whole(found: dict[int, list[Field]], number: int) -> list[int]:
    """Return a repeated int64, packed or not."""
    values: list[int] = []
    for value in found.get(number, []):
        if isinstance(value, int):
            values.append(value)
            continue
        at = 0
        while at < len(value):
            one, at = _varint(value, at)
            values.append(one)
    return [value - 2**64 if value >= 2**63 else value for value in values]


def floats(found: dict[int, list[Field]], number: int) -> npt.NDArray[np.float32]:
    """Return a repeated float, packed or not."""
    return np.frombuffer(b"".join(messages(found, number)), "<f4")


def single(found: dict[int, list[Field]], number: int, default: float = 0.0) -> float:
    """Return one float."""
    given = messages(found, number)
    return float(struct.unpack("<f", given[0])[0]) if given else default
