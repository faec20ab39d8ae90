"""Tiny clips for the benchmark, and contestants that do as they are told."""

import numpy as np

from device.opencv import cv2
from tools.lab.bench.clip import LORES, MAIN, REFERENCES, SECONDS, Passage, Truth, write_truth
from tools.lab.bench.contestant import FrameResult
from tools.lab.bench.worker import PassageScores, Run

SIZE, SMALL = (64, 32), (32, 16)


def clip(  # noqa: PLR0913 - a clip is these facts
    folder, *, name="tiny", frames=4, passages=(), laps=1, references=("ref-1", "ref-2")
):
    """Write a clip whose main stream's first byte of frame n is n."""
    folder.mkdir()
    for file, (wide, high) in ((MAIN, SIZE), (LORES, SMALL)):
        pixels = np.full((frames, high * 3 // 2, wide), 128, np.uint8)
        pixels[:, 0, 0] = np.arange(frames)
        np.save(folder / file, pixels)
    np.save(folder / SECONDS, np.arange(frames) / 10)
    (folder / REFERENCES).mkdir()
    for reference in references:
        cv2.imwrite(str(folder / REFERENCES / f"{reference}.png"), np.zeros((8, 8, 3), np.uint8))
    write_truth(folder, Truth(name, SIZE, SMALL, [Passage(*p) for p in passages], laps))
    return folder


class Scripted:
    """A contestant that answers frame n, of all laps, with the n-th of its results, else none."""

    def __init__(self, results=(), wants=()):
        self.name = "scripted"
        self.wants = frozenset(wants)
        self.results = list(results)
        self.shown = []
        self.seconds = []
        self.begun = 0

    def versions(self):
        return {"script": "1"}

    def enrol(self, stills):
        return [still.stem for still in stills]

    def begin(self):
        self.begun += 1
        self.shown, self.seconds = [], []

    def frame(self, view, seconds):
        self.shown.append(view)
        self.seconds.append(seconds)
        number = len(self.shown) - 1
        return self.results[number] if number < len(self.results) else FrameResult(0, 0)


def run(clip_name="tiny", cpu_s=1.0, frames=10, passages=(), figures=None):
    """A run, as a worker returns it."""
    return Run(
        clip=clip_name,
        frames=frames,
        cpu_s=cpu_s,
        wall_s=cpu_s,
        faces=0,
        embedded=0,
        passages=list(passages),
        frame_ms=[1.0] * frames,
        figures=figures or {},
        peak_mb=10.0,
    )


def passage(identity, best, *, enrolled=False, alert=None, counts=(0, 0)):
    """Scores of a passage. counts: templates and tracks."""
    return PassageScores(identity, enrolled, best, alert or {}, 0, *counts)
