"""How well a student detector does on scenes from crops it was never trained on."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import nn

from device.capture.frame import Picture, Pixels
from device.vision.detector import SCORE, STRIDES, Detector, iou
from device.vision.inference import Floats, Network
from tools.lab.train.detector_feed import SceneMaker

_LOWEST = 0.3
_SURE = 0.5
_CLEAR = 0.6
_SMALLEST = 10.0
_SAME_PLACE = 0.5


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


def check(student: nn.Module, maker: SceneMaker, scenes: int) -> Check:
    """Measure a student on the first `scenes` scenes of a validation maker."""
    found = faces = false = 0
    overlaps: list[float] = []
    points: list[float] = []
    detector = None
    for number in range(scenes):
        scene = maker.scene(number)
        height, width = scene.pixels.shape[:2]
        detector = detector or detector_of(student, height, width, _LOWEST)
        rows = detector.detect(Picture.of_bgr(scene.pixels), width)
        rows = rows[rows[:, SCORE] > _SURE]
        known = [face.box for face in scene.faces] + list(scene.doubtful)
        false += sum(1 for row in rows if all(_apart(row, box) for box in known))
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


def _apart(row: Floats, box: Floats) -> bool:
    return bool(iou(box, row[None])[0] < 0.1)  # noqa: PLR2004 - they hardly touch
