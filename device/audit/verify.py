"""Verification of a log: any edit, cut, insertion or reorder is found, and where (R41).

`Verifier` is fed the file piece by piece and keeps nothing but the chain's state. What a kill or a
power cut leaves is a note, not a finding: an unfinished line at the end, or one that the next line
chains over and says so; a newest line that the head does not name yet.
"""

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from device.audit.ending import Ending, authentic_ending
from device.audit.events import fault_of
from device.audit.findings import Findings, Report
from device.audit.head import standing
from device.audit.line import FIRST, Line, authentic, decode, hash_of
from device.audit.link import Link
from device.audit.reading import Piece, Progress, Snapshot
from device.audit.totals import Reconciler


def verify(
    snapshot: Snapshot,
    key: Ed25519PublicKey | None,
    anchors: Iterable[str] = (),
    *,
    export: bool = False,
    progress: Progress = lambda _read, _all: None,
) -> Report:
    """Verify a log. Raises StorageError when it cannot be read.

    key: of the device; None checks the chain only, which whoever can write the file can make.
    anchors: hashes of lines that must occur. export: it may be an export, which has its end inside
    it; a device's own log may not, or an old export could take its place.
    """
    verifier = Verifier(key, anchors, export=export)
    for piece in snapshot.pieces(progress):
        verifier.take(piece)
    return verifier.end(snapshot.head)


