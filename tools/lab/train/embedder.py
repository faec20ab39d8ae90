"""`passerby-lab train embedder`: teaches the built-in embedder to answer as its teacher does.

Loss, for a batch of templates of unit length: 1 - cosine to the teacher's; plus the squared
difference of the two matrices of similarities (Park et al., "Relational Knowledge Distillation",
CVPR 2019); plus 1 - cosine of the maps on the way (Romero et al., "FitNets", ICLR 2015), through
one 1 x 1 convolution each, which is thrown away afterwards. Of rendered people it is known who they
are, better than any teacher sees it: they are learnt by that (known.py).
"""

import argparse
import copy
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor, nn
from torch.nn import functional

from tools.console import console, notes
from tools.lab.train.journal import Journal
from tools.lab.train.known import KnownPeople
from tools.lab.train.lessons import Lesson, loader, small
from tools.lab.train.pairs import crops_of
from tools.lab.train.samples import Recipe
from tools.lab.train.sources import Sources, load
from tools.lab.train.student import TEMPLATE_LENGTH, Layout, Student
from tools.lab.train.watch import Watch

BATCH = 64
_RATE = 2e-3
_WARM_UP = 10_000
_DECAY = 0.3
"""The last part of the samples, over which the learning rate falls to nought."""
_AVERAGE = 0.999
_RELATION_WEIGHT = 4.0
_HINT_WEIGHT = 0.5
_KNOWN_WEIGHT = 0.05
_REPEATED = 12_000
"""Samples of the past that are learnt again (--repeats): teaching is slower than learning."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="aligned crops with manifest.csv")
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], metavar="FILE.npz")
    parser.add_argument("--teacher", type=Path, required=True, metavar="FILE.xml")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--samples", type=int, default=480_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from what is in --out")
    parser.add_argument("--watch", type=Path, metavar="FILE.npz", help="pairs to measure")
    parser.add_argument("--rendered-share", type=float, default=Recipe.rendered_share)
    parser.add_argument("--strength", type=float, default=Recipe.strength)
    parser.add_argument("--turn", type=float, default=Recipe.turn)
    parser.add_argument("--paint", type=float, default=Recipe.paint)
    parser.add_argument("--met", type=int, default=Recipe.met, metavar="PEOPLE")
    parser.add_argument("--met-from", type=int, default=250_000, metavar="SAMPLES")
    parser.add_argument("--no-mix", action="store_true")
    parser.add_argument("--no-tone", action="store_true")
    parser.add_argument("--repeats", type=float, default=0.3, help="old batches for each new one")
    parser.add_argument("--report-every", type=int, default=20_000, metavar="SAMPLES")
    parser.add_argument("--threads", type=int, default=1)


def run(options: argparse.Namespace) -> int:
    """Train until --samples are seen; 0."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    training = Training(options)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=notes,
    ) as progress:
        bar = progress.add_task("embedder", total=options.samples, completed=training.samples)
        for text in training.run():
            progress.update(bar, completed=training.samples, description=text)
    console.print(f"{training.samples:,} samples; {options.out / 'student.pt'}", markup=False)
    return 0


