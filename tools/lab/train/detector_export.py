"""`passerby-lab train detector_export`: a trained detector as 8-bit and float `.tflite`.

Batch normalisation is folded into the convolutions, the sixteen channels of a head are parted into
YuNet's four outputs, and ranges are taken from composed scenes. Boxes and landmarks get the range
they have where there is a face: what they say elsewhere is never read.
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from device.capture.frame import Pixels
from device.errors import ModelError
from device.files import sha256_of, write_atomically
from device.opencv import cv2
from device.vision.detector import STRIDES
from tools.console import console
from tools.lab.convert.build import Built
from tools.lab.convert.calibrate import Runner
from tools.lab.convert.student import folded, read
from tools.lab.edgetpu_check import problems_of
from tools.lab.train.detector_check import load_student, operating_score
from tools.lab.train.detector_feed import TEACHER, FeedPlan, SceneMaker
from tools.lab.train.scenes_paste import whole

Arrays = Mapping[str, npt.NDArray[Any]]
_PARTS: Final = (("class", 0, 1), ("object", 1, 2), ("box", 2, 6), ("points", 6, 16))
_PLACES: Final = ("box", "points")
SIZES: Final = ((480, 640), (256, 320))
_SCENES, _SWEPT = 300, 600
_FACE = 0.3
_THRESHOLD = 0.7
_FALSE = 0.005
"""False detections per composed scene that the default threshold shall let through."""
_MARGIN = 0.05


@dataclass(slots=True)
class _Drawing:
    """A graph that grows, node by node, out of a state of PyTorch's."""

    state: Arrays
    nodes: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def conv(self, name: str, given: str, **keys: Any) -> str:  # noqa: ANN401 - keys of a node
        """Add a convolution with the arrays NAME/w and NAME/b; return its name."""
        arrays = {"weights": f"{name}/w", "bias": f"{name}/b"}
        self.nodes.append({"op": "conv", "name": name, "input": given, **arrays} | keys)
        return name

    def fold(self, name: str, conv: str, norm: str) -> None:
        """Keep the weights of `conv` with the normalisation `norm` folded in."""
        parts = ("weight", "bias", "running_mean", "running_var")
        normalisation = {part: self.state[f"{norm}.{part}"] for part in parts}
        weights = self.state[f"{conv}.weight"]
        self.arrays[f"{name}/w"], self.arrays[f"{name}/b"] = folded(weights, None, normalisation)

    def dense(self, name: str, given: str, stride: int) -> str:
        """Add a `Dense` of `detector_net`."""
        self.fold(name, f"{name}.conv", f"{name}.norm")
        side = self.state[f"{name}.conv.weight"].shape[-1]
        padding = [0, 1, 0, 1] if stride > 1 else side // 2
        return self.conv(name, given, stride=stride, padding=padding, activation="relu6")

    def separable(self, name: str, given: str) -> str:
        """Add a `Separable` of `detector_net` that keeps its channels."""
        depth, point = f"{name}.depth", f"{name}.point"
        self.fold(depth, depth, f"{name}.depth_norm")
        self.fold(point, point, f"{name}.point_norm")
        self.conv(depth, given, op="depthwise", padding=1, activation="relu6")
        self.conv(point, depth, activation="relu6")
        return self.add(name, given, point)

    def add(self, name: str, one: str, other: str) -> str:
        """Add a sum."""
        self.nodes.append({"op": "add", "name": name, "inputs": [one, other]})
        return name

    def single(self, op: str, name: str, given: str, **keys: Any) -> str:  # noqa: ANN401 - likewise
        """Add a node with one input."""
        self.nodes.append({"op": op, "name": name, "input": given} | keys)
        return name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("--checkpoint", type=Path, required=True, metavar="detector.pt")
    add("--crops", type=Path, required=True, metavar="crops.npz", help="of the training")
    add("--teacher", type=Path, default=TEACHER, metavar="FILE", help="YuNet as .tflite, 320x256")
    add("--score", type=float, help="what shall read 0.7; default: found on scenes held back")
    add("--out", type=Path, required=True, metavar="DIR")


def run(options: argparse.Namespace) -> int:
    """Write the files of both sizes; 0."""
    student, _ = load_student(options.checkpoint)
    plan = FeedPlan(options.crops, options.teacher, seed=0, batch=1)
    score = options.score or operating_score(
        student, SceneMaker(plan, validation=True), _SWEPT, _FALSE
    )
    console.print(f"a score of {score:.3f} becomes {_THRESHOLD}, the device's default threshold")
    arrays = {name: value.numpy() for name, value in student.state_dict().items()}
    state = moved(arrays, score)
    for height, width in SIZES:
        whole, real = convert(state, scenes_of(plan, height, width, _SCENES))
        name = f"passerby-detector-{width}x{height}"
        write_atomically(options.out / f"{name}.tflite", whole, 0o644)
        write_atomically(options.out / f"{name}-float.tflite", real, 0o644)
        hashed = sha256_of(options.out / f"{name}.tflite")
        console.print(f"{name}: {len(whole):,} bytes, SHA-256 {hashed}")
        for problem in problems_of(whole):
            console.print(f"Edge TPU: {problem}", markup=False)
    return 0


