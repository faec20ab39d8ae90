"""From raw runs to costs: medians, spreads, and ratios to one contestant, pair by pair."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools.lab.bench.contest import Contested, RawRun


@dataclass(frozen=True, slots=True)
class Spread:
    """A median over repeats, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of values. Raises ValueError for none."""
        if not values:
            msg = "no value has no spread"
            raise ValueError(msg)
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Cost:
    """What one clip costs one contestant.

    cpu_ms: CPU milliseconds per frame. slow_ms: wall milliseconds that 99 frames of 100 stay below;
    of the repeats. ratio: of CPU time to the base's in the same repeat, None where it did not run.
    embedded, faces: of the first repeat. peak_mb: most memory of the process so far, 10^6 bytes.
    """

    contestant: str
    clip: str
    repeats: int
    cpu_ms: Spread
    slow_ms: Spread
    ratio: Spread | None
    faces: int
    embedded: int
    peak_mb: float


def costs(contested: Contested, base: str) -> list[Cost]:
    """Return the cost of every clip for every contestant that ran, in the order of the first run.

    base: the contestant to whom CPU times are related.
    """
    by_pair: dict[tuple[str, str], dict[int, RawRun]] = {}
    for raw in contested.runs:
        by_pair.setdefault((raw.run.clip, raw.contestant), {})[raw.repeat] = raw
    return [
        _cost(runs, by_pair.get((clip, base), {})) for (clip, _), runs in sorted_by_clip(by_pair)
    ]


def sorted_by_clip(
    by_pair: dict[tuple[str, str], dict[int, RawRun]],
) -> list[tuple[tuple[str, str], dict[int, RawRun]]]:
    """Return the pairs clip by clip, each kept in the order in which it came first."""
    clips = list(dict.fromkeys(clip for clip, _ in by_pair))
    return sorted(by_pair.items(), key=lambda item: clips.index(item[0][0]))


def _cost(runs: dict[int, RawRun], base: dict[int, RawRun]) -> Cost:
    first = runs[min(runs)]
    both = sorted(runs.keys() & base.keys())
    ratios = [_cpu_ms(runs[repeat]) / _cpu_ms(base[repeat]) for repeat in both]
    return Cost(
        contestant=first.contestant,
        clip=first.run.clip,
        repeats=len(runs),
        cpu_ms=Spread.of([_cpu_ms(raw) for raw in runs.values()]),
        slow_ms=Spread.of([float(np.percentile(raw.run.frame_ms, 99)) for raw in runs.values()]),
        ratio=Spread.of(ratios) if ratios else None,
        faces=first.run.faces,
        embedded=first.run.embedded,
        peak_mb=max(raw.run.peak_mb for raw in runs.values()),
    )


def _cpu_ms(raw: RawRun) -> float:
    return 1000 * raw.run.cpu_s / raw.run.frames


@dataclass(frozen=True, slots=True)
class PerTrack:
    """How many templates a contestant makes of a passing face.

    embedded: templates made during passages. tracks: how often a face was taken for a new one.
    """

    passages: int
    tracks: int
    embedded: int

    @property
    def embedded_per_track(self) -> float:
        """Templates per track; nan without a track."""
        return self.embedded / self.tracks if self.tracks else float("nan")


def per_track(contested: Contested, contestant: str, clip: str) -> dict[str, PerTrack]:
    """Return templates per track, of "enrolled" people and of "strangers", from the first repeat.

    Only for clips whose passages do not overlap: elsewhere nobody knows whose template it was.
    Returns {} where it did not run.
    """
    runs = [r.run for r in contested.runs if (r.contestant, r.run.clip) == (contestant, clip)]
    if not runs:
        return {}
    found = {}
    for name, enrolled in (("enrolled", True), ("strangers", False)):
        mine = [p for p in runs[0].passages if p.enrolled is enrolled]
        tracks, embedded = sum(p.tracks for p in mine), sum(p.embedded for p in mine)
        found[name] = PerTrack(len(mine), tracks, embedded)
    return found


def stage_shares(contested: Contested, contestant: str, clip: str) -> dict[str, Spread]:
    """Return each stage's part of the CPU time in [0, 1]; {} where `contestant` has no stages."""
    mark = "stage: "
    shares: dict[str, list[float]] = {}
    for raw in contested.runs:
        if (raw.contestant, raw.run.clip) != (contestant, clip):
            continue
        stages = {k[len(mark) :]: v for k, v in raw.run.figures.items() if k.startswith(mark)}
        total = sum(stages.values())
        for name, seconds in stages.items():
            shares.setdefault(name, []).append(seconds / total if total else 0.0)
    return {name: Spread.of(values) for name, values in shares.items()}
