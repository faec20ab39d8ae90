"""What a float network's tensors hold on real pictures: their ranges and means."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from device.errors import ModelError
from device.vision.inference import quiet_native_notices

Pictures = Iterable[npt.NDArray[np.uint8]]
_RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


@dataclass(slots=True)
class Statistics:
    """Of one tensor over all pictures: lowest and highest value of each channel, their mean."""

    lows: npt.NDArray[np.float64]
    highs: npt.NDArray[np.float64]
    means: npt.NDArray[np.float64]

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value."""
        return float(self.lows.min()), float(self.highs.max())


class Runner:
    """A `.tflite` file in memory, run on pictures; returns every output by its tensor's name."""

    def __init__(self, data: bytes, threads: int = 1) -> None:
        interpreter = _interpreter()
        with quiet_native_notices():
            self._interpreter = interpreter(model_content=data, num_threads=threads)
            self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()

    def run(self, picture: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
        """Run on (height, width, 3) uint8; outputs as real numbers, float32."""
        pixels = picture[None].astype(self._input["dtype"])
        self._interpreter.set_tensor(self._input["index"], pixels)
        self._interpreter.invoke()
        return {output["name"]: self._real(output) for output in self._outputs}

    def _real(self, output: dict[str, Any]) -> npt.NDArray[np.float32]:
        stored = self._interpreter.get_tensor(output["index"]).astype(np.float32)
        scale, zero = output["quantization"]
        real: npt.NDArray[np.float32] = (stored - zero) * np.float32(scale) if scale else stored
        return real


def _interpreter() -> Any:  # noqa: ANN401 - two classes of the same shape, without stubs
    for name in _RUNTIMES:
        try:
            return import_module(name).Interpreter
        except ImportError:
            continue
    raise ModelError("Neither ai-edge-litert nor tflite-runtime is installed; run `make venv`.")


def observe(
    data: bytes, pictures: Pictures, progress: Callable[[], None] = lambda: None
) -> Mapping[str, Statistics]:
    """Run a float file whose outputs are all its tensors; return what each of them held.

    progress is called after every picture. Raises ModelError without any picture.
    """
    runner = Runner(data)
    found: dict[str, Statistics] = {}
    count = 0
    for picture in pictures:
        count += 1
        for name, values in runner.run(picture).items():
            rows = values.reshape(-1, values.shape[-1])
            low, high, mean = rows.min(0), rows.max(0), rows.mean(0, dtype=np.float64)
            if name not in found:
                found[name] = Statistics(*(v.astype(np.float64) for v in (low, high, mean)))
                continue
            known = found[name]
            known.lows = np.minimum(known.lows, low)
            known.highs = np.maximum(known.highs, high)
            known.means += (mean - known.means) / count
        progress()
    if not count:
        raise ModelError("There are no pictures to calibrate on.")
    return found
