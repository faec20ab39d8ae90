"""What protection costs at the cap of R12: bytes, seconds, memory, and time per comparison."""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from msgspec import Struct

from device.matching import Limits, compare
from device.matching.protection import Floats
from device.vision.sample import Probe
from tools.lab.protection.accuracy import opened, sealed_list
from tools.lab.protection.linkage import gallery_of
from tools.lab.turns import in_turns

_REPEATS = 200
_ROUNDS = 11
_TIMES = 5
_NOBODY = 2.0
"""No score reaches it: a stranger's comparison, as almost all are."""


class Cost(Struct, frozen=True):
    """What one list costs.

    seal_s, open_s: the median of five. plain_us, protected_us: processor time of one probe's
    comparison with the whole list, the median of eleven means. rss_kb: growth of the process when
    the list is opened. locked: whether all of it was kept out of swap.
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
    plain, limits = gallery_of(templates), Limits(_NOBODY, 0.0, "lab")
    probe = Probe(templates[0] / np.linalg.norm(templates[0]))
    timed = in_turns(
        {
            "plain": lambda: compare(plain, probe, limits),
            "protected": lambda: compare(protected, probe, limits),
        },
        _ROUNDS,
        _REPEATS,
    )
    figures = Cost(
        len(templates),
        templates.shape[1],
        len(made.content),
        seal_s,
        open_s,
        rss_kb,
        protected.fault is None,
        median(timed["plain"]),
        median(timed["protected"]),
    )
    protected.wipe()
    return figures


def _median(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return median(spent)


def _resident_kb() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * resource.getpagesize() // 1024
