"""The folder `staged/` of a repository: files and metadata that wait for signatures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets

from device.errors import StorageError
from device.files import write_atomically
from tools.desk.repository.staged import Staged
from tools.desk.repository.stick import LARGEST
from tools.desk.repository.storage import PUBLIC, read_part, remove

STAGED: Final = "staged"


class Staging:
    """What is staged in a repository's folder. Whoever writes holds the repository's lock.

    Files are named by their hash and the metadata are written last, so that a crash leaves what was
    staged before. Methods raise StorageError.
    """

    def __init__(self, repository: Path) -> None:
        self._folder = repository / STAGED
        self._metadata = self._folder / "targets.json"

    def read(self, root: Root) -> Staged | None:
        """Return what is staged; None where nothing is. root: whose signatures count."""
        content = read_part(self._metadata, LARGEST)
        if content is None:
            return None
        try:
            found: Metadata[Targets] = Metadata.from_bytes(content)
        except RepositoryError as error:
            raise StorageError(f"{self._metadata} is damaged ({error}): stage it again.") from error
        if not isinstance(found.signed, Targets):
            raise StorageError(f"{self._metadata} is damaged: stage it again.")
        return Staged(found, root)

    def contents(self, staged: Staged) -> dict[str, bytes]:
        """Return the staged files by name, unverified; a missing one is left out."""
        found = {name: read_part(path, LARGEST) for name, path in self._paths(staged).items()}
        return {name: content for name, content in found.items() if content is not None}

    def write(self, staged: Staged, contents: Mapping[str, bytes]) -> None:
        """Replace what is staged."""
        paths = self._paths(staged)
        for name, path in paths.items():
            write_atomically(path, contents[name], PUBLIC)
        self.write_metadata(staged)
        self._forget_all_but({self._metadata, *paths.values()})

    def write_metadata(self, staged: Staged) -> None:
        """Write the metadata with their signatures."""
        write_atomically(self._metadata, staged.metadata.to_bytes(), PUBLIC)

    def clear(self) -> None:
        """Forget what is staged."""
        remove([self._metadata])
        self._forget_all_but(set())

    def _paths(self, staged: Staged) -> dict[str, Path]:
        return {
            name: self._folder / f"{target.hashes.get('sha256', '')}.{Path(name).name}"
            for name, target in staged.targets.items()
        }

    def _forget_all_but(self, kept: set[Path]) -> None:
        remove([path for path in self._folder.glob("*") if path not in kept])
