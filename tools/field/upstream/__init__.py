"""The tensors of published model files, read with NumPy alone.

No graph is built and nothing in a file is executed: a recipe knows the graph. Whatever is wrong
with a file is one `ModelError`. The graphs' own readers, in `tools.lab.convert`, start from these.
"""

from collections.abc import Callable

from device.errors import ModelError
from tools.field.upstream import graphdef, onnx, openvino, torch_checkpoint
from tools.field.values import Tensors

READERS: dict[str, Callable[[bytes], Tensors]] = {
    "onnx": onnx.tensors,
    "openvino-bin": openvino.tensors,
    "tensorflow-graphdef": graphdef.tensors,
    "torch-checkpoint": torch_checkpoint.tensors,
}
"""A reader for each format, from the file's bytes to its tensors by name."""


def read_tensors(kind: str, data: bytes, name: str) -> Tensors:
    """Return a published file's tensors; name: the file's, for the sentence when it is damaged.

    Raises ModelError for a format that is not in READERS, and for bytes that are not in it.
    """
    if kind not in READERS:
        raise ModelError(f"No reader for {kind}; there are: {', '.join(READERS)}.")
    try:
        return READERS[kind](data)
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, MemoryError) as error:
        raise ModelError(f"{name} is damaged, or no {kind} file.") from error
