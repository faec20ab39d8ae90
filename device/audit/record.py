"""What a deployment adds up to over all runs and restarts, for its record (R37, R42)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from device.audit.head import standing
from device.audit.line import Line, decode, hash_of
from device.audit.link import Link
from device.audit.reading import Snapshot
from device.audit.totals import count
from device.protocol.record import Count

_COUNTS: Final = ("frames", "faces", "appearances", "compared", "destroyed", "faults")


class ListTotals(Struct):
    """The counts of one watchlist. "unknown": a run was broken off, so some counts are lost.

    from_at, until_at: first and newest line that tells of it; None when none does. alerts and
    attacks have a line each, and are known even then. at_least: the counts that are known.
    lost_since: when the counts of a broken run were last written, one entry a run.
    """

    from_at: str | None = None
    until_at: str | None = None
    frames: Count = 0
    faces: Count = 0
    appearances: Count = 0
    compared: Count = 0
    destroyed: Count = 0
    faults: Count = 0
    attacks: Count = 0
    alerts: Count = 0
    at_least: dict[str, int] = {}
    lost_since: list[str] = []


def totals_of(log: Path, watchlist_id: str, *, running: bool) -> ListTotals:
    """Add up the log for one watchlist. Raises StorageError when it cannot be read.

    running: the caller is the appliance whose run is the newest, and has just closed its `Tally`;
    otherwise a run without its `stop` was broken off. A log that is not whole, that the device
    found damaged, or could not write for long, or that has no line of this watchlist, knows
    nothing: all counts are "unknown".
    """
    adding = _Adding(watchlist_id)
    chain = _Chain(Snapshot.of(log))
    for line in chain.lines():
        adding.take(line)
    if not chain.whole:
        adding.doubt()
    if not running:
        adding.break_off()
    return adding.result()


class _Chain:
    """Reads a log and sees whether all of it is there, as it was written.

    whole: no line is missing, changed, repeated or out of its place, at the end neither. Signatures
    are the verifier's to check; what damages a log by chance breaks the chain.
    """

    def __init__(self, log: Snapshot) -> None:
        self._log = log
        self.number = 0
        self.last_hash = self.before_hash = ""
        self.whole = True

    def lines(self) -> Iterator[Line]:
        """Yield the whole lines. Raises StorageError."""
        link = Link()
        for at, piece in enumerate(self._log.pieces(), 1):
            line = decode(piece.content, Line) if piece.begins else None
            if line is None:
                link.add(at, piece)
                continue
            unexplained = link.strange and line.event != "line cut short"
            if unexplained or (line.number, line.previous) != (self.number + 1, link.name):
                self.whole = False
            self.before_hash, self.last_hash = self.last_hash, hash_of(piece.content)
            self.number = line.number
            link.restart(piece.content)
            yield line
        unpromised = all(one.unfinished for one in link.strange)
        if not unpromised or standing(self._log.head, self, None).state == "damaged":
            self.whole = False


class _Adding:
    """current: the watchlist in use. comparing: its counts may be open."""

    def __init__(self, watchlist_id: str) -> None:
        self._id = watchlist_id
        self._totals = ListTotals()
        self._known = dict.fromkeys((*_COUNTS, "attacks", "alerts"), 0)
        self._current = ""
        self._comparing = False
        self._written_at = ""
        self._incomplete = False

    def take(self, line: Line) -> None:
        event, listed = line.event, str(line.details.get("watchlist", ""))
        if event == "start":
            self.break_off()
            self._current, self._comparing, self._written_at = listed, bool(listed), line.at
        elif event in ("stop", "disarmed", "list wiped"):
            self._comparing = False
        elif event in ("list loaded", "armed"):
            self._current = listed
            self._comparing = self._comparing or event == "armed"
            self._written_at = line.at
        elif event == "log damaged" or count(line, "unwritten"):
            self._incomplete = True
        self._count(line, listed)
        if self._id in (listed, self._current):
            self._totals.from_at = self._totals.from_at or line.at
            self._totals.until_at = line.at
        if event in ("stop", "list wiped"):
            self._current = ""

    def break_off(self) -> None:
        """Note that a run ended without its end: what it had not written is lost."""
        if self._comparing and self._current == self._id:
            self._totals.lost_since.append(self._written_at)
        self._comparing, self._current = False, ""

    def doubt(self) -> None:
        """Note that the log is not whole: then it knows nothing."""
        self._incomplete = True

    def result(self) -> ListTotals:
        totals, known = self._totals, self._known
        totals.at_least = known
        nothing = self._incomplete or totals.from_at is None
        for name, number in known.items():
            unknown = nothing or (name in _COUNTS and totals.lost_since)
            setattr(totals, name, "unknown" if unknown else number)
        return totals

    def _count(self, line: Line, listed: str) -> None:
        if line.event == "searched" and listed == self._id:
            for name in _COUNTS:
                self._known[name] += count(line, name)
            self._written_at = line.at
        elif self._current == self._id and line.event == "alert":
            self._known["alerts"] += 1
        elif self._current == self._id and line.event == "presentation attack judged":
            self._known["attacks"] += 1
