"""One version of one list, as the desk keeps it once it was published (R27). Pure; no I/O."""

import hashlib
from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from device.errors import StorageError
from device.protocol.event import Sha256, Time
from device.protocol.identifiers import utc_ns
from device.protocol.manifest import Manifest

SUFFIX: Final = ".manifest"
UNKNOWN: Final = "unknown"
SUPERSEDED: Final = "replaced by a newer version of the list"


class Kept(Struct, frozen=True, forbid_unknown_fields=True):
    """One version of one list, at the desk. subjects: the digests of each reference's subject."""

    published_at: Time
    manifest: Manifest
    subjects: dict[str, list[Sha256]]
    kind: Literal["passerby desk manifest 1"] = "passerby desk manifest 1"


class Index(Struct, frozen=True, forbid_unknown_fields=True):
    """The names of all files that there must be. number: how often it was written."""

    files: list[str]
    number: int = 0
    kind: Literal["passerby desk manifests 1"] = "passerby desk manifests 1"


def name_of(manifest: Manifest) -> str:
    """Return the name of its file."""
    # The list's id may be any text; its digest is a file name.
    list_id = hashlib.sha256(manifest.watchlist.id.encode()).hexdigest()[:16]
    return f"{manifest.deployment}-{list_id}-{manifest.watchlist.version}{SUFFIX}"


def published_at(manifest: Manifest) -> str:
    """Return when a version came into force, as it says itself. Raises StorageError."""
    if manifest.loaded_at != UNKNOWN:
        return manifest.loaded_at
    if not manifest.listings:
        raise StorageError("A manifest without listings does not say when it was published.")
    return min(one.from_at for one in manifest.listings)


def is_same(one: Manifest, other: Manifest) -> bool:
    """Return whether both are of the same sealed file."""
    return name_of(one) == name_of(other) and one.sealed_sha256 == other.sealed_sha256


def supersedes(newer: Manifest, older: Manifest) -> bool:
    """Return whether a version ends another that still runs."""
    return (
        newer.deployment == older.deployment
        and older.erased_at == UNKNOWN
        and name_of(newer) != name_of(older)
    )


def running_deployments(everything: Iterable[Kept]) -> frozenset[str]:
    """Return the deployments of which a version is still in force."""
    return frozenset(
        one.manifest.deployment for one in everything if one.manifest.erased_at == UNKNOWN
    )


def closed(kept: Kept, at: str, reason: str) -> Kept:
    """Return a version as erased: its listings end then, unless they ended before."""
    listings = [replace(one, until_at=_earlier(one.until_at, at)) for one in kept.manifest.listings]
    manifest = replace(kept.manifest, erased_at=at, reason=reason[:300], listings=listings)
    return replace(kept, manifest=manifest)


def ended_listing(kept: Kept, reference_id: str, at: str) -> Kept:
    """Return a version on which one reference ends."""
    listings = [
        replace(one, until_at=_earlier(one.until_at, at))
        if one.reference_id == reference_id
        else one
        for one in kept.manifest.listings
    ]
    return replace(kept, manifest=replace(kept.manifest, listings=listings))


def _earlier(until: str, at: str) -> str:
    return at if until == UNKNOWN or utc_ns(at) < utc_ns(until) else until
