"""A network in ncnn."""

import tempfile
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

from device.capture.frame import Pixels
from device.errors import ModelError
from device.vision.inference import Floats
from tools.lab.bench.peers.ncnn_writer import NcnnModel


class NcnnNetwork:
    """One network in ncnn, one thread, its defaults otherwise (16 bits where the processor can).

    One process and one thread own it. Raises ModelError when ncnn cannot read the model.
    """

    def __init__(self, model: NcnnModel, size: tuple[int, int], *, rgb: bool = False) -> None:
        """size: height and width of the input. rgb: whether it takes red first."""
        self._ncnn: Any = import_module("ncnn")
        self._net = self._ncnn.Net()
        self._net.opt.num_threads = 1
        self._model, self.size = model, size
        mat = self._ncnn.Mat.PixelType
        self._order = mat.PIXEL_BGR2RGB if rgb else mat.PIXEL_BGR
        self._mean: list[float] = []
        self._scale: list[float] = []
        self._load(model)

    def _load(self, model: NcnnModel) -> None:
        # Its Python takes weights from files only.
        with tempfile.TemporaryDirectory() as folder:
            param, weights = Path(folder) / "model.param", Path(folder) / "model.bin"
            param.write_text(model.param, "ascii")
            weights.write_bytes(model.weights)
            if self._net.load_param(str(param)) or self._net.load_model(str(weights)):
                raise ModelError("ncnn cannot read the network.")

    def normalise(self, mean: float, scale: float) -> None:
        """From now on take (pixel - mean) * scale."""
        self._mean, self._scale = [mean] * 3, [scale] * 3

    def run(self, image: Pixels) -> list[Floats]:
        """Run on (height, width, 3) uint8 BGR; return the outputs as float32 with a leading 1."""
        height, width = self.size
        mat = self._ncnn.Mat.from_pixels(image, self._order, width, height)
        if self._scale:
            mat.substract_mean_normalize(self._mean, self._scale)
        extractor = self._net.create_extractor()
        extractor.input(self._model.input, mat)
        outputs = []
        for name in self._model.outputs:
            failed, found = extractor.extract(name)
            if failed:
                raise ModelError(f"ncnn cannot compute the network's output {name}.")
            outputs.append(np.array(found, np.float32)[None])
        return outputs


def version() -> str:
    """Return ncnn's version."""
    return metadata.version("ncnn")
