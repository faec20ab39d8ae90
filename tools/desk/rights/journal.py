"""The desk's journal: every step of a request and of a hold, hash-chained, without a name (R39).

The lines are those of the device's audit log (`device.audit.line`), with a vocabulary of their own,
unsigned: the desk's computer has no key that its users cannot use. One file a calendar year (UTC),
so that old years can be erased whole; a chain with a line missing would be broken. The first line
of a year names the newest line of the year before, where that is here.
"""

import fcntl
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from device.audit import AuditLog
from device.audit.events import LONGEST_TEXT, Details
from device.audit.head import head_path, standing
from device.audit.line import Line, decode, hash_of
from device.audit.link import Link
from device.audit.reading import Snapshot
from device.audit.tail import read_tail
from device.errors import StorageError
from device.files import shown
from device.protocol.identifiers import utc_text

EVENTS: Final[dict[str, frozenset[str]]] = {
    "year": frozenset({"before"}),
    "rights opened": frozenset(
        {"request", "kind", "by", "checked_by", "received_on", "deadline_on"}
    ),
    "rights searched": frozenset({"request", "by", "purpose", "deployments"}),
    "rights suspended": frozenset({"request", "by", "deployment", "reference"}),
    "rights extended": frozenset({"request", "by", "reason", "until"}),
    "rights removed": frozenset({"request", "by", "deployment", "reference"}),
    "rights closed": frozenset({"request", "by", "reason", "decision", "answer", "letter"}),
    "rights erased": frozenset({"by", "requests", "manifests", "years"}),
    "manifests indexed": frozenset({"number", "files", "index"}),
    "hold added": frozenset({"hold", "alert", "device", "case", "approver", "until"}),
    "hold released": frozenset({"hold", "alert", "device", "case", "by", "reason"}),
}
"""Every event, and the details that it has: nothing that names who asked or was listed."""
_NAME: Final = re.compile(r"journal-([0-9]{4})\.jsonl\Z")
_SECOND_NS: Final = 10**9


class Journal:
    """The journal in a workplace. Every method raises StorageError."""

    def __init__(self, workplace: Path) -> None:
        """workplace: the folder of the desk's deployments."""
        self._folder = workplace

    def write(self, now_ns: int, event: str, **details: str | int) -> None:
        """Append an entry and wait until it is on the disk. Raises ValueError for none of ours."""
        if event not in EVENTS or set(details) != EVENTS[event]:
            raise ValueError(f"the journal has no event {event!r} with these details")
        year = datetime.fromtimestamp(now_ns // _SECOND_NS, UTC).year
        log = _Log(self._path(year))
        if not log.path.exists():
            log.write(now_ns, "year", {"before": self._last_hash(year - 1)})
        log.write(now_ns, event, details)

    def years(self) -> list[int]:
        """Return the years that there are files of, the oldest first."""
        names = (_NAME.fullmatch(path.name) for path in self._folder.glob("journal-*.jsonl"))
        return sorted(int(name[1]) for name in names if name)

    def lines(self, year: int) -> list[Line]:
        """Return a year's lines. Raises StorageError at the first that was changed or is gone."""
        path = self._path(year)
        snapshot, found, link = Snapshot.of(path), list[Line](), Link()
        for at, piece in enumerate(snapshot.pieces(), start=1):
            line = decode(piece.content, Line) if piece.begins else None
            if line is None:
                # What a kill left; the next line is chained over it.
                link.add(at, piece)
                continue
            if line.number != len(found) + 1 or line.previous != link.name:
                raise StorageError(
                    f"{path} was changed after line {len(found)}: a line is missing, altered or "
                    "in another place."
                )
            found.append(line)
            link.restart(piece.content)
        with path.open("rb") as file:
            state = standing(snapshot.head, read_tail(file), None)
        if state.state == "damaged":
            raise StorageError(f"{path} was changed: {state.fault}")
        if not found:
            raise StorageError(f"{path} was changed: it is empty.")
        return found

    def erase_before(self, before_ns: int) -> list[int]:
        """Erase whole years that ended before a time; return them (R23)."""
        before = datetime.fromtimestamp(before_ns // _SECOND_NS, UTC)
        old = [year for year in self.years() if datetime(year + 1, 1, 1, tzinfo=UTC) <= before]
        for year in old:
            try:
                self._path(year).unlink()
                head_path(self._path(year)).unlink(missing_ok=True)
            except OSError as error:
                raise StorageError(
                    f"The journal of {year} cannot be erased ({error.strerror or error})."
                ) from error
        return old

    def _path(self, year: int) -> Path:
        return self._folder / f"journal-{year:04}.jsonl"

    def _last_hash(self, year: int) -> str:
        lines = list(Snapshot.of(self._path(year)).lines())
        return hash_of(lines[-1][0]) if lines else "none"


class _Log(AuditLog):
    """A chain whose vocabulary is the journal's."""

    def write(self, now_ns: int, event: str, details: Details) -> str:
        told = {
            name: shown(value)[:LONGEST_TEXT] if isinstance(value, str) else value
            for name, value in details.items()
        }
        try:
            with self._opened() as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                return self._write(file, utc_text(now_ns), event, told)
        except (OSError, StorageError) as error:
            raise StorageError(
                f"The journal {self.path} cannot be written ({str(error).rstrip('.')}): nothing is "
                "decided without it. Free some space, or correct its rights."
            ) from error
