"""What a repository says now: metadata that refer to each other, and their files. Rules only.

The files are read through a function, so that a folder, a stick and a test are the same thing:
`read(name)` returns the content of `metadata/timestamp.json`, say, or None where there is none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from securesystemslib.exceptions import StorageError as LibraryError
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from device.errors import ConfigurationError, StorageError
from device.protocol.bundle import METADATA, TARGETS
from tools.desk.repository.roots import read_chain

Read = Callable[[str], bytes | None]

TIMESTAMP: Final = f"{METADATA}/timestamp.json"
_LARGEST_CHAIN = 1024
_META = {Snapshot.type: "snapshot.json", Targets.type: "targets.json"}


@dataclass(frozen=True, slots=True)
class Published:
    """The metadata that timestamp.json leads to, each as its file is, and what they say."""

    contents: dict[str, bytes]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]

    @property
    def version(self) -> int:
        """Version of the targets: of what officer and custodian have signed."""
        return self.targets.signed.version

    @property
    def names(self) -> set[str]:
        """Names of all files that belong to it, but the roots."""
        return {*self.contents, *(target_name(t) for t in self.targets.signed.targets.values())}


def root_name(version: int) -> str:
    """Return the name of a root's file in a repository."""
    return f"{METADATA}/{version}.root.json"


def meta_name(role: str, version: int) -> str:
    """Return the name of the targets' or the snapshot's file in a repository."""
    return f"{METADATA}/{version}.{_META[role]}"


def target_name(target: TargetFile) -> str:
    """Return the name of a target's file in a repository."""
    return f"{TARGETS}/{target.hashes.get('sha256', '')}.{target.path}"


def read_roots(read: Read) -> list[Metadata[Root]]:
    """Return the chain of roots of a repository, the oldest first. Raises StorageError."""
    return chain_of(root_contents(read))


def chain_of(contents: list[bytes]) -> list[Metadata[Root]]:
    """Return the roots of their files. Raises StorageError: here nobody has typed them wrong."""
    try:
        return read_chain(contents)
    except ConfigurationError as error:
        raise StorageError(f"The repository's root of trust is not usable: {error}") from error


def root_contents(read: Read) -> list[bytes]:
    """Return the files of all roots, from 1 on without a gap; empty where there is none."""
    contents: list[bytes] = []
    for version in count(1):
        content = read(root_name(version))
        if content is None or version > _LARGEST_CHAIN:
            break
        contents.append(content)
    return contents


def read_published(read: Read) -> Published | None:
    """Return what timestamp.json leads to; None where nothing is published.

    Signatures are looked at by `check`, so that what a former key has signed can still be read.
    Raises StorageError when a file is missing or does not fit the one that names it.
    """
    content = read(TIMESTAMP)
    if content is None:
        return None
    contents = {TIMESTAMP: content}
    timestamp = _parsed(content, Timestamp, TIMESTAMP)
    name = meta_name(Snapshot.type, timestamp.signed.snapshot_meta.version)
    contents[name] = _required(read, name)
    snapshot = _parsed(contents[name], Snapshot, name)
    _fits(timestamp.signed.snapshot_meta.verify_length_and_hashes, contents[name], name)
    listed = snapshot.signed.meta.get(_META[Targets.type])
    if listed is None:
        raise StorageError(f"{name} names no targets; publish anew.")
    name = meta_name(Targets.type, listed.version)
    contents[name] = _required(read, name)
    targets = _parsed(contents[name], Targets, name)
    _fits(listed.verify_length_and_hashes, contents[name], name)
    return Published(contents, timestamp, snapshot, targets)


def check(found: Published, root: Root, read: Read) -> None:
    """Raise StorageError unless everything is signed as a root asks and every target is whole.

    Expiry is not looked at: a stick may be made today for tomorrow's clock.
    """
    for role, metadata in (
        (Timestamp.type, found.timestamp),
        (Snapshot.type, found.snapshot),
        (Targets.type, found.targets),
    ):
        if not is_signed(root, role, metadata):
            raise StorageError(
                f"The published {role} is not signed as root {root.version} asks: after a change "
                "of keys, stage, sign and publish anew."
            )
    for target in found.targets.signed.targets.values():
        name = target_name(target)
        _fits(target.verify_length_and_hashes, _required(read, name), name)


def is_signed(root: Root, role: str, metadata: Metadata) -> bool:  # type: ignore[type-arg]
    """Return whether metadata carries all the signatures that a root asks for."""
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except RepositoryError:
        return False
    return True


def _required(read: Read, name: str) -> bytes:
    content = read(name)
    if content is None:
        raise StorageError(f"{name} is missing from the repository: it was only half copied.")
    return content


def _parsed(content: bytes, kind: type, name: str) -> Metadata:  # type: ignore[type-arg]
    try:
        found: Metadata = Metadata.from_bytes(content)  # type: ignore[type-arg]
    except (RepositoryError, LibraryError) as error:
        raise StorageError(f"{name} is damaged ({error}).") from error
    if not isinstance(found.signed, kind):
        raise StorageError(f"{name} is damaged: it holds {found.signed.type} metadata.")
    return found


def _fits(verify: Callable[[bytes], None], content: bytes, name: str) -> None:
    try:
        verify(content)
    except RepositoryError as error:
        raise StorageError(f"{name} is not the file that was published ({error}).") from error
