"""`passerby-lab train detector_check`: students on scenes from crops they were not trained on.

Several checkpoints of one training, on the same scenes, show what more samples bought: what is
written can be drawn with `passerby-lab train curves`.
"""

import argparse
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from device.capture.frame import Picture, Pixels
from device.errors import ModelError
from device.vision.detector import SCORE, STRIDES, Detector, iou
from device.vision.inference import Floats, Network
from device.vision.output import Output
from tools.console import console
from tools.lab.train.detector_feed import TEACHER, FeedPlan, SceneMaker
from tools.lab.train.detector_net import Student
from tools.lab.train.journal import Journal
from tools.lab.train.scenes import Scene

_LOWEST = 0.3
_SURE = 0.5
_CLEAR = 0.6
_SMALLEST = 10.0
_SAME_PLACE = 0.5
_LEAST_SURE, _MOST_SURE = 0.4, 0.7


class TorchNetwork:
    """A student behind the interface of `device.vision.inference.Network`."""

    def __init__(self, student: nn.Module, height: int, width: int) -> None:
        self.input_shape = (1, height, width, 3)
        self._student = student.eval()

    @torch.no_grad()
    def run(self, image: Pixels) -> list[Floats]:
        """Return YuNet's twelve outputs for a picture (h, w, 3) uint8 BGR."""
        x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()
        answers = self._student(x)[0].numpy()
        _, height, width, _ = self.input_shape
        counts = [(height // stride) * (width // stride) for stride in STRIDES]
        outputs = []
        for level in np.split(answers, np.cumsum(counts)[:-1]):
            scores = 1 / (1 + np.exp(-level[:, :2]))
            parts = (scores[:, :1], scores[:, 1:], level[:, 2:6], level[:, 6:])
            outputs += [part[None] for part in parts]
        return outputs

    @contextmanager
    def outputs(self, image: Pixels) -> Iterator[list[Output]]:
        """Yield them as the device's detector asks for them."""
        yield [Output(each) for each in self.run(image)]


def detector_of(student: nn.Module, height: int, width: int, threshold: float) -> Detector:
    """Return the device's own detector, with a student inside."""
    return Detector(cast("Network", TorchNetwork(student, height, width)), threshold)


@dataclass(frozen=True, slots=True)
class Check:
    """Figures over scenes. recall: share of clear faces found at IoU 0.5 with a score over 0.5.

    false_per_scene: detections over 0.5 where no face and nothing doubtful is; overlap: mean IoU of
    what was found; points: mean error of its landmarks, as a share of the box's width.
    """

    recall: float
    false_per_scene: float
    overlap: float
    points: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("checkpoints", type=Path, nargs="+", metavar="detector.pt")
    add("--crops", type=Path, required=True, metavar="crops.npz", help="of the training")
    add("--teacher", type=Path, default=TEACHER, metavar="FILE", help="YuNet as .tflite, 320x256")
    add("--scenes", type=int, default=300, metavar="N")
    add("--out", type=Path, required=True, metavar="FILE.jsonl")


def run(options: argparse.Namespace) -> int:
    """Check each checkpoint and write a line of the journal; 0."""
    torch.set_num_threads(1)
    plan = FeedPlan(options.crops, options.teacher, seed=0, batch=1)
    journal = Journal(options.out, samples=-1)
    for file in options.checkpoints:
        student, samples = load_student(file)
        found = check(student, SceneMaker(plan, validation=True), options.scenes)
        figures = {name: round(value, 4) for name, value in asdict(found).items()}
        journal.write(samples=samples, **figures)
        console.print(f"{samples:,} samples: {figures}")
    return 0


def load_student(file: Path) -> tuple[Student, int]:
    """Return the averaged student of a checkpoint, and how many samples it has seen.

    Raises ModelError when the file is none.
    """
    try:
        state = torch.load(file, weights_only=True)
        student = Student()
        student.load_state_dict(state["average"])
        return student.eval(), int(state["samples"])
    except (OSError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
        raise ModelError(f"{file} is no trained detector ({error}).") from error


def check(student: nn.Module, maker: SceneMaker, scenes: int) -> Check:
    """Measure a student on the first `scenes` scenes of a validation maker."""
    found = faces = false = 0
    overlaps: list[float] = []
    points: list[float] = []
    for scene, answers in _detected(student, maker, scenes):
        rows = answers[answers[:, SCORE] > _SURE]
        false += len(_false(rows, scene))
        for face in scene.faces:
            if face.clarity < _CLEAR or face.box[2] < _SMALLEST:
                continue
            faces += 1
            overlap = iou(face.box, rows) if len(rows) else np.zeros(1, np.float32)
            best = int(overlap.argmax())
            if overlap[best] >= _SAME_PLACE:
                found += 1
                overlaps.append(float(overlap[best]))
                gap = rows[best, 4:14].reshape(5, 2) - face.landmarks
                points.append(float(np.hypot(*gap.T).mean() / face.box[2]))
    return Check(
        recall=found / max(faces, 1),
        false_per_scene=false / max(scenes, 1),
        overlap=float(np.mean(overlaps)) if overlaps else 0.0,
        points=float(np.mean(points)) if points else 1.0,
    )


def operating_score(student: nn.Module, maker: SceneMaker, scenes: int, false: float) -> float:
    """Return the lowest score over which there are at most `false` false detections per scene.

    Measured on the first `scenes` scenes of a validation maker; between 0.4 and 0.7.
    """
    wrong: list[float] = []
    for scene, rows in _detected(student, maker, scenes):
        wrong += [float(row[SCORE]) for row in _false(rows, scene)]
    wrong.sort(reverse=True)
    allowed = int(false * scenes)
    score = wrong[allowed] if len(wrong) > allowed else 0.0
    return float(np.clip(score, _LEAST_SURE, _MOST_SURE))


def _detected(student: nn.Module, maker: SceneMaker, scenes: int) -> Iterator[tuple[Scene, Floats]]:
    """Yield the first scenes of a validation maker, and what a student finds in each."""
    detector = None
    for number in range(scenes):
        scene = maker.scene(number)
        height, width = scene.pixels.shape[:2]
        detector = detector or detector_of(student, height, width, _LOWEST)
        yield scene, detector.detect(Picture.of_bgr(scene.pixels), width)


def _false(rows: Floats, scene: Scene) -> list[Floats]:
    """Return the detections that touch neither a face nor anything doubtful."""
    known = [face.box for face in scene.faces] + list(scene.doubtful)
    return [row for row in rows if all(_apart(row, box) for box in known)]


def _apart(row: Floats, box: Floats) -> bool:
    return bool(iou(box, row[None])[0] < 0.1)  # noqa: PLR2004 - they hardly touch
