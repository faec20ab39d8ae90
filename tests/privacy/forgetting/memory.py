"""Search the whole memory of a process, or make an image of it by force.

Every mapping is read: anonymous, heap, stacks, shared, memfd, files that are already deleted,
locked, excluded from core dumps, and even what the process has closed to itself.
"""

import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .mappings import PAGE
from .needles import Finds, Piece
from .reading import Reading, Snapshot, UnreadableError, may_read, standing_still

__all__ = ["Memory", "Searched", "UnreadableError", "core_image", "may_read", "standing_still"]

MARGIN = 512  # bytes of the unchanged neighbours that are searched with a changed page
AT_ONCE = 256  # pages compared at once: 1 MiB stays in the processor's cache
EVERY_MAPPING = "0x7f"  # see core(5): also shared ones with a file, which a core leaves out
CORE_WITHIN_S = 120


@dataclass(frozen=True, slots=True)
class Searched:
    """What one search did. bytes_read, bytes_searched; regions: how many mappings there were.

    stopped_s: how long the process stood. untouched: bytes of mappings that nobody wrote yet.
    unreadable: (name, bytes) of each mapping with pages that could not be read.
    """

    finds: Finds
    bytes_read: int
    bytes_searched: int
    regions: int
    seconds: float
    stopped_s: float
    untouched: int
    unreadable: tuple[tuple[str, int], ...]


class Memory:
    """The memory of one process. Remembers what it read last, for `only_changed`."""

    def __init__(self, pid):
        self.pid = pid
        reason = may_read(pid)
        if reason is not None:
            raise UnreadableError(reason)
        self._last, self._spare = None, None

    def search(self, needles, *, only_changed=False):
        """Search all memory, or only pages that differ from the last time (the first time: all)."""
        began = time.perf_counter()
        last = self._last if only_changed else None
        now = (self._spare if last else self._last) or Snapshot()
        self._last, self._spare = None, None  # if the reading fails, nothing is compared with it
        with standing_still(self.pid):
            stopped = time.perf_counter()
            reading = Reading(self.pid, now, whole=last is None)
            stood = time.perf_counter() - stopped
        chosen = np.arange(len(now.pages)) if last is None else _changed(last, now)
        self._last, self._spare = now, last
        finds = needles.search_pieces(*_gathered(now, chosen))
        named = (replace(find, where=reading.name(find.at)) for find in finds)
        return Searched(
            Finds(named, finds.counted),
            bytes_read=reading.bytes_read,
            bytes_searched=len(chosen) * PAGE,
            regions=len(reading.mappings),
            seconds=time.perf_counter() - began,
            stopped_s=stood,
            untouched=reading.untouched,
            unreadable=tuple(sorted(reading.unreadable.items())),
        )


def _runs(*numbers):
    """Cut ascending numbers where one of the rows has a gap: (firsts, lasts), inclusive."""
    gaps = np.zeros(max(len(numbers[0]) - 1, 0), np.bool_)
    for row in numbers:
        gaps |= np.diff(row) != 1
    cuts = np.flatnonzero(gaps)
    return np.append(0, cuts + 1), np.append(cuts, len(numbers[0]) - 1)


def _changed(last, now):
    """Indices of the pages that are new or differ."""
    changed = np.ones(len(now.pages), np.bool_)
    _, after, before = np.intersect1d(now.pages, last.pages, True, return_indices=True)
    if not len(after):
        return np.flatnonzero(changed)
    for first, end in zip(*_runs(after, before), strict=True):
        for begin in range(first, end + 1, AT_ONCE):
            count = min(AT_ONCE, end + 1 - begin)
            here, there = after[begin], before[begin]
            differ = now.contents[here : here + count] != last.contents[there : there + count]
            changed[here : here + count] = differ.any(axis=1)
    return np.flatnonzero(changed)


def _gathered(now, chosen):
    """The chosen pages as one buffer, each run with a margin of its neighbours, and its pieces."""
    if not len(chosen):
        return now.buffer[:0], []
    pages = now.pages[chosen]
    firsts, lasts = _runs(pages)
    begins, ends = chosen[firsts] * PAGE, (chosen[lasts] + 1) * PAGE
    before = np.isin(pages[firsts] - 1, now.pages) * MARGIN
    after = np.isin(pages[lasts] + 1, now.pages) * MARGIN
    begins, ends, addresses = begins - before, ends + after, pages[firsts] * PAGE - before
    lengths = ends - begins
    starts = np.cumsum(lengths) - lengths
    buffer = now.buffer
    if len(chosen) < len(now.pages):
        buffer = np.concatenate([buffer[b:e] for b, e in zip(begins, ends, strict=True)])
    pieces = zip(starts.tolist(), lengths.tolist(), addresses.tolist(), strict=True)
    return buffer, [Piece(*piece) for piece in pieces]


def core_image(pid, path):
    """Write all memory of a process to a file, whatever it asked for. Returns a note on how."""
    reason = may_read(pid)
    if reason is not None:
        raise UnreadableError(reason)
    path = Path(path)
    path.unlink(missing_ok=True)
    gdb = shutil.which("gdb")
    if gdb is not None and _core_by_gdb(gdb, pid, path):
        return "a core image by gdb, with every mapping, also those excluded from core dumps"
    snapshot = Snapshot()
    with standing_still(pid):
        Reading(pid, snapshot, whole=True)
    snapshot.buffer.tofile(path)
    why = "gdb is not here, or may not attach"
    return f"all readable pages, one behind the other, written from /proc/PID/mem: {why}"


def _core_by_gdb(gdb, pid, path):
    """`gcore -a` leaves out shared mappings with a file; with the kernel's filter open none is."""
    mask = Path(f"/proc/{pid}/coredump_filter")
    before = mask.read_text()
    orders = (
        "set use-coredump-filter on",
        "set dump-excluded-mappings on",
        f"generate-core-file {path}",
    )
    command = [gdb, "-nx", "-batch", "-p", str(pid), *(f"-ex={order}" for order in orders)]
    try:
        mask.write_text(EVERY_MAPPING)
        done = subprocess.run(command, capture_output=True, check=False, timeout=CORE_WITHIN_S)
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    finally:
        with suppress(OSError):  # the process has ended meanwhile
            mask.write_text(f"0x{before.strip()}")
    return not done.returncode and path.is_file() and path.stat().st_size >= resident
