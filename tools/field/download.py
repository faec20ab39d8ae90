"""One file by its hash: from a mirror folder, a mirror address or its published address.

The file is complete only after its SHA-256 was right; until then it is a part, from which an
interrupted fetch goes on.
"""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, cast

from rich.progress import Progress

from device.errors import ModelError
from device.files import sha256_of

_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = 30
_NOT_FOUND = 404
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to get: for which model, the file's name on a mirror, its hash, its own address."""

    model: str
    file: str
    sha256: str
    url: str | None = None


class AbsentError(ModelError):
    """The source does not have the file, or has another one under its name."""


def get(wanted: Wanted, mirror: str | None, part: Path, progress: Progress) -> None:
    """Make `part` the wanted file, going on where an earlier call stopped.

    Raises AbsentError or ModelError with what to do; a part that was another file is deleted then,
    an incomplete one stays. Raises OSError when the part cannot be written.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    _complete(wanted, mirror, part, progress)
    if sha256_of(part) != wanted.sha256:
        # What an earlier, interrupted fetch left may be of another file: once from the start.
        part.unlink()
        _complete(wanted, mirror, part, progress)
    actual = sha256_of(part)
    if actual != wanted.sha256:
        part.unlink()
        raise AbsentError(
            f"{wanted.model} from {mirror or wanted.url} is not the file that models.toml names: "
            f"SHA-256 {actual[:16]}…, expected {wanted.sha256[:16]}…. It was deleted; use another "
            "mirror."
        )


def _complete(wanted: Wanted, mirror: str | None, part: Path, progress: Progress) -> None:
    """Append to `part` what it lacks. What came stays when the source breaks off."""
    have = part.stat().st_size if part.exists() else 0
    task = progress.add_task(wanted.file, completed=have, total=None)
    try:
        stream, have, total = _open(wanted, mirror, have)
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
        absent = isinstance(error, urllib.error.HTTPError) and error.code == _NOT_FOUND
        raise (AbsentError if absent else ModelError)(
            f"{wanted.model} could not be fetched ({reason}): check the network and the address, "
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


def _open(wanted: Wanted, mirror: str | None, have: int) -> tuple[BinaryIO, int, int | None]:
    """Open the source at byte `have`. Returns it, the byte it starts at, and the full size."""
    address = wanted.url
    if mirror is not None:
        if not mirror.startswith(("http://", "https://")):
            return _open_file(Path(mirror), wanted.file, have)
        address = f"{mirror.rstrip('/')}/{wanted.file}"
    if address is None:
        raise AbsentError(
            f"{wanted.model} is a conversion that no upstream publishes: give a mirror that has "
            f"{wanted.file}, with --from FOLDER or --from ADDRESS."
        )
    try:
        request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"})  # noqa: S310
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310 - http(s) only
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and have:
            return _open(wanted, mirror, 0)
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
        raise AbsentError(f"The mirror {folder} does not hold {name}.")
    size = found[0].stat().st_size
    have = have if have <= size else 0
    stream = found[0].open("rb")
    stream.seek(have)
    return stream, have, size
