"""What a verification says: findings (something was done to the log) and notes (worth knowing)."""

from dataclasses import dataclass, field

from msgspec import Struct

from device.audit.totals import Totals

_MOST_KEPT = 100


class Finding(Struct, frozen=True):
    """line: of the file, from 1, as an editor counts; None for the log as a whole."""

    line: int | None
    text: str

    def __str__(self) -> str:
        place = "the log" if self.line is None else f"line {self.line:,}"
        return f"{place}: {self.text}"


@dataclass(slots=True)
class Findings:
    """The first hundred, and how many there are."""

    kept: list[Finding] = field(default_factory=list)
    number: int = 0

    def add(self, line: int | None, text: str) -> None:
        """Add one."""
        self.number += 1
        if len(self.kept) < _MOST_KEPT:
            self.kept.append(Finding(line, text))


class Report(Struct, frozen=True):
    """The outcome of a verification.

    ok: nothing was found. signed: signatures were checked. lines: whole ones. last, last_hash:
    number and SHA-256 of the newest line. checkpoint: hash of the newest checkpoint, for the desk.
    findings_in_all, notes_in_all: the lists hold the first hundred of each.
    """

    ok: bool
    signed: bool
    lines: int
    first: int
    last: int
    last_hash: str
    checkpoint: str | None
    findings: list[Finding]
    findings_in_all: int
    notes: list[Finding]
    notes_in_all: int
    totals: Totals