class Training:
    """One training, with all that a checkpoint keeps."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.out: Path = options.out
        self.total: int = options.samples
        self.repeats: float = options.repeats
        self.report_every: int = options.report_every
        # A student that knows no faces yet learns them worse when it has to tell people apart.
        self.met_from: int = options.met_from
        self.samples = 0
        self.student = Student(Layout()).to(memory_format=torch.channels_last)
        self.hints = nn.ModuleList(
            nn.Conv2d(a, b, 1)
            for a, b in zip(self.student.layout.channels, (64, 128, 128), strict=True)
        )
        self.average = copy.deepcopy(self.student).eval()
        sources = load(options.data, options.rendered)
        self.known = KnownPeople(1 + int(sources.people.max(initial=-1)), TEMPLATE_LENGTH)
        parameters = [*self.student.parameters(), *self.hints.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=0.02)
        self.out.mkdir(parents=True, exist_ok=True)
        if options.resume and (self.out / "checkpoint.pt").is_file():
            self._restore()
        self.journal = Journal(self.out / "journal.jsonl", samples=self.samples)
        self.recipe = Recipe(
            rendered_share=options.rendered_share,
            mix=not options.no_mix,
            strength=options.strength,
            turn=options.turn,
            paint=options.paint,
            tone=not options.no_tone,
            met=options.met,
        )
        self._introduce(sources)
        self.watch = Watch.read(options.watch, options.teacher)
        # Another part of the endless samples after every restart, never the same ones again.
        seed = options.seed * 1_000_003 + self.samples
        self.lessons = loader(sources, self.recipe, options.teacher, seed, BATCH)
        self.past: deque[Lesson] = deque(maxlen=_REPEATED // BATCH)
        self.rng = np.random.default_rng(seed)
        self.journal.write(
            samples=self.samples,
            event="start",
            recipe=asdict(self.recipe),
            layout=asdict(self.student.layout),
            photographs=sources.photographs,
            rendered=len(sources.people),
            people=len(self.known.means),
            repeats=self.repeats,
            met_from=self.met_from,
            torch=torch.__version__,
        )

    def run(self) -> Iterator[str]:
        """Learn; yields a line for the progress bar now and then."""
        report = self.samples + self.report_every
        losses: list[tuple[float, ...]] = []
        while self.samples < self.total:
            lesson = next(self.lessons)
            losses.append(self._learn(lesson))
            self.samples += BATCH
            self.past.append(lesson)
            for _ in range(int(self.repeats + self.rng.random())):
                self._learn(self.past[int(self.rng.integers(len(self.past)))])
            if self.samples >= report or self.samples >= self.total:
                report += self.report_every
                yield self._report(losses)
                losses = []

    def _learn(self, lesson: Lesson) -> tuple[float, ...]:
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        self.student.train()
        taught = len(lesson.faces)
        faces = torch.cat([lesson.faces, lesson.met]).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            templates, maps = self.student(faces.float())
            hints = [hint(each[:taught]) for hint, each in zip(self.hints, maps, strict=True)]
        mine = functional.normalize(templates.float())
        terms = _terms(mine[:taught], lesson.templates, hints, lesson.maps)
        known = self.known.loss(mine[taught:], lesson.people)
        loss = terms[0] + _RELATION_WEIGHT * terms[1] + _HINT_WEIGHT * terms[2]
        self.optimiser.zero_grad(set_to_none=True)
        weight = _KNOWN_WEIGHT if self.samples >= self.met_from else 0.0
        (loss + weight * known).backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 2.0)
        self.optimiser.step()
        self.known.meet(mine[taught:].detach(), lesson.people)
        self._mean()
        return tuple(term.item() for term in (*terms, known))

    def _rate(self) -> float:
        warm = min(1.0, (self.samples + BATCH) / _WARM_UP)
        left = (self.total - self.samples) / (_DECAY * self.total)
        return _RATE * min(warm, max(0.002, min(1.0, left)))

    @torch.no_grad()
    def _introduce(self, sources: Sources) -> None:
        """Let everybody's rendered views into the means, as the student sees them now."""
        for start in range(0, len(sources.people), BATCH):
            crops = crops_of(sources.pixels[sources.photographs :][start : start + BATCH])
            faces = small(crops).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                templates, _ = self.average(faces.float())
            mine = functional.normalize(templates.float())
            self.known.meet(mine, torch.from_numpy(sources.people[start : start + BATCH]))

    @torch.no_grad()
    def _mean(self) -> None:
        """Keep a running mean of the weights: steadier than the weights themselves."""
        part = max(1 - _AVERAGE, BATCH / (self.samples + BATCH))
        theirs = self.student.state_dict()
        for name, mine in self.average.state_dict().items():
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs[name], part)

    def _report(self, losses: list[tuple[float, ...]]) -> str:
        cosine, relation, hint, known = (round(float(value), 5) for value in np.mean(losses, 0))
        figures = self.watch.measure(self.average)
        self.journal.write(
            samples=self.samples,
            cosine=round(1 - cosine, 5),
            relation=relation,
            hint=hint,
            known=known,
            rate=self._rate(),
            **figures,
        )
        self._save()
        told = " ".join(f"{name} {value:.4f}" for name, value in figures.items())
        return f"cosine {1 - cosine:.3f} {told}"

    def _save(self) -> None:
        state: dict[str, Any] = {
            "samples": self.samples,
            "student": self.student.state_dict(),
            "average": self.average.state_dict(),
            "hints": self.hints.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        for name, content in (("checkpoint", state), ("student", state["average"])):
            part = self.out / f"{name}.pt.part"
            torch.save(content, part)
            os.replace(part, self.out / f"{name}.pt")  # noqa: PTH105 - the atomic one

    def _restore(self) -> None:
        state = torch.load(self.out / "checkpoint.pt", weights_only=True)
        self.samples = state["samples"]
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        self.hints.load_state_dict(state["hints"])
        self.optimiser.load_state_dict(state["optimiser"])


def _terms(
    mine: Tensor, theirs: Tensor, hints: list[Tensor], maps: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three terms of the loss."""
    cosine = 1 - (mine * theirs).sum(1).mean()
    relation = ((mine @ mine.T - theirs @ theirs.T) ** 2).mean()
    hint = torch.stack(
        [
            1 - functional.cosine_similarity(a.float(), b.float(), dim=1).mean()
            for a, b in zip(hints, maps, strict=True)
        ]
    ).mean()
    return cosine, relation, hint
