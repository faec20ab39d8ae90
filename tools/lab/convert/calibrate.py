"""What a float network's tensors hold on real pictures: their ranges and means."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from device.errors import ModelError
from device.vision.notices import quiet_native_notices
from tools.field.values import Doubles

Pictures = Iterable[npt.NDArray[np.uint8]]
_RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


@dataclass(slots=True)
class Statistics:
    """Of one tensor over all pictures, float64: each channel's lowest, highest and mean value.

    extremes: lowest and highest value of the whole tensor in each picture.
    """

    lows: Doubles
    highs: Doubles
    means: Doubles
    extremes: list[tuple[float, float]]

    def range(self, share: float = 1.0) -> tuple[float, float]:
        """Return the range that holds all values of this share of the pictures, each end."""
        lows, highs = np.array(self.extremes).T
        return float(np.quantile(lows, 1 - share)), float(np.quantile(highs, share))

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """Take in one more picture's values, (…, channels)."""
        rows = values.reshape(-1, values.shape[-1])
        low, high, mean = rows.min(0), rows.max(0), rows.mean(0, dtype=np.float64)
        self.lows, self.highs = np.minimum(self.lows, low), np.maximum(self.highs, high)
        self.extremes.append((float(low.min()), float(high.max())))
        self.means += (mean - self.means) / len(self.extremes)


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
    for picture in pictures:
        for name, values in runner.run(picture).items():
            if name not in found:
                channels = values.shape[-1]
                nothing = np.full(channels, np.inf), np.full(channels, -np.inf)
                found[name] = Statistics(*nothing, np.zeros(channels), [])
            found[name].add(values)
        progress()
    if not found:
        raise ModelError("There are no pictures to calibrate on.")
    return found
