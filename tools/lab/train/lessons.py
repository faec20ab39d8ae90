"""Samples with the teacher's answers, made in a process beside the training."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from device.opencv import cv2
from tools.lab.train.samples import Recipe, batches
from tools.lab.train.sources import Pixels, Sources
from tools.lab.train.student import INPUT_SIDE
from tools.lab.train.teacher import Teacher


@dataclass
class Lesson:
    """faces: (n, 3, 112, 112) uint8; templates: (n, 256); maps: the teacher's, bfloat16.

    met: (m, 3, 112, 112) uint8, rendered people whom no teacher is asked about; people: (m,).
    """

    faces: Tensor
    templates: Tensor
    maps: list[Tensor]
    met: Tensor
    people: Tensor


class _Lessons(IterableDataset[Lesson]):
    def __init__(
        self, sources: Sources, recipe: Recipe, teacher: Path, seed: int, size: int
    ) -> None:
        self._sources, self._recipe, self._seed, self._size = sources, recipe, seed, size
        self._teacher = teacher

    def __iter__(self) -> Iterator[Lesson]:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        worker = torch.utils.data.get_worker_info()
        number = worker.id if worker else 0
        teacher = Teacher(self._teacher)
        for batch in batches(self._sources, self._recipe, (self._seed, number), self._size):
            templates, maps = answers(teacher, batch.taught)
            people = torch.from_numpy(batch.people)
            yield Lesson(small(batch.seen), templates, maps, small(batch.met), people)


def answers(teacher: Teacher, taught: Pixels) -> tuple[Tensor, list[Tensor]]:
    """Return the teacher's templates of crops (n, 128, 128, 3), and its maps at our sizes."""
    crops = torch.from_numpy(taught).permute(0, 3, 1, 2).to(torch.bfloat16)
    templates, maps = teacher(crops.contiguous(memory_format=torch.channels_last))
    sides = (INPUT_SIDE // 4, INPUT_SIDE // 8, INPUT_SIDE // 16)
    maps = [
        functional.interpolate(each, (side, side), mode="bilinear")
        for each, side in zip(maps, sides, strict=True)
    ]
    return templates, maps


def small(crops: Pixels) -> Tensor:
    """Return crops (n, 128, 128, 3) as the student takes them, (n, 3, 112, 112) uint8."""
    faces = [
        cv2.resize(crop, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_AREA) for crop in crops
    ]
    shape = (-1, INPUT_SIDE, INPUT_SIDE, 3)
    return torch.from_numpy(np.array(faces, np.uint8).reshape(shape)).permute(0, 3, 1, 2)


def loader(
    sources: Sources, recipe: Recipe, teacher: Path, seed: int, size: int
) -> Iterator[Lesson]:
    """Yield lessons for ever, from one other process."""
    data = _Lessons(sources, recipe, teacher, seed, size)
    return iter(DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=6))
