"""OpenVINO on the processor: the networks of the loop as they were published."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from device.capture.frame import Pixels
from device.vision.inference import Floats
from tools.lab.bench.contestant import Setup, needed
from tools.lab.bench.peers import published
from tools.lab.bench.peers.loop import DETECTOR_SIZE, EveryFrame, Parts, embedder, yunet

_OMZ_SIDE = 128
_CONFIGURATION = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "PERFORMANCE_HINT": "LATENCY",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
}


class OpenVinoNetwork:
    """One network, one thread."""

    def __init__(self, file: Path, size: tuple[int, int], precision: str = "") -> None:
        """size: height and width of the input. precision: as OpenVINO calls it, "": its own choice.

        Raises AbsentError when the file is not there.
        """
        openvino: Any = import_module("openvino")
        core = openvino.Core()
        model = core.read_model(str(needed(file)))
        model.reshape([1, 3, *size])
        # Pixels go in as the camera gives them; the conversion is part of the network then.
        steps = openvino.preprocess.PrePostProcessor(model)
        steps.input().tensor().set_element_type(openvino.Type.u8)
        steps.input().tensor().set_layout(openvino.Layout("NHWC"))
        steps.input().model().set_layout(openvino.Layout("NCHW"))
        chosen = {"INFERENCE_PRECISION_HINT": precision} if precision else {}
        self._compiled = core.compile_model(steps.build(), "CPU", _CONFIGURATION | chosen)
        self._request = self._compiled.create_infer_request()
        self.size = size
        self.version = str(openvino.get_version()).partition("-")[0]

    @property
    def precision(self) -> str:
        """What it computes in on this processor."""
        hint = self._compiled.get_property("INFERENCE_PRECISION_HINT")
        return str(hint.get_type_name())

    def run(self, image: Pixels) -> list[Floats]:
        """Run on (height, width, 3) uint8 BGR; return the outputs as float32."""
        found = self._request.infer([image[None]], share_inputs=True)
        return [np.array(output, np.float32) for output in found.values()]


def every_frame(setup: Setup) -> EveryFrame:
    """Run the networks of the loop in the precision of OpenVINO's choice. Raises AbsentError."""
    return _loop(setup.peer_models, "")


def in_float32(setup: Setup) -> EveryFrame:
    """Run them in float32: where the processor has bfloat16 OpenVINO takes that; no Pi has it."""
    return _loop(setup.peer_models, "f32")


def _loop(folder: Path, precision: str) -> EveryFrame:
    detector = OpenVinoNetwork(folder / published.YUNET, DETECTOR_SIZE, precision)
    side = (_OMZ_SIDE, _OMZ_SIDE)
    faces = OpenVinoNetwork(folder / f"{published.OMZ}.xml", side, precision)
    versions = {"OpenVINO": f"{faces.version}, {faces.precision}, 1 thread"}
    parts = Parts(
        yunet(detector),
        embedder(faces, "open-model-zoo"),
        versions | published.hashes(folder),
    )
    how = "float32" if precision else "its own precision"
    return EveryFrame(f"OpenVINO with the same networks, {how}, every frame", parts)
