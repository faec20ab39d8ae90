"""What of a bundle is to be erased, file by file, in the order in which it goes. Reads names only.

The shelf's layout is `device.bundles.shelf`'s. What stays: the TUF metadata of the release in use,
the note of ended deployments, and the note of the newest offer, so that it does not come back.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from device.bundles.ended import NAME as ENDED
from device.bundles.shelf import FOLDER as BUNDLE
from device.bundles.shelf import Shelf
from device.errors import MessageError, StorageError
from device.overwriting import sync_folder
from device.protocol.authorisation import Authorisation, decode_authorisation
from device.protocol.bundle import AUTHORISATION, LOCAL_KEYS, METADATA, TARGETS, WATCHLIST

_INCOMING = "incoming"
_OFFER = "offer.json"


def in_order(state: Path) -> Iterator[Path]:
    """Yield the files of the bundle that go: keys and copies, lists, all else but the metadata."""
    found = list(_erasable(state))
    yield from sorted(path for path in found if _may_hold_a_key(state, path))
    yield from sorted(path for path in found if path.name.endswith(WATCHLIST))
    rest = (one for one in found if not _may_hold_a_key(state, one))
    yield from sorted(path for path in rest if not path.name.endswith(WATCHLIST))


def _may_hold_a_key(state: Path, path: Path) -> bool:
    """Wrapped keys by name, and whatever is on its way in: it may hold a copy of them."""
    return path.name.endswith(LOCAL_KEYS) or (state / BUNDLE / _INCOMING) in path.parents


def _erasable(state: Path) -> Iterator[Path]:
    bundle = state / BUNDLE
    release = release_of(state)
    for at, _, names in os.walk(bundle):
        folder = Path(at)
        if release is not None and (
            folder == release / METADATA or release / METADATA in folder.parents
        ):
            continue
        kept = {bundle: {ENDED}, bundle / _INCOMING: {_OFFER}}.get(folder, set())
        yield from (folder / name for name in names if name not in kept)


def remove_empty_folders(state: Path) -> None:
    """Remove the folders that the erased files were in."""
    release = release_of(state)
    kept = {state / BUNDLE, state / BUNDLE / _INCOMING, release}
    for at, _, _ in os.walk(state / BUNDLE, topdown=False):
        if Path(at) not in kept:
            with suppress(OSError):
                Path(at).rmdir()
    with suppress(OSError):
        sync_folder(state / BUNDLE if release is None else release)


def release_of(state: Path) -> Path | None:
    """Return the folder of the release in use, or None."""
    try:
        return Shelf(state).current()
    except StorageError:
        return None


def sealed_list(state: Path) -> Path | None:
    """Return the sealed list in use, or None where there is none."""
    release = release_of(state)
    path = None if release is None else release / TARGETS / WATCHLIST
    return path if path is not None and path.exists() else None


def any_list(state: Path) -> bool:
    """Return whether a sealed list lies anywhere in the bundle's folder."""
    return any(path.name.endswith(WATCHLIST) for path in _erasable(state))


def unsigned_authorisation(state: Path) -> Authorisation | None:
    """Return the authorisation in use as it lies there, unverified; None: none, or damaged."""
    release = release_of(state)
    try:
        return (
            None
            if release is None
            else decode_authorisation((release / TARGETS / AUTHORISATION).read_bytes())
        )
    except (OSError, MessageError):
        return None