class Verifier:
    """Takes a log's pieces in their order. See `verify` for key and anchors."""

    def __init__(
        self, key: Ed25519PublicKey | None, anchors: Iterable[str] = (), *, export: bool = False
    ) -> None:
        self._key = key
        self._missing = set(anchors)
        self._found = Findings()
        self._notes = Findings()
        self._at = 0
        self._lines = 0
        self._first = 0
        self._last: Line | None = None
        self.last_hash = self.before_hash = FIRST
        self._checkpoint: str | None = None
        self._link = Link()
        self._ends = True
        self._export = export
        self._ending: Ending | None = None
        self._reconciler = Reconciler()
        self._latest = ""
        self._set_back = 0

    @property
    def number(self) -> int:
        """Number of the newest whole line; 0 without one."""
        return 0 if self._last is None else self._last.number

    def take(self, piece: Piece) -> None:
        """Take the next piece of the file."""
        self._at += piece.begins
        if self._ending is not None:
            self._found.add(self._at, "Something follows the end of this export.")
            self._ending = None
        line = decode(piece.content, Line) if piece.begins else None
        if line is not None:
            self._whole(line, piece.content)
        else:
            self._ending = decode(piece.content, Ending) if self._export and piece.begins else None
            if self._ending is None:
                self._link.add(self._at, piece)
        self._ends = piece.ends

    def end(self, head: bytes | None) -> Report:
        """Compare with the head, or an export's own end, and report. head: its file's content."""
        if self._ending is not None:
            self._end_of_export(self._ending)
        else:
            if self._first > 1:
                text = f"It begins with number {self._first:,}: lines are missing at the front."
                self._found.add(1, text)
            self._end_of_log(head)
            self._unfinished()
        self._rest()
        for anchor in sorted(self._missing):
            self._found.add(
                None,
                f"No line has the hash {anchor} that was given: this log was replaced by an older "
                "or another one.",
            )
        wrong, notes = self._reconciler.end()
        for text in wrong:
            self._found.add(self._at, text)
        for text in notes:
            self._notes.add(None, text)
        return self._report()

    def _whole(self, line: Line, content: bytes) -> None:
        self._continues(line)
        if self._key is not None and not authentic(line, line.signature, self._key):
            self._found.add(
                self._at, "It is not as this device signed it: edited, or written by another."
            )
        fault = fault_of(line.event, line.details)
        if fault is not None:
            self._found.add(self._at, fault)
        self._explains(line)
        if not self._lines:
            self._first = line.number
            self._reconciler.whole = line.number == 1
        wrong, notes = self._reconciler.take(line)
        for text in wrong:
            self._found.add(self._at, text)
        for text in notes:
            self._notes.add(self._at, text)
        self._lines += 1
        self._keep(line, content)

    def _continues(self, line: Line) -> None:
        """Compare a line's number and link with what stands before it."""
        if self._lines == 0:
            if line.number == 1 and line.previous != self._link.name:
                self._found.add(self._at, "It does not begin a log: what stood before is missing.")
            return
        last = self.number
        if line.number > last + 1:
            self._found.add(
                self._at,
                f"Number {line.number:,} follows {last:,}: what stood between them is missing.",
            )
        elif line.number <= last:
            self._found.add(
                self._at,
                f"Out of order, repeated or inserted: number {line.number:,} follows {last:,}.",
            )
        elif line.previous != self._link.name:
            self._found.add(
                self._at,
                "It does not continue what stands before it: that was edited, or lines were "
                "exchanged.",
            )

    def _explains(self, line: Line) -> None:
        """Check that what is no line stands where a power cut may leave it: before its own note."""
        strange = self._link.strange
        if line.event == "log damaged":
            fault = line.details.get("fault", "")
            self._found.add(self._at, f"The device itself found its log damaged. {fault}")
        elif line.event == "line cut short":
            if strange and line.details.get("bytes") == self._link.strange_bytes:
                self._unfinished()
            else:
                self._found.add(self._at, "The unfinished line that it tells of is not before it.")
        else:
            for one in strange:
                self._found.add(one.at, "This is no line of a log, and no power cut left it here.")

    def _unfinished(self) -> None:
        for one in self._link.strange:
            if one.unfinished:
                self._notes.add(
                    one.at,
                    "Unfinished: power cut, kill or full disk. Nobody was promised this line.",
                )
            else:
                self._found.add(one.at, "This is no line of a log, nor the beginning of one.")

    def _keep(self, line: Line, content: bytes) -> None:
        self.before_hash, self.last_hash, self._last = self.last_hash, hash_of(content), line
        self._link.restart(content)
        self._missing.discard(self.last_hash)
        if line.event == "checkpoint":
            self._checkpoint = self.last_hash
        if line.at < self._latest:
            self._set_back += 1
        self._latest = max(self._latest, line.at)

    def _end_of_export(self, ending: Ending) -> None:
        last = self.number
        if self._key is not None and not authentic_ending(ending, self._key):
            self._found.add(self._at, "The end of this export is not signed by this device.")
        if (ending.first, ending.last, ending.hash) != (self._first, last, self.last_hash):
            self._found.add(
                self._at,
                f"This export is signed for the lines {ending.first:,} to {ending.last:,}, and "
                f"holds {self._first:,} to {last:,}, or another last line.",
            )
        if self._link.strange or not self._ends:
            self._found.add(self._at, "The end of this export is not as it was written.")

    def _end_of_log(self, head: bytes | None) -> None:
        if not self._lines and self._export:
            self._found.add(None, "This file holds no line of a log.")
        elif not self._lines:
            self._notes.add(None, "Nothing has been logged yet.")
        found = standing(head, self, self._key)
        if found.state == "damaged":
            self._found.add(self._at or None, found.fault)
        elif found.state == "ahead":
            self._notes.add(self._at, "Its head does not name this line yet: a kill or power cut.")
        elif not self._ends and not self._link.strange:
            self._found.add(self._at, "The line break after the newest line is missing.")

    def _rest(self) -> None:
        if self._set_back:
            text = f"{self._set_back:,} lines are older than a line before them: a clock set back."
            self._notes.add(None, text)
        lost = sum(s.appearances - s.destroyed for s in self._reconciler.totals.searches.values())
        if lost:
            self._notes.add(
                None, f"Of {lost:,} appearances it was not seen that they were destroyed."
            )

    def _report(self) -> Report:
        return Report(
            ok=not self._found.number,
            signed=self._key is not None,
            lines=self._lines,
            first=self._first,
            last=self.number,
            last_hash=self.last_hash,
            checkpoint=self._checkpoint,
            findings=self._found.kept,
            findings_in_all=self._found.number,
            notes=self._notes.kept,
            notes_in_all=self._notes.number,
            totals=self._reconciler.totals,
        )
