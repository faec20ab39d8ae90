"""Verifying and installing, inside the short-lived process. The only room that loads tuf.

Order: lock, copy the installed metadata, verify on the copy, copy and verify the targets, check
what they say, bring all of it to the disk, swap. Until the swap nothing installed is touched.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from device.bundles.archive import LARGEST_ARCHIVE_BYTES, unpack
from device.bundles.contents import SMALL_TARGETS, read_contents
from device.bundles.ended import read_ended, refuse_ended
from device.bundles.findings import Findings
from device.bundles.refusal import BundleError
from device.bundles.shelf import Shelf
from device.bundles.stick import LARGEST_METADATA_BYTES, Stick
from device.bundles.trusted import (
    ROOTS,
    Trusted,
    Verification,
    floor_holds,
    newest_root,
)
from device.files import sha256_of, write_atomically
from device.protocol.bundle import METADATA, TARGET_NAMES, TARGETS

_ROOT_FILE: Final = re.compile(r"\d+\.root\.json")
_ROLE_FILE: Final = re.compile(r"(?:\d+\.)?((?:timestamp|snapshot|targets)\.json)")
_ROLE_FILES: Final = ("timestamp.json", "snapshot.json", "targets.json")


class Release(Stick):
    """An installed release, read as if it were a stick."""

    def place(self, room: str, name: str) -> tuple[str, ...]:
        """Return where python-tuf's cache keeps a file of the repository."""
        if room == METADATA and _ROOT_FILE.fullmatch(name):
            return METADATA, ROOTS, name
        if room == METADATA and (found := _ROLE_FILE.fullmatch(name)):
            return METADATA, found.group(1)
        return room, name


def install(
    source: Path, state: Path, pinned: bytes, now_ns: int, device: str | None = None
) -> Findings:
    """Verify the bundle of a folder or an archive, and put it in the installed one's place.

    The same bundle again changes nothing. Raises BundleError, StorageError; then the old one stays.
    """
    shelf = Shelf(state)
    with shelf.held(alone=True):
        shelf.tidy()
        before = shelf.current()
        with shelf.staging() as room, shelf.staging() as staging, _buffers_in(room):
            folder = _folder_of(source, room)
            cache, targets = staging / METADATA, staging / TARGETS
            cache.mkdir()
            targets.mkdir()
            if before is not None:
                _copy_floor(before / METADATA, cache)
            verification = Verification(Stick(folder), cache, pinned, now_ns)
            trusted = verification.metadata()
            verification.fetch(trusted, targets)
            contents = read_contents(_small(targets), now_ns, device)
            refuse_ended(shelf, contents.authorisation)
            if before is not None and _hashes(before) == _hashes(staging):
                return _findings(before, trusted)
            return _findings(shelf.put_up(staging), trusted)


def check(state: Path, pinned: bytes, now_ns: int) -> Findings | None:
    """Verify the installed bundle anew, from its pinned root to the last byte of its targets.

    Return None where none is installed, or its list was erased. Raises BundleError,
    StorageError.
    """
    shelf = Shelf(state)
    with shelf.held(alone=False):
        release = shelf.current()
        if release is None or _erased(shelf, release):
            return None
        with shelf.staging() as staging, _buffers_in(staging):
            cache = staging / METADATA
            cache.mkdir()
            verification = Verification(Release(release), cache, pinned, now_ns)
            trusted = verification.metadata()
            newest = newest_root(release / METADATA)
            if trusted.root_version < newest or not floor_holds(release / METADATA):
                raise _damaged("a file of its metadata")
        _check_targets(release / TARGETS, trusted)
        contents = read_contents(_small(release / TARGETS), now_ns)
        if read_ended(shelf).covers(contents.authorisation):
            return None
        return _findings(release, trusted)


def _erased(shelf: Shelf, release: Path) -> bool:
    """Return whether the installed list was erased; its folder is then gone, on purpose."""
    return not (release / TARGETS).exists() and bool(read_ended(shelf).versions)


def _copy_floor(installed: Path, cache: Path) -> None:
    """Copy the installed metadata, whose versions nothing may fall below.

    Those of another root of trust do no harm: python-tuf passes over what the pinned one does not
    lead to.
    """
    if not floor_holds(installed):
        raise BundleError(
            "The installed bundle's metadata are damaged, so that nobody can say whether this one "
            "is older: move the folder `bundle` of the state directory away, and install the "
            "desk's newest bundle."
        )
    roots = sorted(path.name for path in (installed / ROOTS).glob("*.root.json"))
    for name in (*_ROLE_FILES, *(f"{ROOTS}/{name}" for name in roots)):
        write_atomically(cache / name, (installed / name).read_bytes())


@contextlib.contextmanager
def _buffers_in(folder: Path) -> Iterator[None]:
    """Let tuf buffer in our own folder: nothing else on this device is written to."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _folder_of(source: Path, room: Path) -> Path:
    """Return the folder to read from; an archive is unpacked into `room`, an empty folder."""
    if source.is_file():
        with source.open("rb") as file:
            unpack(file.read(LARGEST_ARCHIVE_BYTES + 1), room)
        return room
    if not source.is_dir():
        raise BundleError(f"{source} is not there: give the folder that the stick is mounted at.")
    if not (source / METADATA).is_dir():
        raise BundleError(
            f"{source} holds no bundle: the folder {METADATA} is missing. Give the folder that the "
            "desk copied."
        )
    return source


def _small(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in SMALL_TARGETS}


def _check_targets(folder: Path, trusted: Trusted) -> None:
    for name in TARGET_NAMES:
        path, target = folder / name, trusted.targets[name]
        try:
            whole = path.stat().st_size == target.length
        except OSError as error:
            raise _damaged(name) from error
        if not whole or sha256_of(path) != target.hashes["sha256"]:
            raise _damaged(name)


def _damaged(name: str) -> BundleError:
    return BundleError(
        f"The installed bundle is damaged: {name} is missing or was changed. Install the desk's "
        "newest bundle again."
    )


def _hashes(release: Path) -> dict[str, str]:
    """Return the SHA-256 of every file, by its place; a link counts by where it points."""
    found = {}
    for at, _, files in os.walk(release):
        for name in files:
            path = Path(at, name)
            place = str(path.relative_to(release))
            found[place] = str(path.readlink()) if path.is_symlink() else sha256_of(path)
    return found


def _findings(release: Path, trusted: Trusted) -> Findings:
    return Findings(
        release=release.name,
        root_version=trusted.root_version,
        timestamp_version=trusted.timestamp_version,
        targets_version=trusted.targets_version,
        fresh_until_ns=trusted.fresh_until_ns,
        sha256={name: trusted.targets[name].hashes["sha256"] for name in TARGET_NAMES},
    )


def read_root(path: Path) -> bytes:
    """Return the pinned root's file. Raises BundleError."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_METADATA_BYTES + 1)
    except OSError as error:
        raise BundleError(
            f"The root of trust {path} cannot be read ({error.strerror or error}): provision this "
            "device, or correct watchlist.root."
        ) from error
    if len(content) > LARGEST_METADATA_BYTES:
        raise BundleError(f"The root of trust {path} is no root: it is too large.")
    return content
