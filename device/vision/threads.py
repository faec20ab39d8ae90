"""How many threads a network gets: measured on this board, with pictures of nobody.

The rule: the fewest with which a detection takes at most half of the time between two; where none
is that quick, the fastest. And never more than pay: another thread must make it 15 % faster. More
threads cost processor time, heat and some privacy (docs/forgetting.md, "More threads").
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from msgspec import Struct

from device.board import Board, this_board
from device.measured import Kept
from device.settings import VisionSettings
from device.vision.inference import Network
from device.vision.noise import noise

MOST_THREADS: Final = 4
_SHARE: Final = 0.5
"""Of the time between two detections: the rest is for the second look and the comparisons."""
_PAYS: Final = 0.85
_BUSY: Final = 1.5
_WARMING, _TIMED = 1, 5
"""Passes per count of threads: at most 24 in a sweep, and the one in which each is opened."""
_SEED: Final = 20260101


class Timing(Struct, frozen=True, forbid_unknown_fields=True):
    """One pass of a network with so many threads, in milliseconds: medians of five.

    cpu_ms: of the whole process, so that the threads' waiting for one another counts.
    """

    threads: int
    wall_ms: float
    cpu_ms: float

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{threads} {self.wall_ms:.1f} ms ({self.cpu_ms:.1f} of processor time)"


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """What a sweep depends on; with another of these it is made again."""

    board: str
    cores: int
    runtime: str
    version: str
    model: str
    wanted_ms: float


class Sweep(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a sweep."""

    key: Key
    timings: list[Timing]


class Opening(Protocol):
    """Opens the network that is measured."""

    def __call__(self, threads: int) -> Network:
        """Return it with so many threads. Raises ModelError."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is measured and kept. kept: None: nowhere."""

    board: Board
    kept: Kept | None = None


def wanted_ms(vision: VisionSettings) -> float:
    """Return how long a detection may take, in milliseconds."""
    return 1000 * _SHARE / max(vision.searches_per_s, vision.follows_per_s)


def chosen(timings: list[Timing], wanted: float) -> int:
    """Return the rule's count. timings: by rising count, at least one. wanted: milliseconds."""
    best = timings[0]
    for timing in timings[1:]:
        if best.wall_ms <= wanted or timing.wall_ms > _PAYS * best.wall_ms:
            break
        best = timing
    return best.threads


def swept(
    opening: Opening, cores: int, wanted: float, timed: "Callable[[Network], Timing] | None" = None
) -> list[Timing]:
    """Measure one thread, two, … until it is quick enough or another no longer helps.

    wanted: milliseconds; 0: measure until another no longer helps. timed: measures one network.
    Raises ModelError.
    """
    timings: list[Timing] = []
    for threads in range(1, min(MOST_THREADS, max(1, cores)) + 1):
        network = opening(threads)
        timings.append((timed or timing_of)(network))
        if chosen(timings, wanted) < threads or timings[-1].wall_ms <= wanted:
            break
    return timings


def timing_of(network: Network) -> Timing:
    """Measure a network on noise; what it computed of that is no face's."""
    picture = noise(_SEED, *network.input_shape[1:])
    for _ in range(_WARMING):
        network.run(picture)
    wall, cpu = [], []
    for _ in range(_TIMED):
        began, spent = time.perf_counter(), time.process_time()
        network.run(picture)
        wall.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - spent))
    return Timing(network.runtime.threads, float(np.median(wall)), float(np.median(cpu)))


def measured(opening: Opening, model: str, wanted: float, place: Place) -> tuple[int, str]:
    """Return how many threads the rule takes on this board, and how that is known, in words.

    model: SHA-256 of the network's file. Raises ModelError.
    """
    first = opening(1)
    runtime = first.runtime
    key = Key(
        place.board.name, place.board.cores, runtime.name, runtime.version, model, round(wanted, 3)
    )
    record = None if place.kept is None else place.kept.read(Sweep)
    if record is not None and record.key == key and _sound(record.timings, place.board.cores):
        return chosen(record.timings, wanted), "threads measured here before"
    timings = swept(lambda threads: first if threads == 1 else opening(threads), key.cores, wanted)
    if place.kept is not None and _alone(timings[0]):
        place.kept.keep(Sweep(key, timings))
    return chosen(timings, wanted), "threads measured here"


def _alone(one_thread: Timing) -> bool:
    """Tell whether nothing else held the processor: figures of a busy moment are not kept."""
    return one_thread.wall_ms <= _BUSY * one_thread.cpu_ms


def _sound(timings: list[Timing], cores: int) -> bool:
    """Tell whether kept figures are such as a sweep makes: the file may have been changed."""
    counts = [timing.threads for timing in timings]
    most = min(MOST_THREADS, cores)
    return (
        bool(counts)
        and counts == list(range(1, len(counts) + 1))
        and len(counts) <= most
        # A NaN is no time: `<`, rather than `not >=`.
        and all(0 < timing.wall_ms < float("inf") for timing in timings)
    )


def here(kept: Kept | None = None) -> Place:
    """Return this board as a place. kept: where figures are kept, None: nowhere."""
    return Place(this_board(), kept)
