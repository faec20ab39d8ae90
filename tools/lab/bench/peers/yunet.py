"""YuNet's outputs decoded in NumPy, for peers: of (1, cells, numbers) from any runtime.

Source of the formulas: OpenCV, modules/objdetect/src/face_detect.cpp. It is not the appliance's own
decoding, so that what is done there for speed or privacy is neither given nor charged to a peer.
"""

import numpy as np

from device.errors import ModelError
from device.vision.detector import COLUMNS, LANDMARKS, SCORE, STRIDES, suppress
from device.vision.inference import Floats

_SCORE, _BOX, _POINTS = 1, 4, 10


def decode(outputs: list[Floats], size: tuple[int, int], threshold: float) -> Floats:
    """Return faces as (n, 15) rows of `device.vision.detector`, best first, in input pixels.

    outputs: in any order. size: height and width of the network's input. threshold: lowest
    sqrt(class * objectness). Raises ModelError when these are not YuNet's outputs.
    """
    height, width = size
    found = [np.empty((0, COLUMNS), np.float32)]
    for stride in STRIDES:
        cells = (height // stride) * (width // stride)
        level = [output[0] for output in outputs if output.shape[1] == cells]
        scores, boxes, points = _by_meaning(level)
        keep = np.flatnonzero(scores >= threshold)
        cell = np.stack([keep % (width // stride), keep // (width // stride)], axis=1)
        rows = np.empty((len(keep), COLUMNS), np.float32)
        rows[:, 2:4] = np.exp(boxes[keep, 2:]) * stride
        rows[:, :2] = (cell + boxes[keep, :2]) * stride - rows[:, 2:4] / 2
        spots = points[keep].reshape(-1, 5, 2) + cell[:, None]
        rows[:, LANDMARKS] = spots.reshape(-1, _POINTS) * stride
        rows[:, SCORE] = scores[keep]
        found.append(rows)
    return suppress(np.concatenate(found))


def _by_meaning(level: list[Floats]) -> tuple[Floats, Floats, Floats]:
    """Tell one stride's outputs apart by their widths; class and objectness commute."""
    by_width: dict[int, list[Floats]] = {}
    for output in level:
        by_width.setdefault(output.shape[1], []).append(output)
    try:
        (one, other), (boxes,), (points,) = (by_width[each] for each in (_SCORE, _BOX, _POINTS))
    except (KeyError, ValueError) as error:
        raise ModelError("The detector's outputs are not those of YuNet.") from error
    scores = np.sqrt(np.clip(one[:, 0], 0, 1) * np.clip(other[:, 0], 0, 1))
    return np.asarray(scores, np.float32), boxes, points
