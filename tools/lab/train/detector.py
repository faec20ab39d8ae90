"""`passerby-lab train detector`: train the built-in face detector, by distillation from YuNet.

Scenes are composed anew all the time (`scenes`), YuNet looks at the same pixels, and the student
learns from both. Stops after `--samples` scenes; `--resume` goes on where a run was cut off.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from device.errors import ConfigurationError
from device.files import write_atomically

_TEACHER = Path("models/operational/yunet_s_320x256_int8.tflite")
_LOG_EVERY, _CHECK_EVERY, _CHECK_SCENES = 50, 500, 150
_WARM_UP = 200
_DECAY = 0.998


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="a folder of aligned crops")
    parser.add_argument(
        "--rendered", type=Path, action="append", default=[], metavar="NPZ",
        help="a pool of rendered people; may be given several times",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--teacher", type=Path, default=_TEACHER, metavar="FILE",
        help="YuNet as TensorFlow Lite, 320x256, default %(default)s")  # fmt: skip
    parser.add_argument("--samples", type=int, default=300_000, metavar="N")
    parser.add_argument("--batch", type=int, default=32, metavar="N")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes for scenes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from OUT/detector.pt")
    parser.add_argument("--init", type=Path, metavar="FILE", help="start from these weights")


def run(options: argparse.Namespace) -> int:
    """Train; write detector.pt, detector.jsonl into `--out`. Returns 0."""
    if not options.teacher.is_file():
        raise ConfigurationError(
            f"The teacher {options.teacher} is not there: fetch it with "
            "`passerby-field models fetch`, or name it with --teacher."
        )
    options.out.mkdir(parents=True, exist_ok=True)
    from tools.lab.train.detector_feed import Feed, FeedPlan, find_crops  # noqa: PLC0415

    crops = options.out / "crops.npz"
    if not (options.resume and crops.is_file()):
        count = find_crops(options.data, options.rendered, options.teacher, crops)
        print(f"{count} faces to compose scenes of")
    plan = FeedPlan(crops, options.teacher, options.seed, options.batch)
    training = _Training(options, plan)
    with Feed(plan, training.step, options.workers) as batches:
        training.go(batches)
    return 0


def _averaged(average: Any, now: Any, count: Any) -> Any:  # noqa: ANN401 - PyTorch's tensors
    """Return the running average: short at first, when the network still changes quickly."""
    decay = min(_DECAY, (1 + float(count)) / (10 + float(count)))
    return average * decay + now * (1 - decay)


@dataclass(slots=True)
class _Progress:
    began: float
    before: float = 0.0

    def seconds(self) -> float:
        """Return how long was trained, the cut-off runs included."""
        return self.before + time.monotonic() - self.began


class _Training:
    """The student, its running average, the optimiser, the log."""

    def __init__(self, options: argparse.Namespace, plan: Any) -> None:  # noqa: ANN401 - lazy
        # PyTorch is loaded late: everything else of the laboratory does without it.
        import torch  # noqa: PLC0415

        from tools.lab.train.detector_feed import SceneMaker  # noqa: PLC0415
        from tools.lab.train.detector_net import Student  # noqa: PLC0415

        torch.set_num_threads(1)
        torch.manual_seed(options.seed)
        self._torch = torch
        self._options = options
        self._total = max(1, options.samples // options.batch)
        self._student = Student().to(memory_format=torch.channels_last)
        if options.init is not None:
            self._student.load_state_dict(torch.load(options.init, weights_only=True)["average"])
        self._average = torch.optim.swa_utils.AveragedModel(
            self._student,
            avg_fn=_averaged,
            use_buffers=True,
        )
        decayed = [p for p in self._student.parameters() if p.ndim > 1]
        plain = [p for p in self._student.parameters() if p.ndim <= 1]
        self._optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 1e-2}, {"params": plain, "weight_decay": 0.0}],
            lr=options.rate,
        )
        self._validation = SceneMaker(plan, validation=True)
        self._progress = _Progress(time.monotonic())
        self.step = 0
        self._state = options.out / "detector.pt"
        self._log = options.out / "detector.jsonl"
        if options.resume and self._state.is_file():
            self._restore()
        else:
            self._log.write_text("")

    def go(self, batches: Iterator[Any]) -> None:
        """Train until the number of samples is reached."""
        self._student.train()
        while self.step < self._total:
            parts = self._learn(next(batches))
            self.step += 1
            if self.step % _LOG_EVERY == 0:
                self._tell({name: round(part.item(), 4) for name, part in parts.items()})
            if self.step % _CHECK_EVERY == 0 or self.step == self._total:
                self._measure()
                self._save()

    def _rate(self) -> float:
        """Return the learning rate: a short rise, then half a cosine down to a hundredth."""
        if self.step < _WARM_UP:
            return float(self._options.rate) * (self.step + 1) / _WARM_UP
        share = (self.step - _WARM_UP) / max(1, self._total - _WARM_UP)
        return float(self._options.rate) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))

    def _learn(self, batch: Any) -> dict[str, Any]:  # noqa: ANN401 - lazy
        from tools.lab.train.detector_losses import losses  # noqa: PLC0415

        torch = self._torch
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        # A picture (n, h, w, 3) seen as (n, 3, h, w) is what "channels last" means.
        pixels = torch.from_numpy(batch.pixels).permute(0, 3, 1, 2).float()
        with torch.autocast("cpu", torch.bfloat16):
            answers = self._student(pixels)
        parts = losses(answers, torch.from_numpy(batch.wanted))
        self._optimiser.zero_grad(set_to_none=True)
        sum(parts.values()).backward()
        torch.nn.utils.clip_grad_norm_(self._student.parameters(), 5.0)
        self._optimiser.step()
        self._average.update_parameters(self._student)
        return parts

    def _tell(self, figures: dict[str, float]) -> None:
        line = {
            "samples": self.step * self._options.batch,
            "seconds": round(self._progress.seconds()),
            "rate": round(self._rate(), 6),
            **figures,
        }
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        print("  ".join(f"{name} {value}" for name, value in line.items()), flush=True)

    def _measure(self) -> None:
        from tools.lab.train.detector_check import check  # noqa: PLC0415

        found = check(self._average.module, self._validation, _CHECK_SCENES)
        self._tell({f"check_{name}": round(value, 4) for name, value in asdict(found).items()})

    def _save(self) -> None:
        import io  # noqa: PLC0415

        buffer = io.BytesIO()
        state = {
            "step": self.step,
            "seconds": self._progress.seconds(),
            "student": self._student.state_dict(),
            "average": self._average.module.state_dict(),
            "averaged": self._average.n_averaged,
            "optimiser": self._optimiser.state_dict(),
        }
        self._torch.save(state, buffer)
        write_atomically(self._state, buffer.getvalue())

    def _restore(self) -> None:
        state = self._torch.load(self._state, weights_only=True)
        self.step = int(state["step"])
        self._progress.before = float(state["seconds"])
        self._student.load_state_dict(state["student"])
        self._average.module.load_state_dict(state["average"])
        self._average.n_averaged.copy_(state["averaged"])
        self._optimiser.load_state_dict(state["optimiser"])
        print(f"going on after {self.step * self._options.batch} samples")
