"""One-to-one accuracy on pairs of faces: the figure that is usual for LFW."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.errors import PictureError
from device.opencv import cv2
from tools.lab.train.sources import SIDE, Pixels
from tools.lab.train.warp import CROP, CROP_SIDE

_FOLDS = 10


def crops_of(sources: Pixels) -> Pixels:
    """Return the middle of sources (n, 160, 160, 3) as the teacher takes it, (n, 128, 128, 3)."""
    scale = CROP_SIDE / CROP
    shift = (CROP_SIDE - SIDE * scale) / 2 + (scale - 1) / 2
    matrix = np.array([[scale, 0, shift], [0, scale, shift]])
    return np.stack([cv2.warpAffine(face, matrix, (CROP_SIDE, CROP_SIDE)) for face in sources])


def accuracy(
    templates: NDArray[np.float32], pairs: NDArray[np.int64], same: NDArray[np.bool_]
) -> float:
    """Return the share of pairs judged rightly, each fold with the threshold of the other nine.

    templates: (n, d) of unit length; pairs: (m, 2) indices; same: (m,). The protocol of LFW's
    View 2, with folds drawn by a fixed seed.
    """
    scores = np.einsum("nd,nd->n", templates[pairs[:, 0]], templates[pairs[:, 1]])
    fold = np.random.default_rng(0).permutation(len(scores)) % _FOLDS
    right = 0
    for number in range(_FOLDS):
        held = fold == number
        threshold = _best_threshold(scores[~held], same[~held])
        right += int(((scores[held] >= threshold) == same[held]).sum())
    return right / len(scores)


def _best_threshold(scores: NDArray[np.float32], same: NDArray[np.bool_]) -> float:
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(np.where(same[order], 1, -1))
    best = int(np.argmax(hits))
    return float(scores[order[best]])


def read_pairs(path: Path) -> tuple[list[str], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the files that a list of pairs names, the pairs as indices into them, and the truth.

    path: a CSV file with the columns file_a, file_b and same (1 or 0). Raises PictureError.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(row["file_a"], row["file_b"], row["same"]) for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise PictureError(f"{path} is no list of pairs ({error!r}; see docs/data.md).") from error
    files = sorted({name for first, second, _ in rows for name in (first, second)})
    index = {name: number for number, name in enumerate(files)}
    pairs = np.array([(index[first], index[second]) for first, second, _ in rows], np.int64)
    return files, pairs, np.array([same == "1" for _, _, same in rows], bool)
