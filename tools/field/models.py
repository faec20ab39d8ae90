"""`passerby-field models`: gets models by hash, ready, or made from a published file by a recipe.

A model appears under its name only after its SHA-256 was right. A published `.tflite` file is taken
as it is; so is any file of a mirror that has the right hash. For another, the published weights are
fetched and the recipe of this repository is applied to them (`recipe`).
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from device.errors import ModelError, StorageError
from device.files import sha256_of, write_atomically
from device.vision import Catalogue, ModelEntry
from tools.console import console, notes
from tools.field.download import AbsentError, Wanted, get
from tools.field.recipe import apply, read_recipe

_READABLE = 0o644


def show(directory: Path) -> int:
    """Print the catalogue and what of it is here; 0 when all files are here and right."""
    catalogue = Catalogue.read(directory)
    columns = ("role", "collection", "licence", "SHA-256", "comes", "here")
    table = Table(Column("model", no_wrap=True), *columns)
    missing = 0
    for entry in catalogue.entries:
        state = _state(catalogue, entry)
        missing += state != "yes"
        row = (entry.name, entry.role, entry.collection, entry.licence, entry.sha256[:12] + "…")
        table.add_row(*row, _way(entry), state)
    console.print(table)
    return 1 if missing else 0


def _state(catalogue: Catalogue, entry: ModelEntry) -> str:
    path = catalogue.path(entry)
    if not path.is_file():
        return "no"
    return "yes" if sha256_of(path) == entry.sha256 else "WRONG FILE"


def _way(entry: ModelEntry) -> str:
    """Return how a model comes here."""
    if entry.collection == "built-in":
        return "with Passerby"
    if entry.recipe:
        return "by recipe"
    return "as published" if entry.url else "from a mirror"


@dataclass(slots=True)
class _Fetch:
    """One run of the command. published: weights that several models are made of, by hash."""

    catalogue: Catalogue
    mirror: str | None
    progress: Progress
    published: dict[str, bytes] = field(default_factory=dict)

    def one(self, entry: ModelEntry) -> None:
        """Get one model. Raises ModelError or StorageError."""
        target = self.catalogue.path(entry)
        if _state(self.catalogue, entry) == "yes":
            console.print(f"{entry.name}: already here, SHA-256 right")
            return
        try:
            how = self._ready(entry, target) or self._made(entry, target)
        except OSError as error:
            raise StorageError(
                f"{target} cannot be written ({error.strerror or error}): check the disk and the "
                "folder's rights."
            ) from error
        size = target.stat().st_size
        console.print(f"{entry.name}: {how}, SHA-256 right ({size:,} bytes)")

    def _ready(self, entry: ModelEntry, target: Path) -> str:
        """Get the finished file; "" when it is not there and a recipe may make it."""
        if entry.recipe and self.mirror is None and entry.url is None:
            return ""
        part = target.with_name(target.name + ".part")
        wanted = Wanted(entry.name, target.name, entry.sha256, entry.url)
        try:
            get(wanted, self.mirror, part, self.progress)
        except AbsentError:
            if entry.recipe is None:
                raise
            return ""
        part.replace(target)
        return "fetched"

    def _made(self, entry: ModelEntry, target: Path) -> str:
        """Make the file from the published one. Raises ModelError, then nothing is left."""
        if entry.recipe is None or entry.upstream is None:
            raise ModelError(f"models.toml names no recipe and published file for {entry.name}.")
        recipe = read_recipe(self.catalogue.directory / entry.recipe)
        published = entry.upstream
        wanted = Wanted(entry.name, recipe.published.file, published.sha256, published.url)
        model = apply(recipe, self._published(wanted, target.parent))
        actual = hashlib.sha256(model).hexdigest()
        if actual != entry.sha256:
            raise ModelError(
                f"The recipe of {entry.name} made another file than models.toml names: SHA-256 "
                f"{actual[:16]}…, expected {entry.sha256[:16]}…. models.toml and {entry.recipe} "
                "are of different versions: update Passerby."
            )
        write_atomically(target, model, _READABLE)
        return f"made from {wanted.file}"

    def _published(self, wanted: Wanted, folder: Path) -> bytes:
        """Return a published file; it is fetched once and not kept."""
        if wanted.sha256 not in self.published:
            part = folder / f"{wanted.file}.part"
            get(wanted, self.mirror, part, self.progress)
            self.published[wanted.sha256] = part.read_bytes()
            part.unlink()
        return self.published[wanted.sha256]


def fetch(directory: Path, mirror: str | None, names: list[str]) -> int:
    """Get the named models, or all. Raises ModelError or StorageError with what to do."""
    catalogue = Catalogue.read(directory)
    known = {entry.name: entry for entry in catalogue.entries}
    for name in names:
        if name not in known:
            raise ModelError(f'No model is called "{name}"; there are: {", ".join(known)}.')
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=notes) as progress:
        run = _Fetch(catalogue, mirror, progress)
        for entry in (known[name] for name in names) if names else catalogue.entries:
            run.one(entry)
    return 0
