"""`passerby-field models`: gets models by hash, from a mirror folder, a mirror address or upstream.

A file appears under its name only after its SHA-256 was right; until then it is `NAME.part`, from
which an interrupted fetch goes on.
"""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, cast

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from device.errors import ModelError, StorageError
from device.files import sha256_of
from device.vision import Catalogue, ModelEntry
from tools.console import console, notes

_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = 30
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416


def show(directory: Path) -> int:
    """Print the catalogue and what of it is here; 0 when all files are here and right."""
    catalogue = Catalogue.read(directory)
    table = Table("model", "role", "collection", "licence", "SHA-256", "here")
    missing = 0
    for entry in catalogue.entries:
        state = _state(catalogue, entry)
        missing += state != "yes"
        row = (entry.name, entry.role, entry.collection, entry.licence, entry.sha256[:16] + "…")
        table.add_row(*row, state)
    console.print(table)
    return 1 if missing else 0


def _state(catalogue: Catalogue, entry: ModelEntry) -> str:
    path = catalogue.path(entry)
    if not path.is_file():
        return "no"
    return "yes" if sha256_of(path) == entry.sha256 else "WRONG FILE"


def fetch(directory: Path, mirror: str | None, names: list[str]) -> int:
    """Get the named models, or all. Raises ModelError or StorageError with what to do."""
    catalogue = Catalogue.read(directory)
    known = {entry.name: entry for entry in catalogue.entries}
    for name in names:
        if name not in known:
            raise ModelError(f'No model is called "{name}"; there are: {", ".join(known)}.')
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=notes) as progress:
        for entry in (known[name] for name in names) if names else catalogue.entries:
            _fetch_one(catalogue, entry, mirror, progress)
    return 0


def _fetch_one(
    catalogue: Catalogue, entry: ModelEntry, mirror: str | None, progress: Progress
) -> None:
    target = catalogue.path(entry)
    if _state(catalogue, entry) == "yes":
        console.print(f"{entry.name}: already here, SHA-256 right")
        return
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _complete(entry, mirror, part, progress)
        if sha256_of(part) != entry.sha256:
            # What an earlier, interrupted fetch left may be of another file: once from the start.
            part.unlink()
            _complete(entry, mirror, part, progress)
        actual = sha256_of(part)
        if actual != entry.sha256:
            part.unlink()
            raise ModelError(
                f"{entry.name} from {mirror or entry.url} is not the file that models.toml names: "
                f"SHA-256 {actual[:16]}…, expected {entry.sha256[:16]}…. It was deleted; use "
                "another mirror."
            )
        part.replace(target)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written ({error.strerror or error}): check the disk and the "
            "folder's rights."
        ) from error
    console.print(f"{entry.name}: fetched, SHA-256 right ({target.stat().st_size:,} bytes)")


def _complete(entry: ModelEntry, mirror: str | None, part: Path, progress: Progress) -> None:
    """Append to `part` what it lacks. What came stays when the source breaks off."""
    have = part.stat().st_size if part.exists() else 0
    task = progress.add_task(entry.name, completed=have, total=None)
    try:
        stream, have, total = _open(entry, mirror, have)
        progress.update(task, completed=have, total=total)
        with closing(stream), part.open("ab") as out:
            out.truncate(have)
            for chunk in _chunks(stream):
                out.write(chunk)
                have += len(chunk)
                progress.advance(task, len(chunk))
            out.flush()
            os.fsync(out.fileno())
        _check_whole(have, total)
    except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        raise ModelError(
            f"{entry.name} could not be fetched ({reason}): check the network and the address, "
            "then run the same command again; it goes on where it stopped."
        ) from error
    finally:
        progress.remove_task(task)


def _check_whole(have: int, total: int | None) -> None:
    """Raise ConnectionError for a connection that closed too early; read() takes it for the end."""
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended after {have:,} of {total:,} bytes")


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def _open(entry: ModelEntry, mirror: str | None, have: int) -> tuple[BinaryIO, int, int | None]:
    """Open the source at byte `have`. Returns it, the byte it starts at, and the full size."""
    address = entry.url
    name = Path(entry.file).name
    if mirror is not None:
        if not mirror.startswith(("http://", "https://")):
            return _open_file(Path(mirror), name, have)
        address = f"{mirror.rstrip('/')}/{name}"
    if address is None:
        raise ModelError(
            f"{entry.name} is a conversion that no upstream publishes: give a mirror that has "
            f"{name}, with --from FOLDER or --from ADDRESS."
        )
    try:
        request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"})  # noqa: S310
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310 - http(s) only
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and have:
            return _open(entry, mirror, 0)
        raise
    except ValueError as error:
        raise urllib.error.URLError(f"{address} is no address") from error
    if answer.status != _PARTIAL_CONTENT:
        have = 0
    length = answer.headers.get("Content-Length")
    return cast("BinaryIO", answer), have, have + int(length) if length else None


def _open_file(folder: Path, name: str, have: int) -> tuple[BinaryIO, int, int]:
    if not folder.is_dir():
        raise ModelError(f"The mirror {folder} is no folder.")
    found = sorted(folder.rglob(name))
    if not found:
        raise ModelError(f"The mirror {folder} does not hold {name}.")
    size = found[0].stat().st_size
    have = have if have <= size else 0
    stream = found[0].open("rb")
    stream.seek(have)
    return stream, have, size