def graph_of(state: Arrays, height: int, width: int) -> tuple[str, dict[str, npt.NDArray[Any]]]:
    """Return the graph and the weights as `tools.lab.convert.student` reads them.

    state: the arrays of a `Student`, by PyTorch's names. height, width: multiples of 32.
    """
    drawing = _Drawing(state)
    at = drawing.dense("stem.1", drawing.dense("stem.0", "image", 2), 2)
    fine = drawing.separable("fine.2", drawing.separable("fine.1", drawing.dense("fine.0", at, 2)))
    middle = drawing.dense("middle.0", fine, 2)
    middle = drawing.separable("middle.2", drawing.separable("middle.1", middle))
    coarse = drawing.dense("coarse.0", middle, 2)
    for index in (1, 2, 3):
        coarse = drawing.separable(f"coarse.{index}", coarse)
    levels = [drawing.dense(f"laterals.{i}", x, 1) for i, x in enumerate((fine, middle, coarse))]
    for finer, name in ((1, "up16"), (0, "up8")):
        doubled = drawing.single("double", name, levels[finer + 1])
        levels[finer] = drawing.add(f"sum{finer}", levels[finer], doubled)
    outputs = []
    for index, (level, stride) in enumerate(zip(levels, STRIDES, strict=True)):
        cells = (height // stride) * (width // stride)
        outputs += _head(drawing, index, level, stride, cells)
    # The scale is that of the network: (pixel - 128) / 128.
    image = {"name": "image", "shape": [height, width], "mean": 128, "scale": 1 / 128}
    text = json.dumps({"input": image, "nodes": drawing.nodes, "outputs": outputs})
    return text, drawing.arrays


def _head(drawing: _Drawing, index: int, level: str, stride: int, cells: int) -> list[str]:
    given = drawing.separable(f"heads.{index}.0", level)
    weights = drawing.state[f"heads.{index}.1.weight"]
    bias = drawing.state[f"heads.{index}.1.bias"]
    outputs = []
    for part, start, end in _PARTS:
        name = f"{part}{stride}"
        drawing.arrays[f"{name}/w"], drawing.arrays[f"{name}/b"] = (
            weights[start:end],
            bias[start:end],
        )
        at = drawing.conv(name, given)
        if part not in _PLACES:
            at = drawing.single("sigmoid", f"{name}.score", at)
        outputs.append(drawing.single("reshape", f"{name}.rows", at, shape=[cells, end - start]))
    return outputs


def convert(state: Arrays, pictures: Pixels) -> tuple[bytes, bytes]:
    """Return the int8 and the float file of a student; pictures: (n, h, w, 3) uint8, composed."""
    height, width = pictures.shape[1:3]
    built = read(*graph_of(state, height, width))
    seen = dict(built.observe(pictures))
    for name, reach in _reaches(built, pictures).items():
        for node in (name, f"{name}.rows"):
            seen[node] = replace(seen[node], lows=reach[:1], highs=reach[1:])
    return built.as_int8(seen), built.as_float()


def _reaches(built: Built, pictures: Iterable[Pixels]) -> dict[str, npt.NDArray[np.float64]]:
    """Return lowest and highest value of each box and landmark output where there are faces."""
    runner = Runner(built.as_float())
    found: dict[str, list[npt.NDArray[np.float32]]] = {}
    for picture in pictures:
        outputs = {name.split(":")[0]: value[0] for name, value in runner.run(picture).items()}
        for stride in STRIDES:
            score = np.sqrt(outputs[f"class{stride}.rows"] * outputs[f"object{stride}.rows"])
            faces = score[:, 0] > _FACE
            for part in _PLACES:
                found.setdefault(f"{part}{stride}", []).append(
                    outputs[f"{part}{stride}.rows"][faces]
                )
    reaches = {}
    for name, values in found.items():
        every = np.concatenate(values)
        if not every.size:
            raise ModelError(f"No face in the composed scenes concerns {name}: train longer.")
        low, high = float(every.min()), float(every.max())
        margin = _MARGIN * (high - low)
        reaches[name] = np.array([low - margin, high + margin])
    return reaches


def moved(state: Arrays, score: float) -> Arrays:
    """Return the state with scores moved so that `score` becomes the device's default threshold.

    state: the arrays of a `Student`. The logits of class and objectness move by the same constant.
    """
    shift = np.float32(_logit(_THRESHOLD) - _logit(score))
    biases = {f"heads.{index}.1.bias" for index in range(len(STRIDES))}
    scores = np.zeros(16, np.float32)
    scores[:2] = shift
    return {name: value + scores if name in biases else value for name, value in state.items()}


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def scenes_of(plan: FeedPlan, height: int, width: int, count: int) -> Pixels:
    """Return composed scenes (count, height, width, 3), enlarged where that is wanted."""
    maker = SceneMaker(plan)
    scenes = []
    for number in range(count):
        pixels = maker.scene(number).pixels
        if pixels.shape[:2] != (height, width):
            pixels = whole(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR))
        scenes.append(pixels)
    return np.stack(scenes)
