"""`bundle/` in the state directory: the installed release, and how another takes its place.

    bundle/current            → release-…, a link that is swapped in one step
    bundle/release-…/metadata   python-tuf's cache; its versions are the floor for the next bundle
    bundle/release-…/targets    the targets under their plain names
    bundle/staging-…            what is being verified; a leftover of a power cut is removed later
    bundle/ended.json           deployments whose list was erased here, and that may not come back

`incoming/` beside them belongs to the courier and is left alone.
"""

import contextlib
import fcntl
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from device.errors import StorageError
from device.overwriting import destroy
from device.protocol.bundle import LOCAL_KEYS, WATCHLIST

log = logging.getLogger(__name__)

FOLDER: Final = "bundle"
CURRENT: Final = "current"
_RELEASE = re.compile(r"release-[0-9A-Za-z_]{4,32}")
_LEFTOVER = re.compile(r"(staging|release)-[0-9A-Za-z_]{4,32}|\.current-[0-9A-Za-z_]{4,32}")


class Shelf:
    """The folder `bundle` of a state directory. Methods raise StorageError."""

    def __init__(self, state: Path) -> None:
        self.folder = state / FOLDER

    def current(self) -> Path | None:
        """Return the installed release's own folder; None where there is none."""
        try:
            name = str((self.folder / CURRENT).readlink())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _fault(self.folder / CURRENT, error) from error
        if _RELEASE.fullmatch(name) is None:
            raise StorageError(
                f"{self.folder / CURRENT} points elsewhere: erase this link, and install the "
                "desk's newest bundle."
            )
        return self.folder / name

    @contextlib.contextmanager
    def held(self, *, alone: bool) -> Iterator[None]:
        """Hold the shelf: alone to change it, or with other readers. Waits for its turn.

        The kernel frees it when the process ends, however it ends.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _fault(self.folder, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """Make a folder to verify in; whatever then still lies there is removed."""
        try:
            folder = Path(tempfile.mkdtemp(prefix="staging-", dir=self.folder))
        except OSError as error:
            raise _fault(self.folder, error) from error
        try:
            yield folder
        except OSError as error:
            raise _fault(folder, error) from error
        finally:
            with contextlib.suppress(OSError, StorageError):
                _remove(folder)

    def put_up(self, staged: Path) -> Path:
        """Make a staged folder the installed release; return its new place.

        Everything is on the disk before the one step that counts: the link's replacement. The
        shelf must be held alone.
        """
        sync_tree(staged)
        release = self.folder / staged.name.replace("staging-", "release-", 1)
        link = self.folder / staged.name.replace("staging-", ".current-", 1)
        try:
            staged.rename(release)
            link.symlink_to(release.name)
            _sync_folder(self.folder)
            _sync_folder(self.folder.parent)
            link.replace(self.folder / CURRENT)
        except OSError as error:
            raise _fault(self.folder, error) from error
        self._confirm()
        with contextlib.suppress(StorageError):
            self.tidy()
        return release

    def _confirm(self) -> None:
        try:
            _sync_folder(self.folder)
        except OSError as error:
            raise StorageError(
                f"The bundle is installed, but the disk under {self.folder} does not confirm it "
                f"({error.strerror or error}): replace the disk, and install the bundle again."
            ) from error

    def tidy(self) -> None:
        """Remove what is neither installed nor anybody's. The shelf must be held alone."""
        current = self.current()
        try:
            for path in self.folder.iterdir():
                if path != current and _LEFTOVER.fullmatch(path.name):
                    _remove(path)
        except OSError as error:
            raise _fault(self.folder, error) from error


def sync_tree(folder: Path) -> None:
    """Bring a folder and all in it to the disk. Raises OSError."""
    for at, _, files in os.walk(folder):
        for name in files:
            path = Path(at, name)
            if not path.is_symlink():
                _sync(path, os.O_RDONLY)
        _sync_folder(Path(at))


def _sync_folder(folder: Path) -> None:
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    """Remove a release, a staging folder or a link; keys and lists are overwritten, keys first."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    try:
        for name in (LOCAL_KEYS, WATCHLIST):
            for found in path.rglob(f"*{name}"):
                destroy(found)
    finally:
        # Also where a worn card cannot be overwritten any more.
        shutil.rmtree(path)


def _fault(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be written or read ({error.strerror or error}): free some space, or "
        "correct the rights of the state directory. What was installed stays."
    )
