"""Looks at every picture once: the long part, with progress, and with a cache for those who ask.

The cache holds templates, which are personal data: it is off unless a folder is named, nobody else
may enter that folder, and its entries are worth nothing once models, settings or code have changed.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from rich.progress import track

from device.errors import StorageError
from device.files import sha256_of, write_atomically
from tools.console import notes
from tools.lab.evaluate.looks import Enrolment, Look
from tools.lab.evaluate.pipeline import Pipeline

_Kept = TypeVar("_Kept", Look, Enrolment)
_PRIVATE = 0o700


class Cache:
    """What the pipeline made of files, kept by their content; nothing without a folder."""

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        """Raises StorageError when the folder cannot be made, or others may enter it."""
        self._folder = folder
        self._fingerprint = fingerprint
        if folder is None:
            return
        try:
            folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            mode = folder.stat().st_mode & 0o777
        except OSError as error:
            raise StorageError(f"The cache {folder} cannot be made ({error.strerror}).") from error
        if mode != _PRIVATE:
            raise StorageError(
                f"Others may enter the cache {folder}, and it holds templates: `chmod 700` it, or "
                "name a folder that does not exist yet."
            )

    def get(self, digest: str, kind: type[_Kept], make: Callable[[], _Kept]) -> _Kept:
        """Return what was kept of a file, or make and keep it. digest: the file's SHA-256."""
        if self._folder is None:
            return make()
        key = f"{self._fingerprint}:{kind.__name__}:{digest}"
        path = self._folder / hashlib.sha256(key.encode()).hexdigest()
        try:
            return msgspec.msgpack.decode(path.read_bytes(), type=kind)
        except (OSError, msgspec.MsgspecError):
            made = make()
            write_atomically(path, msgspec.msgpack.encode(made))
            return made


class Gatherer:
    """Looks at and enrols files, each at most once."""

    def __init__(self, pipeline: Pipeline, cache: Cache) -> None:
        self._pipeline = pipeline
        self._cache = cache
        self._digests: dict[Path, str] = {}
        self.looks: dict[Path, Look] = {}
        self.enrolments: dict[Path, Enrolment] = {}

    def look(self, paths: Iterable[Path], what: str) -> None:
        """Find the faces of files. what: the words beside the progress bar."""
        for path in self._track(paths, self.looks, what):
            make = partial(self._pipeline.look, path)
            self.looks[path] = self._cache.get(self._digest(path), Look, make)

    def enrol(self, paths: Iterable[Path], what: str) -> None:
        """Make references of files."""
        for path in self._track(paths, self.enrolments, what):
            make = partial(self._pipeline.enrol, path)
            self.enrolments[path] = self._cache.get(self._digest(path), Enrolment, make)

    def content_sha256(self, folder: Path) -> str:
        """Return a hash of all files looked at: their names below the folder and contents."""
        lines = sorted(
            f"{os.path.relpath(path, folder)} {digest}" for path, digest in self._digests.items()
        )
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = sha256_of(path)
        return self._digests[path]

    @staticmethod
    def _track(
        paths: Iterable[Path], done: dict[Path, Look] | dict[Path, Enrolment], what: str
    ) -> Iterable[Path]:
        waiting = sorted(set(paths) - set(done))
        # In a file a progress bar is nothing but empty lines.
        return track(waiting, what, console=notes, transient=True, disable=not notes.is_terminal)
