"""`Manifests`: which references were on which list, and when, on this device (R27).

    manifests/<deployment>-<version>.json   one for each version of each list that was opened here

A manifest is written when a list is opened, not only when it is erased: a device that is stolen or
breaks has the same record at the desk, and one that lost its list still knows what was on it. It is
never removed by an erasure, and never overwritten when it cannot be read: the next is written
beside it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from device.errors import MessageError, StorageError
from device.files import write_atomically
from device.protocol.alert import ListVersion
from device.protocol.identifiers import utc_ns, utc_text
from device.protocol.manifest import Listing, Manifest, decode_manifest, encode_manifest

FOLDER = "manifests"
_UNKNOWN = "unknown"
_REPLACED = "Another list took its place."


@dataclass(frozen=True, slots=True)
class Sealed:
    """Which file of which list. sha256: of its ciphertext."""

    deployment: str
    watchlist: ListVersion
    sha256: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a reference was listed. listings: with the list's version, oldest first.

    unreadable: files that could not be read. With any of them, no listings does not mean no.
    """

    listings: tuple[tuple[ListVersion, Listing], ...]
    unreadable: tuple[str, ...]


class Manifests:
    """The folder of manifests in a state directory. Methods that write raise StorageError."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def opened(self, sealed: Sealed, templates: Mapping[str, str], now_ns: int) -> None:
        """Note that a list was opened; every other list that was open before has ended.

        templates: SHA-256 of the templates of each reference that is held, by its id. To be called
        at every opening, before the first comparison: what is noted already stays as it is.
        """
        path, found = self._of(sealed)
        at = utc_text(now_ns)
        if found is None:
            found = Manifest(
                sealed.deployment, sealed.watchlist, at, _UNKNOWN, "", sealed.sha256, []
            )
        listed = {one.reference_id for one in found.listings}
        if found.erased_at != _UNKNOWN:
            # Erased here before, and allowed again: listed anew from now on.
            found, listed = msgspec.structs.replace(found, erased_at=_UNKNOWN, reason=""), set()
        if found.loaded_at == _UNKNOWN:
            found = msgspec.structs.replace(found, loaded_at=at)
        new = [
            Listing(reference_id, at, _UNKNOWN, digest)
            for reference_id, digest in sorted(templates.items())
            if reference_id not in listed
        ]
        self._write(path, msgspec.structs.replace(found, listings=[*found.listings, *new]))
        for other, manifest in self._readable():
            if other != path:
                self._end(other, manifest, at, _REPLACED)

    def delisted(self, deployment: str, until_ns: Mapping[str, int]) -> None:
        """Note that references left their list early: revoked or expired, by id and when."""
        for path, manifest in self._readable():
            if manifest.deployment == deployment:
                listings = [_ended(one, until_ns) for one in manifest.listings]
                self._write(path, msgspec.structs.replace(manifest, listings=listings))

    def announced(self, sealed: Sealed, reason: str) -> None:
        """Note why a list is about to be erased. One that was never opened has no listings."""
        path, found = self._of(sealed)
        if found is None:
            found = Manifest(
                sealed.deployment, sealed.watchlist, _UNKNOWN, _UNKNOWN, "", sealed.sha256, []
            )
        if found.erased_at == _UNKNOWN:
            self._write(path, msgspec.structs.replace(found, reason=reason[:300]))

    def erased(self, now_ns: int, reason: str) -> None:
        """Note that no list is left on this device: every manifest that is open is closed."""
        for path, manifest in self._readable():
            self._end(path, manifest, utc_text(now_ns), reason[:300])

    def asked(self, reference_id: str, from_ns: int, until_ns: int) -> Answer:
        """Answer "was this reference on a list between these dates?", UTC since 1970."""
        found = [
            (manifest.watchlist, listing)
            for _, manifest in self._readable()
            for listing in manifest.listed(reference_id, from_ns, until_ns)
        ]
        found.sort(key=lambda pair: utc_ns(pair[1].from_at))
        return Answer(tuple(found), tuple(self._unreadable()))

    def _end(self, path: Path, manifest: Manifest, at: str, reason: str) -> None:
        if manifest.erased_at != _UNKNOWN:
            return
        listings = [_ended(one, {one.reference_id: utc_ns(at)}) for one in manifest.listings]
        self._write(
            path,
            msgspec.structs.replace(
                manifest, erased_at=at, reason=manifest.reason or reason, listings=listings
            ),
        )

    def _of(self, sealed: Sealed) -> tuple[Path, Manifest | None]:
        """Return where the manifest of a list is or goes, and the manifest if it is there."""
        stem = f"{sealed.deployment}-{sealed.watchlist.version}"
        for number in range(1, 1000):
            path = self._folder / f"{stem}{'' if number == 1 else f'-{number}'}.json"
            if not path.exists():
                return path, None
            found = _read(path)
            if found is not None and found.sealed_sha256 == sealed.sha256:
                return path, found
        raise StorageError(f"There are too many manifests of one list in {self._folder}.")

    def _write(self, path: Path, manifest: Manifest) -> None:
        if _read(path) != manifest:
            write_atomically(path, encode_manifest(manifest))

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))

    def _readable(self) -> Iterator[tuple[Path, Manifest]]:
        for path in self._paths():
            found = _read(path)
            if found is not None:
                yield path, found

    def _unreadable(self) -> Iterator[str]:
        return (path.name for path in self._paths() if _read(path) is None)


def _ended(listing: Listing, until_ns: Mapping[str, int]) -> Listing:
    """Return a listing that has ended then, unless it ended before; never before it began."""
    at_ns = until_ns.get(listing.reference_id)
    if at_ns is None or listing.until_at != _UNKNOWN:
        return listing
    at = utc_text(max(at_ns, utc_ns(listing.from_at)))
    return msgspec.structs.replace(listing, until_at=at)


def _read(path: Path) -> Manifest | None:
    try:
        found = decode_manifest(path.read_bytes())
        for listing in found.listings:
            utc_ns(listing.from_at)
    except (OSError, MessageError, ValueError):
        return None
    return found
