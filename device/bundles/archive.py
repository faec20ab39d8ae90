"""A bundle as one file, for MQTT: an uncompressed tar (POSIX ustar) in its one form.

Only `metadata/*` and `targets/*`, sorted by name, no times, no owners, no folders, no links. Any
tar program reads it. The reader here knows this form only: it makes every header anew and compares,
so that there is no second spelling, no path trick, and nothing hidden between files.
"""

import re
import tarfile
from pathlib import Path
from typing import Final

from device.bundles.refusal import BundleError
from device.errors import StorageError
from device.files import shown, write_atomically
from device.protocol.bundle import METADATA, TARGETS

LARGEST_ARCHIVE_BYTES: Final = 24 * 1024 * 1024
"""The largest targets with some thousand files of metadata stay below it."""
MOST_FILES: Final = 1024

_PLACE: Final = re.compile(rf"({METADATA}|{TARGETS})/[0-9A-Za-z][0-9A-Za-z._-]{{0,90}}")
_BLOCK: Final = 512
_END: Final = bytes(2 * _BLOCK)


def pack(folder: Path) -> bytes:
    """Return the archive of a repository's folder: the same files always give the same bytes.

    Everything in its two folders is packed: hand in what `passerby-desk watchlist copy` made, which
    has no old versions. Raises StorageError, BundleError.
    """
    try:
        files = {
            f"{room}/{path.name}": path.read_bytes()
            for room in (METADATA, TARGETS)
            for path in (folder / room).iterdir()
        }
    except OSError as error:
        raise StorageError(
            f"The bundle {folder} cannot be read ({error.strerror or error})."
        ) from error
    return packed(files)


def packed(files: dict[str, bytes]) -> bytes:
    """Return the archive of files by their places, as "metadata/timestamp.json".

    Raises BundleError.
    """
    parts = []
    for place in sorted(files):
        if _PLACE.fullmatch(place) is None:
            raise BundleError(f"A bundle has no file called {shown(place)!r}.")
        parts += [_header(place, len(files[place])), files[place], _padding(len(files[place]))]
    archive = b"".join([*parts, _END])
    _check_size(len(archive), len(files))
    return archive


def unpack(archive: bytes, folder: Path) -> None:
    """Write an archive's files below a folder, which must be empty or not there.

    Nothing is written unless the whole archive is in order. Raises BundleError, StorageError.
    """
    files = unpacked(archive)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise StorageError(f"{folder} is not empty: a bundle is unpacked into an empty folder.")
    except OSError as error:
        raise StorageError(f"{folder} cannot be read ({error.strerror or error}).") from error
    for place, content in files.items():
        write_atomically(folder / place, content)


def unpacked(archive: bytes) -> dict[str, bytes]:
    """Return an archive's files by their places. Raises BundleError."""
    _check_size(len(archive), 0)
    files: dict[str, bytes] = {}
    at, before = 0, ""
    while len(archive) - at > len(_END):
        place, length = _entry(archive[at : at + _BLOCK])
        end = at + _BLOCK + length
        padding = _padding(length)
        if place <= before or len(archive) < end or archive[end : end + len(padding)] != padding:
            raise _damaged()
        files[place] = archive[at + _BLOCK : end]
        _check_size(0, len(files))
        at, before = end + len(padding), place
    if archive[at:] != _END:
        raise _damaged()
    return files


def _entry(header: bytes) -> tuple[str, int]:
    """Return place and length of a header that is exactly what we would have written."""
    try:
        place = header[:100].rstrip(b"\0").decode("ascii")
        length = int(header[124:135], 8)
        written = _header(place, length) if _PLACE.fullmatch(place) else b""
    except ValueError as error:
        raise _damaged() from error
    if header != written:
        raise _damaged()
    return place, length


def _header(place: str, length: int) -> bytes:
    entry = tarfile.TarInfo(place)
    entry.size = length
    entry.mode = 0o644
    return entry.tobuf(tarfile.USTAR_FORMAT)


def _padding(length: int) -> bytes:
    return bytes(-length % _BLOCK)


def _check_size(length: int, files: int) -> None:
    if length > LARGEST_ARCHIVE_BYTES or files > MOST_FILES:
        raise BundleError(
            f"A bundle's archive has {LARGEST_ARCHIVE_BYTES} bytes and {MOST_FILES} files at most: "
            "the desk must publish without its old versions."
        )


def _damaged() -> BundleError:
    return BundleError(
        "The archive is cut, or is no bundle of Passerby in its one form: have it sent again."
    )
