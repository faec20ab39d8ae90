"""Reads a data set's `manifest.csv` (docs/data.md)."""

import csv
from pathlib import Path

from msgspec import Struct

from device.errors import PictureError

MANIFEST = "manifest.csv"
_COLUMNS = ("file", "identity", "source_set", "role", "subset", "licence_class")


class Item(Struct, frozen=True):
    """One file of a data set. identities: more than one where several people are in it."""

    path: Path
    identities: tuple[str, ...]
    source_set: str
    role: str
    subset: str
    licence_class: str


def read_manifest(folder: Path) -> list[Item]:
    """Return the items of a data set. Raises PictureError when there is none or it is damaged."""
    path = folder / MANIFEST
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise PictureError(f"{path} lacks the columns {', '.join(missing)} (docs/data.md).")
            return [_item(folder, row, f"{path}, line {reader.line_num}") for row in reader]
    except FileNotFoundError as error:
        raise PictureError(f"{path} does not exist; --data must name a data set.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PictureError(f"{path} cannot be read ({error}).") from error


def _item(folder: Path, row: dict[str, str], place: str) -> Item:
    if any(row[name] is None for name in _COLUMNS):
        raise PictureError(f"{place} is cut: it has fewer columns than the first line.")
    identities = tuple(name for name in row["identity"].split("|") if name)
    return Item(
        folder / row["file"],
        identities,
        row["source_set"],
        row["role"],
        row["subset"],
        row["licence_class"],
    )
