"""Reads a data set's `manifest.csv` (docs/data.md)."""

import csv
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from device.errors import PictureError

MANIFEST = "manifest.csv"
_COLUMNS = ("file", "identity", "source_set", "role", "subset", "licence_class")


class Item(Struct, frozen=True):
    """One file of a data set. identities: more than one where several people are in it.

    The rest is as written in the manifest, empty where it says nothing. gender, ethnicity, age:
    what the people said of themselves, or what others thought they saw; never inferred here.
    """

    path: Path
    identities: tuple[str, ...]
    source_set: str
    role: str
    subset: str
    licence_class: str
    gender: str = ""
    ethnicity: str = ""
    age: str = ""
    notes: str = ""


_KNOWN = frozenset(Item.__struct_fields__) - {"path", "identities"} | {"file", "identity"}


def read_manifest(folder: Path) -> list[Item]:
    """Return the items of a data set. Raises PictureError when there is none or it is damaged."""
    path = folder / MANIFEST
    if not path.exists():
        raise PictureError(f"{path} does not exist; --data must name a data set.")
    return read_manifest_file(path, _COLUMNS)


def read_manifest_file(path: Path, required: Sequence[str]) -> list[Item]:
    """Return the items of a manifest of any name; the files it names are relative to its folder.

    required: the columns that it must have. Raises PictureError when it lacks one or is damaged.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            missing = [name for name in required if name not in columns]
            if missing:
                raise PictureError(f"{path} lacks the columns {', '.join(missing)} (docs/data.md).")
            return [_item(path.parent, row, f"{path}, line {reader.line_num}") for row in reader]
    except FileNotFoundError as error:
        raise PictureError(f"{path} does not exist.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PictureError(f"{path} cannot be read ({error}).") from error


def _item(folder: Path, row: dict[str, str | None], place: str) -> Item:
    if any(value is None for value in row.values()):
        raise PictureError(f"{place} is cut: it has fewer columns than the first line.")
    cells = {name: (value or "").strip() for name, value in row.items() if name in _KNOWN}
    if not cells["file"]:
        raise PictureError(f"{place} names no file.")
    identities = tuple(name for name in cells.pop("identity", "").split("|") if name)
    optional = {name: cells.get(name, "") for name in _KNOWN - {"file", "identity"}}
    return Item(path=folder / cells["file"], identities=identities, **optional)
