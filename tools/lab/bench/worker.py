"""`python -m tools.lab.bench.worker NAME`: one contestant, in a process of its own.

Reads one JSON object per line on standard input and answers with one on standard output:

{"do": "versions"} -> {"name", "versions"}
{"do": "enrol", "stills": [PATH, ...]} -> {"ids": [ID, ...]}
{"do": "clip", "folder": PATH, "hurry": N} -> a `Run`
{"do": "quit"} -> nothing

Before the first question it says {"ready": NAME}, or {"absent": "why, in one sentence"} and ends. A
question that cannot be answered gets {"error": "why"}. What libraries print goes to standard error.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from device.errors import PasserbyError
from tools.lab.bench.clip import Clip, Passage
from tools.lab.bench.contestant import (
    PEER_MODELS,
    AbsentError,
    Contestant,
    FrameResult,
    Score,
    Setup,
    WithFigures,
    load,
)


class PassageScores(msgspec.Struct):
    """What a contestant made of one passage: per reference the best score of any frame.

    alert: the same of what its own rule named. faces, embedded, tracks: sums over its frames.
    """

    identity: str
    enrolled: bool
    best: dict[str, float]
    alert: dict[str, float]
    faces: int = 0
    embedded: int = 0
    tracks: int = 0


class Run(msgspec.Struct):
    """One clip, once. cpu_s, wall_s: of the calls of `frame` alone, all threads of the process.

    frames: that were shown. frame_ms: wall milliseconds of each. figures: what the contestant
    counts besides. peak_mb: most memory that the process has held so far, in 10^6 bytes.
    """

    clip: str
    frames: int
    cpu_s: float
    wall_s: float
    faces: int
    embedded: int
    passages: list[PassageScores]
    frame_ms: list[float]
    figures: dict[str, float]
    peak_mb: float


def run_clip(
    contestant: Contestant,
    clip: Clip,
    hurry: int = 1,
    *,
    cpu: Callable[[], float] = time.process_time,
    wall: Callable[[], float] = time.perf_counter,
) -> Run:
    """Show a clip to a contestant. Only `frame` is on the clocks, which give seconds.

    One that is so slow that it declares a `stride` above 1 sees every stride-th frame, or of those
    again only every hurry-th: what a frame costs is as true of them.
    """
    stride = getattr(contestant, "stride", 1)
    stride *= hurry if stride > 1 else 1
    passages = [PassageScores(p.identity, p.enrolled, {}, {}) for p in clip.truth.passages]
    cpu_s, frame_ms = 0.0, []
    faces = embedded = 0
    contestant.begin()
    for number, view, seconds in clip.views(contestant.wants):
        if number % stride:
            continue
        cpu_begun, wall_begun = cpu(), wall()
        result = contestant.frame(view, seconds)
        wall_ended, cpu_ended = wall(), cpu()
        cpu_s += cpu_ended - cpu_begun
        frame_ms.append(1000 * (wall_ended - wall_begun))
        faces, embedded = faces + result.faces, embedded + result.embedded
        _note(number, result, clip.truth.passages, passages)
    figures = contestant.figures() if isinstance(contestant, WithFigures) else {}
    return Run(
        clip=clip.truth.name,
        frames=len(frame_ms),
        cpu_s=cpu_s,
        wall_s=sum(frame_ms) / 1000,
        faces=faces,
        embedded=embedded,
        passages=passages,
        frame_ms=[round(value, 4) for value in frame_ms],
        figures=figures,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    )


def _note(
    number: int, result: FrameResult, truth: list[Passage], passages: list[PassageScores]
) -> None:
    for passage, scores in zip(truth, passages, strict=True):
        if passage.first <= number <= passage.last:
            scores.faces += result.faces
            scores.embedded += result.embedded
            scores.tracks += result.tracks
            _raise(scores.best, result.best)
            _raise(scores.alert, result.alert)


def _raise(best: dict[str, float], found: list[Score]) -> None:
    for reference, score in found:
        # Not every library's numbers are Python's.
        best[reference] = max(best.get(reference, -np.inf), float(score))


def _answer(contestant: Contestant, question: dict[str, Any]) -> object:
    match question.get("do"):
        case "versions":
            return {"name": contestant.name, "versions": contestant.versions()}
        case "enrol":
            return {"ids": contestant.enrol([Path(still) for still in question["stills"]])}
        case "clip":
            return run_clip(
                contestant, Clip.open(Path(question["folder"])), question.get("hurry", 1)
            )
        case unknown:
            return {"error": f"Nobody can do {unknown!r} here."}


def _converse(contestant: Contestant, questions: IO[bytes], answers: IO[bytes]) -> None:
    for line in questions:
        question = msgspec.json.decode(line)
        if question.get("do") == "quit":
            return
        try:
            answer = _answer(contestant, question)
        except PasserbyError as error:
            answer = {"error": str(error)}
        _say(answers, answer)


def _say(answers: IO[bytes], answer: object) -> None:
    answers.write(msgspec.json.encode(answer) + b"\n")
    answers.flush()


def _own_output() -> IO[bytes]:
    """Take standard output for the answers; what libraries print there goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def main(arguments: list[str] | None = None) -> int:
    """Serve one contestant until its questions end; 0, also when it is absent."""
    parser = argparse.ArgumentParser(prog="python -m tools.lab.bench.worker")
    parser.add_argument("name")
    parser.add_argument("--peer-models", type=Path, default=PEER_MODELS, metavar="DIR")
    options = parser.parse_args(arguments)
    with _own_output() as answers:
        try:
            contestant = load(options.name, Setup(options.peer_models))
        except AbsentError as error:
            _say(answers, {"absent": str(error)})
            return 0
        _say(answers, {"ready": options.name})
        _converse(contestant, sys.stdin.buffer, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
