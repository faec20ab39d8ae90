"""ncnn: the networks of the loop in another runtime, and the pair that its users take on a Pi."""

from pathlib import Path
from typing import Final

import numpy as np

from device.capture.frame import Pixels
from device.vision.detector import suppress
from device.vision.inference import Floats
from tools.lab.bench.contestant import AbsentError, Setup
from tools.lab.bench.peers import published
from tools.lab.bench.peers.box_anchors import STRIDES, Level, retinaface, scrfd
from tools.lab.bench.peers.loop import (
    DETECTOR_SIZE,
    THRESHOLD,
    Detect,
    EveryFrame,
    Fitted,
    Parts,
    embedder,
    short_hash,
    yunet,
)
from tools.lab.bench.peers.ncnn_network import NcnnNetwork, version
from tools.lab.bench.peers.ncnn_writer import NcnnModel

_OMZ_SIDE, _MOBILEFACENET_SIDE = 128, 112
_IOU_SAME_FACE = 0.4
_SCRFD, _RETINA, _MOBILEFACENET = "scrfd_500m_kps-opt2", "mnet.25-opt", "mobilefacenet"
_KINDS: Final = ("score", "bbox", "kps")
_RETINA_OUTPUTS: Final = ("cls_prob_reshape", "bbox_pred", "landmark_pred")


def same_networks(setup: Setup) -> EveryFrame:
    """Run the networks of the loop. Raises AbsentError."""
    detector = NcnnNetwork(published.yunet_for_ncnn(setup.peer_models), DETECTOR_SIZE)
    side = (_OMZ_SIDE, _OMZ_SIDE)
    network = NcnnNetwork(published.omz_for_ncnn(setup.peer_models), side)
    versions = _libraries() | published.hashes(setup.peer_models)
    parts = Parts(yunet(detector), embedder(network, "open-model-zoo"), versions)
    return EveryFrame("ncnn with the same networks, every frame", parts)


def mobilefacenet(setup: Setup) -> EveryFrame:
    """Run MobileFaceNet after SCRFD or, without that, RetinaFace, as published for ncnn.

    Never run with the published weights: they are in no package. Raises AbsentError without them.
    """
    folder = setup.peer_models
    missing = f"{folder} holds no {_MOBILEFACENET}.param and .bin of ncnn (--peer-models)."
    network = _published(folder, _MOBILEFACENET, "data", ("fc1",), missing)
    side = (_MOBILEFACENET_SIDE, _MOBILEFACENET_SIDE)
    faces = NcnnNetwork(network, side, rgb=True)
    name, model, detect = _detector(folder)
    hashes = {_MOBILEFACENET: short_hash(network.weights), name: short_hash(model.weights)}
    parts = Parts(detect, embedder(faces, "arcface"), _libraries() | hashes)
    return EveryFrame(f"ncnn, {name} and MobileFaceNet, every frame", parts)


def _detector(folder: Path) -> tuple[str, NcnnModel, Detect]:
    missing = f"{folder} holds neither {_SCRFD} nor {_RETINA} (.param and .bin; --peer-models)."
    if (folder / f"{_SCRFD}.param").is_file():
        outputs = tuple(f"{kind}_{stride}" for stride in STRIDES for kind in _KINDS)
        model = _published(folder, _SCRFD, "input.1", outputs, missing)
        network = NcnnNetwork(model, DETECTOR_SIZE, rgb=True)
        network.normalise(127.5, 1 / 128)
        return "SCRFD", model, anchored(network, retina=False)
    outputs = tuple(
        f"face_rpn_{kind}_stride{stride}" for stride in STRIDES for kind in _RETINA_OUTPUTS
    )
    model = _published(folder, _RETINA, "data", outputs, missing)
    return "RetinaFace", model, anchored(NcnnNetwork(model, DETECTOR_SIZE, rgb=True), retina=True)


def anchored(network: NcnnNetwork, *, retina: bool) -> Detect:
    """Detect with SCRFD or RetinaFace."""

    def detect(canvas: Pixels) -> Floats:
        outputs = [output[0] for output in network.run(canvas)]
        found = []
        for number, stride in enumerate(STRIDES):
            scores, boxes, points = outputs[3 * number : 3 * number + 3]
            if retina:
                # Background comes first.
                found.append(retinaface(Level(stride, scores[2:], boxes, points), THRESHOLD))
            else:
                found.append(scrfd(Level(stride, scores, boxes, points), THRESHOLD))
        return suppress(np.concatenate(found), _IOU_SAME_FACE)

    return Fitted(network.size, detect)


def _published(
    folder: Path, name: str, picture: str, outputs: tuple[str, ...], missing: str
) -> NcnnModel:
    """Read the two files of a published model. Raises AbsentError."""
    param, weights = folder / f"{name}.param", folder / f"{name}.bin"
    if not (param.is_file() and weights.is_file()):
        raise AbsentError(missing)
    return NcnnModel(param.read_text("ascii"), weights.read_bytes(), picture, outputs)


def _libraries() -> dict[str, str]:
    return {"ncnn": f"{version()}, float, 16 bits where it chooses them, 1 thread"}
