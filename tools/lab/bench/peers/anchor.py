"""`python -m tools.lab.bench.peers.anchor`: programs here whose figures on a Pi are published.

What a program takes on this machine ties its published figure to this machine's other figures. One
thread, processor time, the programs in turns, so that a noisy machine is noisy for all. Networks
with drawn weights cost what they cost with learnt ones. SFace is not here: its weights would have
to be fetched.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from device.capture.frame import Pixels
from device.errors import PasserbyError
from device.opencv import cv2
from tools.lab.bench.contestant import PEER_MODELS, AbsentError, needed
from tools.lab.bench.peers import architectures
from tools.lab.bench.peers.ncnn_network import NcnnNetwork
from tools.lab.bench.peers.ncnn_writer import write
from tools.lab.bench.peers.published import YUNET
from tools.lab.convert.build import build
from tools.lab.convert.calibrate import Runner
from tools.lab.turns import in_turns, milliseconds

_CALLS: Final = 10
_SEED: Final = 7
_SMOOTH: Final = 3.0
_CALIBRATION: Final = 4
Call = Callable[[], object]

MOBILEFACENET: Final = "MobileFaceNet, ncnn"
YUNET_SMALL: Final = "YuNet 160x120, OpenCV"
YUNET_LARGE: Final = "YuNet 320x240, OpenCV"
MOBILENET_FLOAT: Final = "MobileNetV2-224 float, LiteRT"
MOBILENET_INT8: Final = "MobileNetV2-224 int8, LiteRT"


def anchors(
    repeats: int, peer_models: Path, absent: Callable[[str], None] = lambda _: None
) -> dict[str, list[float]]:
    """Return CPU milliseconds for one picture, by name, one figure for each repeat.

    peer_models: folder of published models. absent: is told in a sentence what is left out.
    """
    calls = {}
    for name, make in _PROGRAMS.items():
        try:
            calls[name] = make(peer_models)
        except ImportError as error:
            absent(f"{name} is left out: {error.name} is not installed (`make venv-peers`).")
        except PasserbyError as error:
            absent(f"{name} is left out: {error}")
    return _in_turns(calls, repeats)


def mobilefacenet_ms(repeats: int) -> list[float]:
    """Return CPU milliseconds of MobileFaceNet's architecture in ncnn. Raises AbsentError."""
    try:
        return _in_turns({MOBILEFACENET: _mobilefacenet(Path())}, repeats)[MOBILEFACENET]
    except ImportError as error:
        raise AbsentError(f"{error.name} is not installed (`make venv-peers`).") from error


def _in_turns(calls: dict[str, Call], repeats: int) -> dict[str, list[float]]:
    for call in calls.values():
        # The first takes memory.
        call()
    return milliseconds(in_turns(calls, repeats, _CALLS))


def _mobilefacenet(peer_models: Path) -> Call:
    del peer_models
    drawn, side = architectures.mobilefacenet(), architectures.MOBILEFACENET_SIDE
    network = NcnnNetwork(write(drawn.graph, drawn.weights), (side, side))
    picture = smooth(side, side)
    return lambda: network.run(picture)


def _yunet(width: int, height: int) -> Callable[[Path], Call]:
    def make(peer_models: Path) -> Call:
        file = needed(peer_models / YUNET)
        detector = cv2.FaceDetectorYN.create(str(file), "", (width, height), 0.9, 0.3, 5000)
        picture = smooth(height, width)
        return lambda: detector.detect(picture)

    return make


def _mobilenet(*, int8: bool) -> Callable[[Path], Call]:
    def make(peer_models: Path) -> Call:
        del peer_models
        drawn, side = architectures.mobilenet_v2(), architectures.MOBILENET_V2_SIDE
        built = build(drawn.graph, drawn.weights)
        picture = smooth(side, side)
        model = built.as_float()
        if int8:
            pictures = [smooth(side, side, _SEED + number) for number in range(_CALIBRATION)]
            model = built.as_int8(built.observe(pictures))
        runner = Runner(model)
        return lambda: runner.run(picture)

    return make


_PROGRAMS: Final[dict[str, Callable[[Path], Call]]] = {
    MOBILEFACENET: _mobilefacenet,
    YUNET_SMALL: _yunet(160, 120),
    YUNET_LARGE: _yunet(320, 240),
    MOBILENET_FLOAT: _mobilenet(int8=False),
    MOBILENET_INT8: _mobilenet(int8=True),
}


def smooth(height: int, width: int, seed: int = _SEED) -> Pixels:
    """Return smooth noise over the whole range, (height, width, 3) uint8."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), _SMOOTH)
    low, high = float(smooth.min()), float(smooth.max())
    return np.asarray((smooth - low) * 255 / (high - low), np.uint8)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures as one JSON object, and on standard error what is left out; 0."""
    parser = argparse.ArgumentParser(prog="python -m tools.lab.bench.peers.anchor")
    parser.add_argument("--repeats", type=int, default=7, metavar="N")
    parser.add_argument("--peer-models", type=Path, default=PEER_MODELS, metavar="DIR")
    options = parser.parse_args(arguments)
    found = anchors(options.repeats, options.peer_models, lambda line: print(line, file=sys.stderr))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
