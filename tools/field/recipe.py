"""Recipes: a conversion that was made once, to be repeated on the published weights anywhere.

A recipe holds the finished `.tflite` file with the bytes of all weights taken out, and for each gap
how to compute it from the tensors of the published file: elementwise steps, then the scales that
stand in the file. It holds no weight of anybody's. Applying one takes NumPy and seconds; the result
has one SHA-256 on every machine, which the catalogue names.
"""

import base64
import binascii
import hashlib
import zlib
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct

from device.errors import ModelError
from tools.field.quantised import stored
from tools.field.upstream import read_tensors
from tools.field.values import Tensors, Value, compute

KEPT = "<f2"
"""The type in which a recipe keeps its factors."""
_MOST_BYTES = 1 << 28
_Count = Annotated[int, Meta(ge=0, le=_MOST_BYTES)]


class Published(Struct, frozen=True, forbid_unknown_fields=True):
    """The file that holds the weights: its name, its hash, and its format (`upstream.READERS`)."""

    file: str
    sha256: str
    format: str


class Gap(Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes of the result that come from the published file.

    start: first byte. shape, dtype: of the array that lies there. value: what it holds. scales:
    first byte of its float32 scales, one or one per element of `axis`; left out for floats.
    """

    start: _Count
    shape: tuple[_Count, ...]
    dtype: str
    value: Value
    scales: _Count = 0
    axis: int = 0


class Recipe(Struct, frozen=True, forbid_unknown_fields=True):
    """One conversion.

    template: the result with zeros in the gaps, zlib, base64. factors: what the conversion
    computed, as KEPT, packed as the template, by name.
    """

    published: Published
    factors: dict[str, str]
    gaps: list[Gap]
    template: str


def pack(data: bytes) -> str:
    """Return bytes as a recipe's JSON holds them."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


def unpack(text: str) -> bytes:
    """Return what `pack` was given. Raises ValueError for anything else."""
    stream = zlib.decompressobj()
    data = stream.decompress(base64.b64decode(text, validate=True), _MOST_BYTES)
    if not stream.eof:
        raise ValueError("the data is incomplete")
    return data


def encode(recipe: Recipe) -> bytes:
    """Return the JSON of a recipe, a line for each gap, so that people can read what it does."""
    whole = msgspec.json.encode(msgspec.structs.replace(recipe, gaps=[]))
    start, end = whole.split(b'"gaps":[]')
    gaps = b",\n".join(map(msgspec.json.encode, recipe.gaps))
    return start + b'"gaps":[\n' + gaps + b"\n]" + end + b"\n"


def read_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises ModelError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recipe)
    except OSError as error:
        raise ModelError(f"The recipe {path} cannot be read ({error.strerror}).") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelError(f"{path} is no recipe: {error}.") from error


def apply(recipe: Recipe, data: bytes) -> bytes:
    """Return the model; data: the published file. Raises ModelError for any other file."""
    published = recipe.published
    actual = hashlib.sha256(data).hexdigest()
    if actual != published.sha256:
        raise ModelError(
            f"{published.file} is not the published file that the recipe was made for: SHA-256 "
            f"{actual[:16]}…, expected {published.sha256[:16]}…."
        )
    sources = read_tensors(published.format, data, published.file)
    try:
        factors = {name: np.frombuffer(unpack(one), KEPT) for name, one in recipe.factors.items()}
        result = bytearray(unpack(recipe.template))
    except (ValueError, binascii.Error, zlib.error) as error:
        raise ModelError(f"The recipe for {published.file} is damaged ({error}).") from error
    for gap in recipe.gaps:
        content = filling(gap, result, sources, factors).tobytes()
        if gap.start + len(content) > len(result):
            raise ModelError(f"The recipe for {published.file} is damaged: a gap is too long.")
        result[gap.start : gap.start + len(content)] = content
    return bytes(result)


def filling(
    gap: Gap, result: bytes | bytearray, sources: Tensors, factors: Tensors
) -> npt.NDArray[np.generic]:
    """Return the array that belongs into a gap, little-endian. Raises ModelError."""
    values = compute(gap.value, sources, factors)
    try:
        values = np.broadcast_to(values, gap.shape)
        channels = gap.shape[gap.axis] if gap.scales else 0
        scales = np.frombuffer(result, "<f4", channels, gap.scales) if channels else np.ones(1)
    except (ValueError, IndexError) as error:
        raise ModelError(f"A recipe does not fit its published file: {error}.") from error
    whole = stored(values, gap.dtype, scales.astype(np.float32), gap.axis if channels else 0)
    return whole.astype(whole.dtype.newbyteorder("<"))
