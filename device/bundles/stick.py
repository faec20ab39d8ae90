"""The one way to a bundle's files: a local folder, read with bounds. There is no network here.

python-tuf asks for names; this reads them from a USB stick or an unpacked archive, both of them
hostile. Links are not followed, only plain files are read, and none further than it may be long.
Needs tuf: imported in the verifying process only.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient.fetcher import FetcherInterface

from device.files import shown
from device.protocol.bundle import LARGEST_TARGET_BYTES, METADATA, TARGETS

LARGEST_METADATA_BYTES: Final = 262_144
"""No file of metadata is read further, whatever signed metadata says of its length."""

_LARGEST = {METADATA: LARGEST_METADATA_BYTES, TARGETS: max(LARGEST_TARGET_BYTES.values())}
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")
_CHUNK_BYTES = 65_536
_NOT_FOUND = 404


class MissingError(DownloadHTTPError):
    """A file is not there. For the next root that is no fault: then there is none."""

    def __init__(self, place: str) -> None:
        super().__init__(place, _NOT_FOUND)
        self.place = place


class UnreadableError(DownloadError):
    """A file is there and must not or cannot be read; the message is a sentence."""


class Stick(FetcherInterface):
    """Files of a folder with `metadata/` and `targets/`, by names such as "metadata/1.root.json".

    metadata: what was last read, by name, so that a refusal can say when something expired.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.metadata: dict[str, bytes] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        room, _, name = url.partition("/")
        if room not in _LARGEST or _NAME.fullmatch(name) is None:
            raise UnreadableError(
                f"The bundle asks for a file called {shown(url)!r}: no such name."
            )
        try:
            yield from self._read(room, name)
        except FileNotFoundError as error:
            raise MissingError(url) from error
        except OSError as error:
            raise UnreadableError(_unreadable(url, error)) from error

    def place(self, room: str, name: str) -> tuple[str, ...]:
        """Return where a file lies: folders below the bundle's own, then its name."""
        return room, name

    def _read(self, room: str, name: str) -> Iterator[bytes]:
        handle = _opened(self._folder, self.place(room, name))
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UnreadableError(
                    f"The bundle's {room}/{name} is no plain file: copy the stick again."
                )
            length = 0
            kept = bytearray()
            while chunk := os.read(handle, _CHUNK_BYTES):
                length += len(chunk)
                if length > _LARGEST[room]:
                    raise DownloadLengthMismatchError(f"{room}/{name}")
                if room == METADATA:
                    kept += chunk
                yield chunk
            if room == METADATA:
                self.metadata[name] = bytes(kept)
        finally:
            os.close(handle)


def _opened(folder: Path, place: tuple[str, ...]) -> int:
    """Open a file below a folder without following any link. Raises OSError."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in place[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(part, flags, dir_fd=at)
            os.close(at)
            at = below
        # Without O_NONBLOCK a pipe on the stick would hold us for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(place[-1], flags, dir_fd=at)
    finally:
        os.close(at)


def _unreadable(place: str, error: OSError) -> str:
    # A folder that is a link fails as "not a directory" where O_DIRECTORY is asked for as well.
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return (
            f"The bundle's {place} is a link, or lies behind one; links are not followed: copy the "
            "stick again."
        )
    return (
        f"The bundle's {place} cannot be read ({error.strerror or error}): copy the stick again, "
        "or take another one."
    )
