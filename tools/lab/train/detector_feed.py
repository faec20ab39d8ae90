"""Batches for the detector's training, made in processes of their own, the same in every run.

Batch number k depends on the seed and on k alone, not on how many processes make batches.
"""

import multiprocessing as mp
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device.capture.frame import Picture, Pixels
from device.errors import PictureError
from device.opencv import cv2
from device.vision.detector import LANDMARKS, Detector
from device.vision.inference import Floats, open_network
from tools.lab.train import sources
from tools.lab.train.detector_targets import Labels, encode, label, mirrored
from tools.lab.train.scenes import Composer, Scene
from tools.lab.train.scenes_paste import Crop

TEACHER = Path("models/operational/yunet_s_320x256_int8.tflite")
_TEACHER_LOWEST = 0.2
_HELD_BACK = 16
"""Every sixteenth crop is never trained on: the log's recall is measured with these."""
_TRAINING, _VALIDATION = 0, 1


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """What batches are made from. crops: see `find_crops`; teacher: a YuNet TFLite file."""

    crops: Path
    teacher: Path
    seed: int
    batch: int


@dataclass(frozen=True, slots=True)
class Batch:
    """pixels: (n, h, w, 3) uint8 BGR; wanted: (n, cells, 17) float32 (`detector_targets`)."""

    pixels: Pixels
    wanted: Floats


def find_crops(data: Path | None, pools: list[Path], teacher: Path, cache: Path) -> int:
    """Let the teacher find the face in each crop; write crops and faces to `cache`.

    Crops in which the teacher sees no face are left out. Returns how many there are. Raises
    PictureError when there are no crops, ModelError when the teacher cannot be opened.
    """
    stock = sources.load(data, pools)
    detector = Detector(open_network(teacher, 1), 0.6)
    width, height = detector.input_size
    kept, found = [], []
    for crop in stock.pixels:
        # At half the input's height a face is of the size that the teacher knows best.
        scene = np.full((height, width, 3), 128, np.uint8)
        scene[:160, :160] = crop
        rows = detector.detect(Picture.of_bgr(scene), width)
        rows = rows[np.hypot(*(rows[:, :2] + rows[:, 2:4] / 2 - 84).T) < 24] if len(rows) else rows  # noqa: PLR2004
        if len(rows):
            kept.append(crop)
            found.append(rows[0, :14])
    if not kept:
        raise PictureError("The teacher finds no face in any of the crops.")
    # Written aside and renamed: a cut-off run leaves no half of it.
    aside = cache.with_suffix(".part.npz")
    np.savez(aside, faces=np.stack(kept), found=np.stack(found))
    aside.replace(cache)
    return len(kept)


class SceneMaker:
    """Makes labelled scenes; `validation` makes them from the crops held back."""

    def __init__(self, plan: FeedPlan, *, validation: bool = False) -> None:
        with np.load(plan.crops) as archive:
            faces, found = archive["faces"], archive["found"]
        chosen = (np.arange(len(faces)) % _HELD_BACK == 0) == validation
        crops = [
            Crop(face, row[:4], row[LANDMARKS].reshape(5, 2))
            for face, row in zip(faces[chosen], found[chosen], strict=True)
        ]
        self._teacher = Detector(open_network(plan.teacher, 1), _TEACHER_LOWEST)
        self._width, self._height = self._teacher.input_size
        self._composer = Composer(crops, self._height, self._width)
        self._stream = _VALIDATION if validation else _TRAINING
        self._plan = plan

    def scene(self, number: int) -> Scene:
        """Return scene `number` of this seed."""
        rng = np.random.default_rng((self._plan.seed, self._stream, number))
        return self._composer.compose(rng)

    def labels(self, scene: Scene) -> Labels:
        """Return what is to be found in a scene, the teacher's word included."""
        rows = self._teacher.detect(Picture.of_bgr(scene.pixels), self._width)
        return label(scene, rows)

    def pair(self, number: int) -> tuple[Batch, Batch]:
        """Return batch 2 * number, and batch 2 * number + 1: the same scenes seen in a mirror.

        Composing and asking the teacher cost more than learning does; a mirrored scene is nearly as
        good as a new one.
        """
        first = number * self._plan.batch
        scenes = [self.scene(first + index) for index in range(self._plan.batch)]
        labels = [self.labels(scene) for scene in scenes]
        pixels = np.stack([scene.pixels for scene in scenes])
        turned = [mirrored(one, self._width) for one in labels]
        return (
            Batch(pixels, self._encoded(labels)),
            Batch(np.ascontiguousarray(pixels[:, :, ::-1]), self._encoded(turned)),
        )

    def _encoded(self, labels: list[Labels]) -> Floats:
        return np.stack([encode(one, self._height, self._width) for one in labels])


class Feed:
    """Batches in order, made ahead by `workers` processes. Use as a context manager."""

    def __init__(self, plan: FeedPlan, first: int, workers: int) -> None:
        # Forking after PyTorch has started its threads may hang; spawning never does.
        context = mp.get_context("spawn")
        self._skipped = first % 2
        self._queues: list[Any] = [context.Queue(2) for _ in range(workers)]
        self._processes = [
            context.Process(
                target=_make, args=(plan, first // 2 + index, workers, queue), daemon=True
            )
            for index, queue in enumerate(self._queues)
        ]

    def __enter__(self) -> Iterator[Batch]:
        for process in self._processes:
            process.start()
        return self._batches()

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()

    def _batches(self) -> Iterator[Batch]:
        while True:
            for queue in self._queues:
                made = queue.get()
                if isinstance(made, str):
                    raise PictureError(f"Making scenes failed: {made}")
                yield from made[self._skipped :]
                self._skipped = 0


def _make(plan: FeedPlan, first: int, step: int, queue: Any) -> None:  # noqa: ANN401 - a queue
    cv2.setNumThreads(1)
    try:
        maker = SceneMaker(plan)
        number = first
        while True:
            queue.put(maker.pair(number))
            number += step
    except Exception as error:  # noqa: BLE001 - told to the parent, which ends the training
        queue.put(f"{type(error).__name__}: {error}")
