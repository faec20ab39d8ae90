"""The table of an import: CSV as RFC 4180 has it, in UTF-8, read without believing any of it."""

import csv
import io
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from device.errors import WatchlistError
from tools.desk.watchlist.draft import FIELDS, OPTIONAL
from tools.desk.watchlist.regular import beginning_of
from tools.desk.watchlist.rules import is_address

PHOTOGRAPHS: Final = "photographs"
"""The column of file names, several separated by semicolons."""
COLUMNS: Final = (*FIELDS, PHOTOGRAPHS)
MOST_ROWS: Final = 10_000
LARGEST_BYTES: Final = 64 * 1024 * 1024
_LARGEST_CELL: Final = 32_768
_FORMULA = ("=", "+", "-", "@")
_BOM = "\ufeff"


@dataclass(slots=True)
class Row:
    """One row. number: as a spreadsheet counts, the heading is 1. files: of its photographs."""

    number: int
    fields: dict[str, str] = field(repr=False)
    files: list[Path] = field(default_factory=list, repr=False)
    faults: list[str] = field(default_factory=list)


def read_rows(path: Path, folder: Path) -> list[Row]:
    """Return the rows of a CSV file, each with what is wrong with its form.

    folder: in which all photographs must lie. Raises WatchlistError when it is no such table at
    all: not there, not UTF-8, broken quotes, unknown, missing or repeated columns.
    """
    try:
        reader = csv.reader(io.StringIO(_text_of(path), newline=""), strict=True)
        csv.field_size_limit(_LARGEST_CELL)
        heading = [cell.strip() for cell in next(reader, [])]
        _check_heading(path, heading)
        rows: list[Row] = []
        for number, cells in enumerate(reader, 2):
            if any(cell.strip() for cell in cells):
                rows.append(_row(number, heading, cells))
            if len(rows) > MOST_ROWS:
                raise WatchlistError(f"{path} has more than {MOST_ROWS} rows: is it the right one?")
    except csv.Error as error:
        raise WatchlistError(
            f"{path} is no table that can be read: {error} near line {reader.line_num}. Save it "
            "again as CSV (comma-separated, UTF-8)."
        ) from error
    if not rows:
        raise WatchlistError(f"{path} has a heading and no rows.")
    _mark_repeated(rows)
    for row in rows:
        _find_photographs(row, folder)
    return rows


def left_over(rows: list[Row], folder: Path) -> int:
    """Return how many files of the folder no row names, so that nobody is missed in silence."""
    named = {file.resolve() for row in rows for file in row.files}
    return sum(
        1
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.resolve() not in named
    )


def _text_of(path: Path) -> str:
    try:
        content = beginning_of(path, LARGEST_BYTES + 1)
    except OSError as error:
        raise WatchlistError(f"{path} cannot be read ({error.strerror or error}).") from error
    if len(content) > LARGEST_BYTES:
        raise WatchlistError(f"{path} is too large for a table of {MOST_ROWS} rows.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise WatchlistError(
            f"{path} is not UTF-8 (line {line}): save it again as CSV in UTF-8, or names would be "
            "spelt wrong."
        ) from error
    # Spreadsheets put one mark at the beginning; a second one, or one within, is a row's fault.
    return text.removeprefix(_BOM)


def _check_heading(path: Path, heading: list[str]) -> None:
    # By number: in a table without a heading, what stands here is the first person.
    unknown = [str(at) for at, name in enumerate(heading, 1) if name not in COLUMNS]
    missing = [name for name in COLUMNS if name not in heading and name not in OPTIONAL]
    repeated = [name for name in COLUMNS if heading.count(name) > 1]
    faults = [
        f"{what}: {', '.join(names)}"
        for what, names in (
            ("columns of an unknown name, by number", unknown),
            ("missing", missing),
            ("repeated", repeated),
        )
        if names
    ]
    if faults:
        raise WatchlistError(
            f"The columns of {path} are not those of a list. {'; '.join(faults)}. They are: "
            f"{', '.join(COLUMNS)}."
        )


def _row(number: int, heading: list[str], cells: list[str]) -> Row:
    row = Row(number, dict(zip(heading, cells, strict=False)))
    if len(cells) != len(heading):
        row.faults.append(
            f"it has {len(cells)} cells, the heading {len(heading)}: is a comma not in quotes?"
        )
    for name, cell in row.fields.items():
        if cell.strip().startswith(_FORMULA):
            row.faults.append(f"{name} begins like a formula, which a spreadsheet would run")
        if any(_is_hidden(sign) for sign in cell):
            row.faults.append(f"{name} has signs in it that cannot be seen: type it again")
    return row


def _is_hidden(sign: str) -> bool:
    return sign not in "\r\n\t" and unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co", "Cn"}


def _mark_repeated(rows: list[Row]) -> None:
    first: dict[tuple[tuple[str, str], ...], int] = {}
    for row in rows:
        content = tuple(sorted(row.fields.items()))
        if content in first:
            row.faults.append(f"it is row {first[content]} once more: remove one")
        first.setdefault(content, row.number)


def _find_photographs(row: Row, folder: Path) -> None:
    names = [name.strip() for name in row.fields.get(PHOTOGRAPHS, "").split(";")]
    names = [name for name in names if name]
    if not names:
        row.faults.append("photographs are missing: name one file at least (R12)")
    root = folder.resolve()
    for number, name in enumerate(names, 1):
        fault = _fault_of_file(name, root)
        if fault:
            row.faults.append(f"photograph {number} {fault}")
        else:
            row.files.append(root / name)


def _fault_of_file(name: str, root: Path) -> str:
    if is_address(name):
        return "is a network address: nothing is fetched; put the file into the folder (R2)"
    try:
        found = (root / name).resolve()
        if Path(name).is_absolute() or not found.is_relative_to(root):
            return "does not lie in the folder: put it there, and name it without a path"
        return "" if found.is_file() else "is not in the folder: correct its name"
    except (OSError, ValueError, RuntimeError):
        return "has a name that no file can have"
