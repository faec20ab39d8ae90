"""Copy all memory of a process while it stands still, page by page.

What could not be read is counted and named, and a process without memory is an error: nothing is
passed over in silence. Only anonymous pages that no one ever wrote are left out: there are none.
"""

import bisect
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np

from .mappings import PAGE, mappings, pages_of

STOPPED = frozenset("TtZX")
STOP_WITHIN_S = 10.0
GONE = "Process {} has ended and has no memory left: start it again."
NO_WAY = (
    "The memory of process {} cannot be read ({}): run this as root, or in a user namespace of its"
    " own (unshare --user --map-root-user) that also starts the process."
)


class UnreadableError(Exception):
    """The memory of the process cannot be read, or the process does not stand still."""


def may_read(pid):
    """None, or a sentence that says why the memory of the process cannot be read."""
    try:
        first = next(each for each in mappings(pid) if "r" in each.permissions)
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            os.pread(memory.fileno(), 8, first.start)
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return GONE.format(pid)
    except OSError as error:
        return NO_WAY.format(pid, error.strerror)
    return None


@cache
def no_reading():
    """None, or why the memory of a program that closes itself to others cannot be read here."""
    with subprocess.Popen(
        [sys.executable, "-c", _CLOSED], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as closed:
        closed.stdout.readline()
        why = may_read(closed.pid)
    if why is None:
        return None
    return (
        "The memory of a program that closes itself to others can be read by root only: run this "
        "as root, or where `unshare --user --map-root-user` works."
    )


_CLOSED = """
import ctypes, sys
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
print(flush=True)
sys.stdin.read()
"""


def _states(pid):
    """The state of each thread: `R`, `S`, `D`, `T`, …"""
    states = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            states.add(stat.read_text(errors="replace").rpartition(")")[2].split()[0])
    return states


@contextmanager
def standing_still(pid):
    """Hold all threads of the process. One that stood already stays so afterwards."""
    stood = _states(pid) <= STOPPED
    try:
        os.kill(pid, signal.SIGSTOP)
        _wait_until_stopped(pid)
        yield
    except (ProcessLookupError, FileNotFoundError) as error:
        raise UnreadableError(GONE.format(pid)) from error
    finally:
        if not stood:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _wait_until_stopped(pid):
    end = time.monotonic() + STOP_WITHIN_S
    while not _states(pid) <= STOPPED:
        if time.monotonic() > end:
            raise UnreadableError(
                f"Process {pid} did not stop within {STOP_WITHIN_S:g} s: see /proc/{pid}/wchan for"
                " what it waits for."
            )
        time.sleep(0.0005)


class Snapshot:
    """Pages of a process and what they held. pages: (n,) int64 page numbers, ascending."""

    def __init__(self):
        self.pages = np.empty(0, np.int64)
        self._buffer = np.empty(0, np.uint8)

    @property
    def buffer(self):
        """(n * 4096,) uint8: the pages one behind the other."""
        return self._buffer[: len(self.pages) * PAGE]

    @property
    def contents(self):
        """(n, 512) uint64: one row per page."""
        return self.buffer.view(np.uint64).reshape(-1, PAGE // 8)

    def room(self, pages):
        """Return a buffer for so many pages; the one of the last time if it is large enough."""
        if not pages * PAGE <= len(self._buffer) <= 2 * pages * PAGE:
            self.pages, self._buffer = self.pages[:0], np.empty(0, np.uint8)
            self._buffer = np.empty(pages * PAGE, np.uint8)
        return self._buffer


class Reading:
    """One pass over a process that stands still, into a snapshot.

    whole: also what a file has, and not only what the process wrote over it. untouched: bytes of
    mappings that nobody wrote yet. unreadable: mapping → bytes that could not be read.
    """

    def __init__(self, pid, snapshot, *, whole):
        self.mappings = mappings(pid)
        if not self.mappings:
            raise UnreadableError(GONE.format(pid))
        self._starts = [each.start for each in self.mappings]
        self.unreadable = Counter()
        self.untouched = 0
        with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as pagemap:
            runs = [run for each in self.mappings for run in self._runs(pagemap, each, whole=whole)]
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            snapshot.pages = self._read(memory.fileno(), snapshot, runs)
        self.bytes_read = len(snapshot.buffer)

    def _runs(self, pagemap, mapping, *, whole):
        """The (mapping, first page, pages) to read of one mapping."""
        pages = pages_of(pagemap, mapping, whole=whole)
        if mapping.anonymous:
            self.untouched += mapping.length - len(pages) * PAGE
        for run in np.split(pages, np.flatnonzero(np.diff(pages) > 1) + 1):
            if len(run):
                yield mapping, int(run[0]), len(run)

    def _read(self, memory, snapshot, runs):
        """Fill the snapshot's buffer. Returns the numbers of the pages that could be read."""
        view = memoryview(snapshot.room(sum(count for _, _, count in runs)))
        got, pages = 0, [np.empty(0, np.int64)]
        for mapping, first, count in runs:
            done = 0
            while done < count:
                into = view[got * PAGE : (got + count - done) * PAGE]
                read = _pages_read(memory, into, (first + done) * PAGE)
                pages.append(np.arange(first + done, first + done + read))
                got, done = got + read, done + read
                if done < count:  # the next page cannot be read
                    self.unreadable[mapping.name] += PAGE
                    done += 1
        return np.concatenate(pages)

    def name(self, address):
        """The mapping at an address, for a person."""
        return self.mappings[bisect.bisect_right(self._starts, address) - 1].name


def _pages_read(memory, into, address):
    """Read whole pages as far as it goes. Returns how many."""
    got = 0
    while got < len(into):
        try:
            more = os.preadv(memory, [into[got:]], address + got)
        except OSError:
            break
        if not more:
            break
        got += more
    return got // PAGE
