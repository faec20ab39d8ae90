"""Copying what is published into another folder: a stick for a site without a network.

In the order of publishing, so that a stick that is pulled out early holds the old bundle or the new
one. Afterwards everything is read back from the medium and compared; only then are the files of an
older bundle removed.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Timestamp

from device.errors import ConfigurationError, StorageError
from device.files import write_atomically
from device.protocol.bundle import LARGEST_TARGET_BYTES, METADATA, TARGET_NAMES, TARGETS
from tools.desk.repository.published import (
    TIMESTAMP,
    Published,
    Read,
    chain_of,
    is_signed,
    root_contents,
    root_name,
)
from tools.desk.repository.storage import PUBLIC, read_part, remove
from tools.desk.repository.times import shown

LARGEST = max(LARGEST_TARGET_BYTES.values())
_OURS = {
    METADATA: re.compile(r"[0-9]+\.(snapshot|targets)\.json"),
    TARGETS: re.compile(rf"[0-9a-f]{{64}}\.({'|'.join(map(re.escape, TARGET_NAMES))})"),
}
_UNFINISHED = re.compile(r"\..+\.[a-z0-9_]{8}")
"""What a killed `write_atomically` leaves."""


def reader(folder: Path) -> Read:
    """Return the function that reads the files of a repository in a folder."""

    def read(name: str) -> bytes | None:
        return read_part(folder / name, LARGEST)

    return read


def copy(source: Published, roots: Sequence[bytes], read: Read, folder: Path) -> None:
    """Copy a verified repository. roots: all of them; read: of the source.

    Raises ConfigurationError when the folder holds something newer or of another root, StorageError
    when it cannot be written or does not keep what was written.
    """
    stick = reader(folder)
    _check_stick(source, roots, stick)
    files = {root_name(number): content for number, content in enumerate(roots, 1)}
    for name in sorted(source.names - source.contents.keys()):
        files[name] = _present(read(name), name)
    for name in reversed(source.contents):  # as read: from the timestamp on
        files[name] = source.contents[name]
    write_in_order(folder, files, stick)
    for name, content in files.items():
        if stick(name) != content:
            raise StorageError(
                f"{folder / name} does not read as it was written: take another stick."
            )
    remove(leftovers(folder, source.names))


def write_in_order(folder: Path, files: dict[str, bytes], read: Read) -> None:
    """Write files one after the other, durably. What is there in whole is not written again."""
    for name, content in files.items():
        if read(name) != content:
            write_atomically(folder / name, content, PUBLIC)


def leftovers(folder: Path, kept: set[str]) -> list[Path]:
    """Return files of repositories that nothing in `kept` names, and halves of killed writes.

    Nobody else may be writing into the folder. Raises StorageError.
    """
    found = []
    try:
        for room, pattern in _OURS.items():
            found += [
                path
                for path in (folder / room).glob("*")
                if (pattern.fullmatch(path.name) or _UNFINISHED.fullmatch(path.name))
                and f"{room}/{path.name}" not in kept
            ]
    except OSError as error:
        raise StorageError(f"{folder} cannot be read ({error.strerror or error}).") from error
    return found


def _check_stick(source: Published, roots: Sequence[bytes], stick: Read) -> None:
    there = root_contents(stick)
    if there and there[0] != roots[0]:
        raise ConfigurationError(
            "This stick holds the lists of another root of trust: take another stick, or empty it."
        )
    if len(there) > len(roots) and _is_usable(lambda: chain_of(there)):
        raise ConfigurationError(
            "This stick holds a newer root of trust than this repository: adopt that first with "
            "`passerby-desk root adopt`."
        )
    _check_timestamp(source, chain_of(list(roots))[-1].signed, stick(TIMESTAMP))


def _check_timestamp(source: Published, root: Root, content: bytes | None) -> None:
    """Refuse to replace something newer; what is damaged or was never signed may be replaced."""
    if content is None:
        return
    try:
        found: Metadata[Timestamp] = Metadata.from_bytes(content)
    except RepositoryError:
        return
    if not isinstance(found.signed, Timestamp) or not is_signed(root, Timestamp.type, found):
        return
    if found.signed.version > source.timestamp.signed.version:
        raise ConfigurationError(
            "This stick holds something newer than this repository, fresh until "
            f"{shown(found.signed.expires)}: devices would refuse to go back. Publish or refresh "
            "here first."
        )


def _is_usable(reading: Callable[[], object]) -> bool:
    try:
        reading()
    except StorageError:
        return False
    return True


def _present(content: bytes | None, name: str) -> bytes:
    if content is None:
        raise StorageError(f"{name} is missing from the repository.")
    return content
