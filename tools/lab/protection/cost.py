"""What protection costs at the cap of R12: bytes, seconds, memory, and time per comparison."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from msgspec import Struct

from device.matching import scores_of
from device.matching.protection import Floats
from tools.lab.protection.accuracy import opened, sealed_list
from tools.lab.protection.linkage import gallery_of

_REPEATS = 200
_ROUNDS = 5


class Cost(Struct, frozen=True):
    """What one list costs.

    seal_s, open_s: the median of five. plain_us, protected_us: one probe's scores with the whole
    list, the least of five means. rss_kb: growth of the process when the list is opened. locked:
    whether all of it was kept out of swap.
    """

    references: int
    dimension: int
    file_bytes: int
    seal_s: float
    open_s: float
    rss_kb: int
    locked: bool
    plain_us: float
    protected_us: float

    @property
    def ratio(self) -> float:
        """How many times as long a comparison takes."""
        return self.protected_us / self.plain_us


def cost(templates: Floats) -> Cost:
    """Measure a list of these templates, (n, dimension) float32."""
    made = sealed_list(templates)
    seal_s = _median(lambda: sealed_list(templates))
    open_s = _median(lambda: opened(made.content).wipe())
    before = _resident_kb()
    protected = opened(made.content)
    rss_kb = _resident_kb() - before
    plain = gallery_of(templates)
    probe = templates[:1] / np.linalg.norm(templates[:1])
    figures = Cost(
        len(templates),
        templates.shape[1],
        len(made.content),
        seal_s,
        open_s,
        rss_kb,
        protected.fault is None,
        _microseconds(lambda: scores_of(plain, probe)),
        _microseconds(lambda: scores_of(protected, probe)),
    )
    protected.wipe()
    return figures


def _median(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return sorted(spent)[_ROUNDS // 2]


def _microseconds(work: Callable[[], object]) -> float:
    means = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        for _ in range(_REPEATS):
            work()
        means.append((time.perf_counter() - start) / _REPEATS * 1e6)
    return min(means)


def _resident_kb() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * resource.getpagesize() // 1024
