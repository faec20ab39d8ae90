"""The interpreter, whichever it is: tflite-runtime, LiteRT, with or without the Edge TPU.

tflite-runtime serves Python 3.11 on Arm (and the Coral), ai-edge-litert, its successor with the
same API, everything else. An import proves nothing: with NumPy 2 tflite-runtime imports well and
fails at the first `Interpreter()`, so a runtime counts only when it has opened the model.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device.allocator import Range, in_pages_of_their_own
from device.capture.frame import Pixels
from device.errors import ModelError
from device.vision.scratch import Scratch, find

Floats = npt.NDArray[np.float32]

_RUNTIMES = (
    ("tflite_runtime.interpreter", "tflite-runtime"),
    ("ai_edge_litert.interpreter", "ai-edge-litert"),
)
_EDGE_TPU_LIBRARY = "libedgetpu.so.1"


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """What runs a model; goes into the status so that a fallback is never silent."""

    name: str
    version: str
    delegate: str
    threads: int
    note: str = ""

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        text = f"{self.name} {self.version}, {self.delegate}, {threads}"
        return f"{text} ({self.note})" if self.note else text


class Network:
    """One loaded model with one image input.

    Not thread-safe: one thread owns it. No view of a tensor is held across `invoke`.
    """

    def __init__(self, interpreter: Any, runtime: RuntimeInfo) -> None:  # noqa: ANN401 - no stubs
        self.runtime = runtime
        self._interpreter = interpreter
        (self._input,) = interpreter.get_input_details()
        self._outputs = interpreter.get_output_details()
        self._scratch: Scratch | None = None
        self._computed = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input, (1, height, width, 3)."""
        return tuple(int(side) for side in self._input["shape"])

    @property
    def input_dtype(self) -> str:
        """NumPy name of the input's type."""
        return str(np.dtype(self._input["dtype"]))

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the outputs, in the model's own order."""
        return [tuple(int(side) for side in output["shape"]) for output in self._outputs]

    def run(self, image: Pixels) -> list[Floats]:
        """Run the model on one image (height, width, 3) uint8; return its outputs as float32.

        The input and output tensors are wiped before this returns or raises (R13).
        """
        tensor = self._interpreter.tensor(self._input["index"])
        self._computed = True
        try:
            tensor()[0] = image
            self._interpreter.invoke()
            return [self._read(output) for output in self._outputs]
        finally:
            self._wipe_ends()

    def wipe(self) -> None:
        """Overwrite what the interpreter computed in between; once per frame is enough (R13)."""
        if not self._computed:
            return
        if self._scratch is not None:
            self._scratch.wipe()
        else:
            # The input is black already.
            self._interpreter.invoke()
            self._wipe_ends()
        self._computed = False

    @property
    def wiped(self) -> bool:
        """True when nothing that was computed from a picture is left in the interpreter."""
        return not self._computed and (self._scratch is None or self._scratch.wiped)

    @property
    def scratch_bytes(self) -> int | None:
        """How much memory `wipe` overwrites; None where it computes on a black picture instead."""
        return None if self._scratch is None else self._scratch.size

    def find_scratch(self, taken: list[Range]) -> None:
        """Learn where the interpreter computes. taken: the memory that its opening took."""
        shape, kind = self.input_shape, self._input["dtype"]

        def compute(seed: int) -> list[bytes]:
            drawn = np.random.default_rng(seed).integers(0, 128, shape)
            self._interpreter.tensor(self._input["index"])()[...] = drawn.astype(kind)
            self._interpreter.invoke()
            found = [self._interpreter.tensor(one["index"])().tobytes() for one in self._outputs]
            self._wipe_ends()
            return found

        self._scratch = find(taken, compute, self._ends())
        self._computed = True
        self.wipe()

    def _ends(self) -> list[int]:
        """Return the addresses of the input and of the outputs."""
        ends = (self._input, *self._outputs)
        return [int(self._interpreter.tensor(end["index"])().ctypes.data) for end in ends]

    def _wipe_ends(self) -> None:
        self._interpreter.tensor(self._input["index"])().fill(0)
        for output in self._outputs:
            self._interpreter.tensor(output["index"])().fill(0)

    def _read(self, output: dict[str, Any]) -> Floats:
        raw = self._interpreter.tensor(output["index"])()
        return _dequantised(raw, output["quantization"])


def _dequantised(raw: npt.NDArray[Any], quantization: tuple[float, int]) -> Floats:
    """Return scale * (stored - zero point): TensorFlow Lite 8-bit quantisation specification."""
    scale, zero = quantization
    values = raw.astype(np.float32)
    if scale:
        values -= zero
        values *= scale
    return values


def open_network(file: Path, threads: int, edge_tpu_file: Path | None = None) -> Network:
    """Open a TensorFlow Lite file, on the Edge TPU when `edge_tpu_file` and a Coral are there.

    Raises ModelError when no runtime can open it, with the reason of each.
    """
    reasons: list[str] = []
    for module_name, package in _RUNTIMES:
        try:
            module = import_module(module_name)
        except ImportError as error:
            if not _absent(error, module_name):
                reasons.append(f"{package}: {error}")
            continue
        try:
            return _opened(module, package, file, threads, edge_tpu_file)
        except Exception as error:  # noqa: BLE001 - each runtime fails in its own way
            reasons.append(f"{package} with NumPy {np.__version__}: {error}")
    if not reasons:
        reasons.append("neither tflite-runtime nor ai-edge-litert is installed; run `make venv`")
    msg = f"No interpreter can open {file.name}: {'; '.join(reasons)}."
    raise ModelError(msg)


def _absent(error: ImportError, module_name: str) -> bool:
    return isinstance(error, ModuleNotFoundError) and (error.name or "") in (
        module_name,
        module_name.partition(".")[0],
    )


def _opened(
    module: Any,  # noqa: ANN401 - two modules of the same shape
    package: str,
    file: Path,
    threads: int,
    edge_tpu_file: Path | None,
) -> Network:
    version = metadata.version(package)
    note = ""
    if edge_tpu_file is not None:
        try:
            delegate = module.load_delegate(_EDGE_TPU_LIBRARY)
            with quiet_native_notices():
                interpreter = module.Interpreter(
                    model_path=str(edge_tpu_file), experimental_delegates=[delegate]
                )
                interpreter.allocate_tensors()
            return Network(interpreter, RuntimeInfo(package, version, "Edge TPU", threads))
        except (OSError, ValueError, RuntimeError) as error:
            note = f"no Edge TPU: {error}"

    def opened() -> Any:  # noqa: ANN401 - no stubs
        interpreter = module.Interpreter(model_path=str(file), num_threads=threads)
        interpreter.allocate_tensors()
        # Some of its memory is taken only now.
        interpreter.invoke()
        return interpreter

    with quiet_native_notices():
        apart = in_pages_of_their_own(opened)
    network = Network(apart.result, RuntimeInfo(package, version, "CPU", threads, note))
    network.find_scratch(apart.taken)
    return network


@contextlib.contextmanager
def quiet_native_notices() -> Iterator[None]:
    """Keep the native library's INFO lines off standard error; pass on everything else."""
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    # In memory: nothing is written outside the state directory, and not there either.
    caught = os.memfd_create("notices")
    os.dup2(caught, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        said = os.pread(caught, os.fstat(caught).st_size, 0)
        os.close(caught)
        for line in said.splitlines(keepends=True):
            if not line.startswith((b"INFO:", b"VERBOSE:")) and line.strip():
                os.write(2, line)
