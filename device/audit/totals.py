"""`Totals`: what a log adds up to; and `Reconciler`, which adds it up and compares (R42).

Two kinds of lines tell of the same things: an `alert` line for every alert, and `searched` lines
with counts from the ledger. They must agree for every run of the appliance. Of a run that ended
without its `stop`, the counts after its newest `searched` line are unknown, and said to be.
"""

from dataclasses import dataclass, field

from msgspec import Struct

from device.audit.line import Line


class Searches(Struct):
    """What was searched for one purpose.

    files: by `passerby match`, each one search. The others are the camera's: frames, faces (people
    passing), comparisons, judged attacks, alerts.
    """

    files: int = 0
    frames: int = 0
    faces: int = 0
    appearances: int = 0
    compared: int = 0
    destroyed: int = 0
    attacks: int = 0
    alerts: int = 0
    faults: int = 0

    def add(self, line: Line) -> None:
        """Add the counts of a `searched` line."""
        for name in self.__struct_fields__[1:]:
            setattr(self, name, getattr(self, name) + count(line, name))


class Totals(Struct):
    """What a log adds up to. unknown: from when to when counts are unknown, one entry a run."""

    starts: int = 0
    stops: int = 0
    broken_off: int = 0
    alerts: int = 0
    alerts_lost: int = 0
    attacks: int = 0
    installs: int = 0
    unlocks: int = 0
    loads: int = 0
    orders: int = 0
    adjudications: int = 0
    exports: int = 0
    checkpoints: int = 0
    searches: dict[str, Searches] = {}
    unknown: list[str] = []


_TALLIED = {
    "start": "starts",
    "stop": "stops",
    "alert": "alerts",
    "alert lost: there was no room for it": "alerts_lost",
    "presentation attack judged": "attacks",
    "bundle installed": "installs",
    "unlocked": "unlocks",
    "list loaded": "loads",
    "order obeyed": "orders",
    "adjudication received": "adjudications",
    "export": "exports",
    "checkpoint": "checkpoints",
}
_MOST_PURPOSES = 1000
OTHER_PURPOSES = "(further purposes)"


@dataclass(slots=True)
class Run:
    """One run of the appliance, from its `start` on.

    comparing: between arming and disarming, when faces are compared and counts may be open.
    known_until: when counts were last written. alerts, attacks: lines of them; counted_…: what
    `searched` lines say of them.
    """

    known_until: str
    comparing: bool
    alerts: int = 0
    attacks: int = 0
    counted_alerts: int = 0
    counted_attacks: int = 0


@dataclass(slots=True)
class Reconciler:
    """Takes the whole lines of a log in their order. whole: it begins with the log's first line."""

    whole: bool = True
    totals: Totals = field(default_factory=Totals)
    run: Run | None = None

    def take(self, line: Line) -> tuple[list[str], list[str]]:
        """Count a line. Returns what does not agree, and what is worth knowing, in sentences."""
        name = _TALLIED.get(line.event)
        if name is not None:
            setattr(self.totals, name, getattr(self.totals, name) + 1)
        wrong: list[str] = []
        notes: list[str] = []
        if line.event == "start":
            notes += self._broken_off(line.at)
            wrong += self._more_counted()
            self.run = Run(line.at, comparing="watchlist" in line.details)
        elif line.event == "stop":
            wrong += self._compared()
            self.run = None
        elif line.event in ("armed", "disarmed", "list wiped"):
            if self.run is not None:
                self.run.comparing = line.event == "armed"
                self.run.known_until = line.at
        elif line.event == "search":
            self._purpose(line).files += 1
        elif line.event in ("searched", "alert", "presentation attack judged"):
            wrong += self._searched(line)
        elif line.event == "storage works again" and count(line, "unwritten"):
            notes.append(f"{count(line, 'unwritten'):,} lines could never be written: disk faults.")
        return wrong, notes

    def end(self) -> tuple[list[str], list[str]]:
        """Say what does not agree at the end of the log, and what is worth knowing."""
        if self.run is None:
            return [], []
        text = f"A run goes on, or ended without a goodbye after {self.run.known_until}."
        return self._more_counted(), [text]

    def _searched(self, line: Line) -> list[str]:
        run = self.run
        if line.event == "searched":
            self._purpose(line).add(line)
        if run is None:
            text = f'"{line.event}" stands outside any run of the appliance.'
            return [text] if self.whole else []
        if line.event == "alert":
            run.alerts += 1
        elif line.event == "presentation attack judged":
            run.attacks += 1
        else:
            run.counted_alerts += count(line, "alerts")
            run.counted_attacks += count(line, "attacks")
            run.known_until = line.at
        return []

    def _purpose(self, line: Line) -> Searches:
        purpose = str(line.details.get("purpose", ""))
        # A log of any length is added up in bounded memory.
        if purpose not in self.totals.searches and len(self.totals.searches) >= _MOST_PURPOSES:
            purpose = OTHER_PURPOSES
        return self.totals.searches.setdefault(purpose, Searches())

    def _compared(self) -> list[str]:
        run = self.run
        if run is None:
            return ["A stop without a start."] if self.whole else []
        pairs = (
            ("alerts", run.alerts, run.counted_alerts),
            ("judged attacks", run.attacks, run.counted_attacks),
        )
        return [
            f"This run has {lines:,} lines of {what}, and its searches counted {counted:,}."
            for what, lines, counted in pairs
            if lines != counted
        ]

    def _more_counted(self) -> list[str]:
        """A run without its end may lack counts, never lines."""
        run = self.run
        if run is None or run.counted_alerts <= run.alerts:
            return []
        counted = f"The run before counted {run.counted_alerts:,} alerts"
        return [f"{counted}, and has only {run.alerts:,} lines of alerts."]

    def _broken_off(self, until: str) -> list[str]:
        run = self.run
        if run is None:
            return []
        self.totals.broken_off += 1
        if not run.comparing:
            return ["The run before ended without a goodbye; it compared nothing then."]
        self.totals.unknown.append(f"{run.known_until} to {until}")
        return [
            f"The run before ended without a goodbye: counts since {run.known_until} are unknown."
        ]


def count(line: Line, name: str) -> int:
    """Return a count among a line's details, 0 without one."""
    value = line.details.get(name, 0)
    return value if isinstance(value, int) else 0
