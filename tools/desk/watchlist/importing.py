"""`watchlist import`: many people at once, from a folder of photographs and a table.

Every row is judged by all rules before anything is written, and the report names every row with
every reason. It holds row numbers and no names: it may be passed on.
"""

import argparse
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.progress import track
from rich.table import Table

from device.errors import ConfigurationError, WatchlistError
from device.files import write_atomically
from device.protocol.authorisation import LIST_CAP
from device.protocol.identifiers import utc_text
from device.protocol.watchlist import Reference
from tools.console import console, notes
from tools.desk.watchlist.admission import (
    enrolled_already,
    essences,
    listed_already,
    over_the_cap,
)
from tools.desk.watchlist.draft import Draft, drafted, entry_of
from tools.desk.watchlist.entry import Entry, Photograph, new_reference
from tools.desk.watchlist.photographs import Enrolled, Enroller
from tools.desk.watchlist.rules import faults_of, is_address
from tools.desk.watchlist.session import Session, opened
from tools.desk.watchlist.sheet import Row, left_over, read_rows


class RowReport(Struct, frozen=True):
    """What became of a row. reference_id: null where it was refused. left_out: photographs."""

    row: int
    reference_id: str | None
    reasons: list[str]
    left_out: list[str]


class ImportReport(Struct, frozen=True):
    """What became of a table. files_left_over: in the folder, named by no row."""

    rows: list[RowReport]
    files_left_over: int
    entered: int
    refused: int


@dataclass(slots=True)
class _Case:
    """A row on its way in."""

    row: Row
    draft: Draft
    faults: list[str] = field(default_factory=list)
    enrolled: Enrolled = field(default_factory=lambda: Enrolled([], [], []))
    reference_id: str | None = None


def run(options: argparse.Namespace) -> int:
    """`watchlist import --folder DIR --csv FILE`; 0 when every row was entered."""
    folder = _folder_of(options)
    with opened(options) as session:
        session.refuse_ended()
        rows = read_rows(options.csv, folder)
        cases = [_Case(row, drafted(row.fields)) for row in rows]
        enroller = Enroller.of(options)
        enroller.check(session.register)
        _judge(cases, session)
        _enrol(cases, session, enroller, folder)
        _compare(cases, session, enroller)
        _fill(cases, session)
        refused = [case for case in cases if case.faults]
        entered = [case for case in cases if not case.faults]
        stopped = bool(options.strict and refused) or not entered
        if stopped:
            for case in entered:
                case.reference_id = None
        else:
            _keep(entered, session, enroller)
    _say(_report(cases, left_over(rows, folder)), options.report)
    if stopped:
        raise WatchlistError(
            f"{len(refused)} of {len(cases)} rows were refused; "
            + ("with --strict nobody was entered." if entered else "nobody was entered.")
        )
    return 0 if not refused else WatchlistError.exit_code


def _folder_of(options: argparse.Namespace) -> Path:
    for text in (options.folder, options.csv):
        if is_address(str(text)) or ":/" in str(text):
            raise ConfigurationError("An import takes files of this computer only (R2).")
    folder: Path = options.folder
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder: --folder holds the photographs.")
    return folder


def _judge(cases: list[_Case], session: Session) -> None:
    entries = session.register.entries
    counted = essences([*entries, *(case.draft for case in cases)])
    people: Counter[tuple[str, object]] = Counter()
    shared = {text for text, count in counted.items() if count > 1}
    for case in cases:
        draft = case.draft
        case.faults += [*case.row.faults, *draft.faults]
        case.faults += faults_of(draft, session.today, session.register.offences, shared)
        case.faults += listed_already(draft, entries)
        person = ("".join(draft.name.casefold().split()), draft.born_on)
        people[person] += 1
        if people[person] > 1 and draft.born_on is not None:
            case.faults.append("the person stands in an earlier row too: put them into one row")


def _enrol(cases: list[_Case], session: Session, enroller: Enroller, folder: Path) -> None:
    at, root = utc_text(session.now_ns), folder.resolve()
    taken: list[Entry] = session.register.entries
    seen: dict[str, int] = {}
    for case in track(cases, "enrolling", console=notes, transient=True):
        # Also of rows that are refused anyway: whoever corrects them learns everything at once.
        case.enrolled = enroller.enrol(case.row.files, root, at)
        if case.row.files:
            case.faults += case.enrolled.refusal()
        case.faults += enrolled_already(case.enrolled.photographs, taken)
        case.faults += _shared_photographs(case, seen)


def _shared_photographs(case: _Case, seen: dict[str, int]) -> list[str]:
    faults = []
    photographs: list[Photograph] = case.enrolled.photographs
    for number, one in enumerate(photographs, 1):
        owner = seen.setdefault(one.sha256, case.row.number)
        if owner != case.row.number:
            faults.append(f"photograph {number} is that of row {owner} too: whose is it?")
    return faults


def _compare(cases: list[_Case], session: Session, enroller: Enroller) -> None:
    """Find one person in two rows, or in a row and on the list; refuse the rows.

    Rows that are refused already count: somebody will correct them and come back.
    """
    fresh = {f"row {case.row.number}": case for case in cases if case.enrolled.templates}
    references = [Reference(name, case.enrolled.templates) for name, case in fresh.items()]
    if not references:
        return
    for name, reason in enroller.conflicts([*session.templates(), *references]).items():
        if name in fresh:
            fresh[name].faults.append(reason)


def _fill(cases: list[_Case], session: Session) -> None:
    listed = len(session.register.entries)
    for case in cases:
        if not case.faults:
            case.faults += over_the_cap(listed + 1, LIST_CAP)
        if not case.faults:
            listed += 1
            case.reference_id = new_reference()


def _keep(cases: list[_Case], session: Session, enroller: Enroller) -> None:
    register, at = session.register, utc_text(session.now_ns)
    references = session.templates()
    entries = list(register.entries)
    for case in cases:
        identifier = case.reference_id or new_reference()
        references.append(Reference(identifier, case.enrolled.templates))
        entries.append(entry_of(case.draft, identifier, at, case.enrolled.photographs))
    session.keep_templates(references)
    session.keep(
        msgspec.structs.replace(
            register, entries=entries, embedder=enroller.embedder, dimension=enroller.dimension
        )
    )


def _report(cases: list[_Case], over: int) -> ImportReport:
    rows = [
        RowReport(
            case.row.number,
            None if case.faults else case.reference_id,
            case.faults,
            case.enrolled.faults if case.enrolled.templates else [],
        )
        for case in cases
    ]
    refused = sum(1 for case in cases if case.faults)
    return ImportReport(rows, over, len(cases) - refused, refused)


def _say(report: ImportReport, file: Path | None) -> None:
    table = Table("row", "reasons")
    for row in report.rows:
        for number, reason in enumerate([*row.reasons, *row.left_out]):
            what = reason if row.reasons else f"left out: {reason}"
            table.add_row("" if number else str(row.row), what)
    if table.row_count:
        console.print(table)
    if report.files_left_over:
        console.print(f"{report.files_left_over} files of the folder are named by no row.")
    console.print(f"{report.entered} rows without a fault, {report.refused} refused.")
    if file is not None:
        write_atomically(file, msgspec.json.format(msgspec.json.encode(report)), mode=0o644)
