"""`passerby-lab train detector`: teaches the built-in detector to see as YuNet does, and better.

Scenes are composed anew all the time (`scenes`), YuNet looks at the same pixels, and the student
learns from both (`detector_targets`). Everything that is written lies in --out: crops.npz (the
crops with the teacher's boxes), detector.pt (to go on from), detector.jsonl (the journal).
"""

import argparse
import io
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from device.errors import ConfigurationError, ModelError
from device.files import write_atomically
from tools.console import console
from tools.lab.train.detector_check import check
from tools.lab.train.detector_feed import TEACHER, Batch, Feed, FeedPlan, SceneMaker, find_crops
from tools.lab.train.detector_losses import losses
from tools.lab.train.detector_net import Student
from tools.lab.train.journal import Journal

_TELL_EVERY, _CHECK_EVERY, _CHECK_SCENES = 50, 500, 150
_WARM_UP = 200
_DECAY = 0.998
_LAST_RATE = 0.01
_WEIGHT_DECAY = 1e-2
_LONGEST_STEP = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="aligned crops with manifest.csv")
    add("--rendered", type=Path, nargs="*", default=[], metavar="FILE.npz")
    add("--teacher", type=Path, default=TEACHER, metavar="FILE", help="YuNet as .tflite, 320x256")
    add("--out", type=Path, required=True, metavar="DIR")
    add("--samples", type=int, default=300_000, metavar="N")
    add("--batch", type=int, default=32, metavar="N")
    add("--rate", type=float, default=2e-3, help="highest learning rate, default %(default)s")
    add("--workers", type=int, default=1, metavar="N", help="processes that compose scenes")
    add("--seed", type=int, default=1)
    add("--resume", action="store_true", help="go on from what is in --out")


def run(options: argparse.Namespace) -> int:
    """Train until --samples are seen; 0."""
    if not options.teacher.is_file():
        raise ConfigurationError(
            f"The teacher {options.teacher} is not there: fetch it with "
            "`passerby-field models fetch`, or name another with --teacher."
        )
    options.out.mkdir(parents=True, exist_ok=True)
    crops = options.out / "crops.npz"
    if not (options.resume and crops.is_file()):
        count = find_crops(options.data, options.rendered, options.teacher, crops)
        console.print(f"{count} faces to compose scenes of")
    plan = FeedPlan(crops, options.teacher, options.seed, options.batch)
    training = Training(options, SceneMaker(plan, validation=True))
    with Feed(plan, training.step, options.workers) as batches:
        training.go(batches)
    return 0


class Training:
    """The student, the running average of its weights, the optimiser, the journal."""

    def __init__(self, options: argparse.Namespace, validation: SceneMaker) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(options.seed)
        self._options = options
        self._validation = validation
        self._total = max(1, options.samples // options.batch)
        self._student = Student().to(memory_format=torch.channels_last)
        self._average = AveragedModel(self._student, avg_fn=_averaged, use_buffers=True)
        weights = [p for p in self._student.parameters() if p.ndim > 1]
        others = [p for p in self._student.parameters() if p.ndim <= 1]
        self._optimiser = torch.optim.AdamW(
            [
                {"params": weights, "weight_decay": _WEIGHT_DECAY},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=options.rate,
        )
        self.step = 0
        self._state = options.out / "detector.pt"
        if options.resume and self._state.is_file():
            self._restore()
        self._journal = Journal(options.out / "detector.jsonl", samples=self.samples)

    @property
    def samples(self) -> int:
        """How many scenes the student has seen."""
        return self.step * int(self._options.batch)

    def go(self, batches: Iterator[Batch]) -> None:
        """Train until the number of samples is reached; save what is needed to go on."""
        self._student.train()
        while self.step < self._total:
            parts = self._learn(next(batches))
            self.step += 1
            if self.step % _TELL_EVERY == 0:
                self._tell({name: part.item() for name, part in parts.items()})
            if self.step % _CHECK_EVERY == 0 or self.step == self._total:
                found = check(self._average.module, self._validation, _CHECK_SCENES)
                self._tell({f"check_{name}": value for name, value in asdict(found).items()})
                self._save()

    def _learn(self, batch: Batch) -> dict[str, Tensor]:
        """Take one step; return the parts of the loss."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        # A picture (n, h, w, 3) seen as (n, 3, h, w) is what "channels last" means.
        pixels = torch.from_numpy(batch.pixels).permute(0, 3, 1, 2).float()
        with torch.autocast("cpu", torch.bfloat16):
            answers = self._student(pixels)
        parts = losses(answers, torch.from_numpy(batch.wanted))
        self._optimiser.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self._student.parameters(), _LONGEST_STEP)
        self._optimiser.step()
        self._average.update_parameters(self._student)
        return parts

    def _rate(self) -> float:
        """Return the learning rate: a short rise, then half a cosine down to a hundredth."""
        highest = float(self._options.rate)
        if self.step < _WARM_UP:
            return highest * (self.step + 1) / _WARM_UP
        share = (self.step - _WARM_UP) / max(1, self._total - _WARM_UP)
        return highest * (_LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * share)))

    def _tell(self, figures: dict[str, float]) -> None:
        rounded = {name: round(value, 4) for name, value in figures.items()}
        self._journal.write(samples=self.samples, rate=round(self._rate(), 6), **rounded)
        told = "  ".join(f"{name} {value:.3f}" for name, value in rounded.items())
        clock = time.strftime("%H:%M:%S", time.gmtime(self._journal.seconds))
        console.print(f"{self.samples:,} of {self._options.samples:,}  {clock}  {told}")

    def _save(self) -> None:
        buffer = io.BytesIO()
        state = {
            "step": self.step,
            "samples": self.samples,
            "student": self._student.state_dict(),
            "average": self._average.module.state_dict(),
            "averaged": self._average.n_averaged,
            "optimiser": self._optimiser.state_dict(),
        }
        torch.save(state, buffer)
        write_atomically(self._state, buffer.getvalue())

    def _restore(self) -> None:
        try:
            state = torch.load(self._state, weights_only=True)
            self._student.load_state_dict(state["student"])
            self._average.module.load_state_dict(state["average"])
            self._average.n_averaged.copy_(state["averaged"])
            self._optimiser.load_state_dict(state["optimiser"])
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise ModelError(f"{self._state} is no training to go on from ({error}).") from error
        self.step = int(state["step"])
        console.print(f"going on after {self.samples:,} samples")


def _averaged(average: Tensor, now: Tensor, count: Any) -> Tensor:  # noqa: ANN401 - int or tensor
    """Return the running average: short at first, when the network still changes quickly."""
    decay = min(_DECAY, (1 + float(count)) / (10 + float(count)))
    return average * decay + now * (1 - decay)
