"""The published networks that more than one peer runs."""

from pathlib import Path
from typing import Final

from tools.field.upstream import read_tensors
from tools.lab.bench.contestant import needed
from tools.lab.bench.peers.loop import DETECTOR_SIZE, short_hash
from tools.lab.bench.peers.ncnn_writer import NcnnModel, write
from tools.lab.convert import onnx_graph, openvino_graph

YUNET: Final = "face_detection_yunet_2023mar.onnx"
OMZ: Final = "face-reidentification-retail-0095"


def yunet_for_ncnn(folder: Path) -> NcnnModel:
    """Convert YuNet. Raises AbsentError when it is not in the folder, ModelError."""
    data = needed(folder / YUNET).read_bytes()
    return write(onnx_graph.read(data, *DETECTOR_SIZE), read_tensors("onnx", data, YUNET))


def omz_for_ncnn(folder: Path) -> NcnnModel:
    """Convert Intel's embedder. Raises AbsentError when it is not in the folder, ModelError."""
    xml = needed(folder / f"{OMZ}.xml").read_bytes()
    data = needed(folder / f"{OMZ}.bin").read_bytes()
    return write(openvino_graph.read(xml), read_tensors("openvino-bin", data, f"{OMZ}.bin"))


def hashes(folder: Path) -> dict[str, str]:
    """Return the start of the SHA-256 of both files as they were published."""
    names = (YUNET, f"{OMZ}.bin")
    return {name: short_hash(needed(folder / name).read_bytes()) for name in names}
