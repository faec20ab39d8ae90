"""`Manifests`: what stays of every list at the desk, and answers "was this person on it?" (R27).

One file per version of a list, in `<workplace>/rights/manifests`. It holds the manifest, which is
pseudonymous already, and for each reference the keyed digests of its subject (`names`): without the
rights key, which lies in the vault, nobody can tell who was listed, nor try names.

Each file carries an HMAC under a key derived from the rights key; an index, made the same way, says
which files there must be. So a file that is cut, edited, foreign or gone is found, and said.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from device.errors import StorageError
from device.files import write_atomically
from device.protocol.alert import ListVersion
from device.protocol.identifiers import utc_ns
from device.protocol.manifest import Listing, Manifest
from tools.desk.rights.kept import (
    SUFFIX,
    SUPERSEDED,
    UNKNOWN,
    Index,
    Kept,
    closed,
    ended_listing,
    is_same,
    name_of,
    published_at,
    running_deployments,
    supersedes,
)
from tools.desk.rights.names import Agreement, Subject, agreement, digests_of
from tools.desk.rights.witness import Witness
from tools.desk.watchlist.vault import held_alone

INDEX: Final = "index.json"
LARGEST_BYTES: Final = 64 * 1024 * 1024
_LOCK: Final = ".lock"
_Part = TypeVar("_Part", bound=Struct)


@dataclass(frozen=True, slots=True)
class Found:
    """One listing that answers a question.

    agreement: how the name agreed; "reference id" where one was asked for. erased_at, reason: of
    this version, "unknown" and empty while it is the newest. running: whether any version of the
    deployment is still in force: whoever was on the version before is likely on this one too, so
    a version that was only replaced is not "over" for anybody outside the desk (R38).
    """

    deployment: str
    watchlist: ListVersion
    listing: Listing
    erased_at: str
    reason: str
    agreement: Agreement | Literal["reference id"]
    running: bool


class Manifests:
    """The manifests of one desk. Times are RFC 3339 UTC, as in events (`utc_text`).

    Every method raises StorageError, in one sentence, when anything in the folder is damaged: an
    answer from an incomplete folder would be a wrong one.
    """

    def __init__(self, folder: Path, rights_key: bytes, witness: Witness | None = None) -> None:
        """folder: `<workplace>/rights/manifests`, made when needed. rights_key: 32 bytes.

        witness: who knows whether the index is the newest; None: nobody does.
        """
        self._folder = folder
        self._witness = witness
        self._rights_key = rights_key
        self._mac_key = hmac.new(rights_key, b"passerby manifests 1", hashlib.sha256).digest()

    def published(
        self, manifest: Manifest, subjects: Mapping[str, Subject], at: str | None = None
    ) -> None:
        """Keep a version that was just published, and close the version before it.

        subjects: by reference id, exactly those of the manifest. at: when; by default the
        manifest's `loaded_at`, or the first of its listings. The same file once more changes
        nothing: publishing that was interrupted is repeated, and its first time counts.
        """
        references = {one.reference_id for one in manifest.listings}
        if references != set(subjects) or len(references) != len(manifest.listings):
            raise StorageError(
                "A manifest and the people of its list do not agree: nothing was kept. Publish the "
                "list again from its register."
            )
        moment = at or published_at(manifest)
        kept = Kept(
            moment,
            manifest,
            {one: list(digests_of(who, self._rights_key)) for one, who in subjects.items()},
        )
        with held_alone(self._folder / _LOCK):
            others, named = self._all(), self._index().files
            if not named:
                # There is an index before there is anything that it could name.
                self._write_index(set())
            if not any(is_same(manifest, one.manifest) for one in others):
                self._write(kept)
            self._write_index({*named, name_of(manifest)})
            for older in others:
                if supersedes(manifest, older.manifest):
                    self._write(closed(older, moment, SUPERSEDED))

    def revoked(self, deployment: str, reference_id: str, at: str, reason: str) -> None:
        """Note that a reference is on the list no more, though the list goes on.

        reason: for the journal of whoever calls; a manifest keeps none for a single listing.
        """
        del reason
        self._change(deployment, lambda kept: ended_listing(kept, reference_id, at))

    def ended(self, deployment: str, at: str, reason: str) -> None:
        """Note that a deployment's list was erased: every version of it that still ran."""
        self._change(deployment, lambda kept: closed(kept, at, reason))

    def find(
        self,
        *,
        subject: Subject | None = None,
        reference_id: str | None = None,
        from_ns: int = 0,
        until_ns: int = 2**63 - 1,
    ) -> list[Found]:
        """Return every listing of a subject or a reference that touches [from_ns, until_ns].

        Over all deployments, running and erased, the oldest first. UTC since 1970.
        """
        everything = self._all()
        running = running_deployments(everything)
        return [
            Found(
                kept.manifest.deployment,
                kept.manifest.watchlist,
                listing,
                kept.manifest.erased_at,
                kept.manifest.reason,
                agrees,
                kept.manifest.deployment in running,
            )
            for kept in everything
            for one, agrees in self._agreeing(kept, subject, reference_id)
            for listing in kept.manifest.listed(one, from_ns, until_ns)
        ]

    def all(self) -> list[Manifest]:
        """Return all manifests, the oldest first."""
        return [kept.manifest for kept in self._all()]

    def erase_before(self, before_ns: int) -> int:
        """Erase the manifests of lists that were erased before a time; return how many (R23)."""
        with held_alone(self._folder / _LOCK):
            old = [
                name_of(kept.manifest)
                for kept in self._all()
                if kept.manifest.erased_at != UNKNOWN
                and utc_ns(kept.manifest.erased_at) < before_ns
            ]
            if old:
                # First the index: a kill in between leaves files that the next run erases.
                self._write_index(set(self._index().files) - set(old))
            for name in old:
                (self._folder / name).unlink(missing_ok=True)
        return len(old)

    def _agreeing(
        self, kept: Kept, subject: Subject | None, reference_id: str | None
    ) -> Iterator[tuple[str, Any]]:
        if reference_id is not None and reference_id in kept.subjects:
            yield reference_id, "reference id"
        if subject is None:
            return
        for one, digests in kept.subjects.items():
            agrees = agreement(subject, frozenset(digests), self._rights_key)
            if agrees is not None:
                yield one, agrees

    def _change(self, deployment: str, change: Callable[[Kept], Kept]) -> None:
        with held_alone(self._folder / _LOCK):
            for kept in self._all():
                if kept.manifest.deployment == deployment and kept.manifest.erased_at == UNKNOWN:
                    changed = change(kept)
                    if changed != kept:
                        self._write(changed)

    def _all(self) -> list[Kept]:
        named = set(self._index().files)
        there = {path.name for path in self._folder.glob(f"*{SUFFIX}")}
        missing = sorted(named - there)
        if missing:
            raise StorageError(
                f"{self._folder / missing[0]} is gone, with what it says about a list: take it "
                "from the backup. Until then no question about lists can be answered."
            )
        kept = [self._read(self._folder / name) for name in sorted(there)]
        return sorted(kept, key=lambda one: (one.published_at, name_of(one.manifest)))

    def _index(self) -> Index:
        path = self._folder / INDEX
        index = self._index_as_it_is(path)
        newest = self._witness.newest() if self._witness is not None else 0
        if index.number < newest:
            raise StorageError(
                f"{path} is not the newest: the journal knows of a newer one, and nobody can tell "
                "which manifests are missing. Take the folder from the newest backup."
            )
        return index

    def _index_as_it_is(self, path: Path) -> Index:
        if not path.exists():
            if any(self._folder.glob(f"*{SUFFIX}")):
                raise StorageError(
                    f"{path} is gone, and nobody can tell which manifests are missing: take the "
                    "folder from the backup."
                )
            return Index([])
        return self._open(path, Index)

    def _read(self, path: Path) -> Kept:
        kept = self._open(path, Kept)
        if name_of(kept.manifest) != path.name:
            raise StorageError(f"{path} holds another manifest than its name says: restore it.")
        return kept

    def _open(self, path: Path, kind: type[_Part]) -> _Part:
        try:
            if path.stat().st_size > LARGEST_BYTES:
                raise StorageError(f"{path} is too large to be ours.")
            mac, _, content = path.read_bytes().partition(b"\n")
        except OSError as error:
            raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error
        if not hmac.compare_digest(mac, self._mac(content)):
            raise StorageError(
                f"{path} is cut, altered or not of this desk: take it from the backup. Until then "
                "no question about lists can be answered."
            )
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StorageError(f"{path} is of another version of Passerby: {error}.") from error

    def _write(self, kept: Kept) -> None:
        self._seal(self._folder / name_of(kept.manifest), kept)

    def _write_index(self, files: set[str]) -> None:
        index = Index(sorted(files), self._index().number + 1)
        digest = self._seal(self._folder / INDEX, index)
        # Afterwards: a kill in between leaves an index that is newer than the journal knows.
        if self._witness is not None:
            self._witness.note(index.number, len(files), digest)

    def _seal(self, path: Path, part: Struct) -> str:
        content = msgspec.json.encode(part, order="sorted")
        sealed = self._mac(content) + b"\n" + content
        write_atomically(path, sealed)
        return hashlib.sha256(sealed).hexdigest()

    def _mac(self, content: bytes) -> bytes:
        return hmac.new(self._mac_key, content, hashlib.sha256).hexdigest().encode()
