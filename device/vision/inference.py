"""The interpreter, whichever runtime it is of, with or without the Edge TPU: it runs, it is wiped.

Which runtimes there are: `device.vision.runtimes`.
"""

import contextlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device.allocator import Range, in_pages_of_their_own
from device.capture.frame import Pixels
from device.vision.noise import noise
from device.vision.notices import quiet_native_notices
from device.vision.output import Output
from device.vision.runtimes import RuntimeInfo, by_any_runtime
from device.vision.scratch import Scratch, find

Floats = npt.NDArray[np.float32]

_EDGE_TPU_LIBRARY = "libedgetpu.so.1"


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
        self._known_wiped = False

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
        with self.outputs(image) as outputs:
            return [output.all() for output in outputs]

    @contextlib.contextmanager
    def outputs(self, image: Pixels) -> Iterator[list[Output]]:
        """Run the model likewise; yield its outputs as they are stored, until the block ends.

        Then, also when it fails, the input and output tensors are wiped.
        """
        tensor = self._interpreter.tensor(self._input["index"])
        self._computed = True
        self._known_wiped = False
        outputs: list[Output] = []
        try:
            tensor()[0] = image
            self._interpreter.invoke()
            for each in self._outputs:
                stored = self._interpreter.tensor(each["index"])()
                outputs.append(Output(stored, each["quantization"]))
            yield outputs
        finally:
            for output in outputs:
                output.close()
            self._wipe_ends()

    def wipe(self) -> bool:
        """Overwrite what the interpreter computed in between; once per frame is enough (R13).

        Returns whether it had computed anything.
        """
        if not self._computed:
            return False
        if self._scratch is not None:
            self._scratch.wipe()
        else:
            # The input is black already.
            self._interpreter.invoke()
            self._wipe_ends()
        self._computed = False
        return True

    @property
    def wiped(self) -> bool:
        """True when nothing that was computed from a picture is left in the interpreter.

        Its memory is looked at once after it computed, not again in every frame without work.
        """
        if not self._known_wiped:
            clean = self._scratch is None or self._scratch.wiped
            self._known_wiped = not self._computed and clean
        return self._known_wiped

    @property
    def scratch_bytes(self) -> int | None:
        """How much memory `wipe` overwrites; None where it computes on a black picture instead."""
        return None if self._scratch is None else self._scratch.size

    def find_scratch(self, taken: list[Range]) -> None:
        """Learn where the interpreter computes. taken: the memory that its opening took."""
        shape, kind = self.input_shape, self._input["dtype"]

        def compute(seed: int) -> list[bytes]:
            # Half of the range: a model of int8 has no more above zero.
            drawn = noise(seed, *shape) >> 1
            self._interpreter.tensor(self._input["index"])()[...] = drawn.astype(kind)
            self._interpreter.invoke()
            found = [self._interpreter.tensor(one["index"])().tobytes() for one in self._outputs]
            self._wipe_ends()
            return found

        self._scratch = find(taken, compute, self._ends())
        self._computed, self._known_wiped = True, False
        self.wipe()

    def _ends(self) -> list[int]:
        """Return the addresses of the input and of the outputs."""
        ends = (self._input, *self._outputs)
        return [int(self._interpreter.tensor(end["index"])().ctypes.data) for end in ends]

    def _wipe_ends(self) -> None:
        self._interpreter.tensor(self._input["index"])().fill(0)
        for output in self._outputs:
            self._interpreter.tensor(output["index"])().fill(0)


def open_network(file: Path, threads: int, edge_tpu_file: Path | None = None) -> Network:
    """Open a TensorFlow Lite file, on the Edge TPU when `edge_tpu_file` and a Coral are there.

    Raises ModelError when no runtime can open it, with the reason of each.
    """
    return by_any_runtime(
        file, lambda module, package: _opened(module, package, file, threads, edge_tpu_file)
    )


def open_bare(file: Path, threads: int) -> Network:
    """Open a file on the CPU without looking for its scratch memory, which takes ten passes.

    For measurements: `wipe` costs a pass, so no frame of a camera belongs in it. Raises ModelError.
    """

    def bare(module: Any, package: str) -> Network:  # noqa: ANN401 - two modules of the same shape
        with quiet_native_notices():
            interpreter = _interpreter(module, file, threads)
        return Network(interpreter, RuntimeInfo(package, metadata.version(package), "CPU", threads))

    return by_any_runtime(file, bare)


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

    with quiet_native_notices():
        apart = in_pages_of_their_own(lambda: _interpreter(module, file, threads))
    network = Network(apart.result, RuntimeInfo(package, version, "CPU", threads, note))
    network.find_scratch(apart.taken)
    return network


def _interpreter(module: Any, file: Path, threads: int) -> Any:  # noqa: ANN401 - no stubs
    interpreter = module.Interpreter(model_path=str(file), num_threads=threads)
    interpreter.allocate_tensors()
    # Some of its memory is taken only now.
    interpreter.invoke()
    return interpreter
