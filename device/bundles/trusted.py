"""The workflow of TUF, at a time that is handed in, over a folder.

python-tuf does the work (`tuf.ngclient.Updater`); here stand our limits, our time and our rules on
top. Needs tuf: imported in the verifying process only.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig

from device.bundles.refusal import BundleError
from device.bundles.roles import check_root, check_snapshot, check_targets
from device.bundles.sentences import sentence
from device.bundles.stick import LARGEST_METADATA_BYTES, Stick
from device.protocol.bundle import METADATA, TARGET_NAMES, TARGETS

ROOTS: Final = "root_history"
"""Folder of python-tuf's cache with every root from the pinned one on."""

_LIMITS: Final = UpdaterConfig(
    max_root_rotations=256,
    max_delegations=0,
    root_max_length=LARGEST_METADATA_BYTES,
    timestamp_max_length=16_384,
    snapshot_max_length=LARGEST_METADATA_BYTES,
    targets_max_length=LARGEST_METADATA_BYTES,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS = 10**9

Role = TypeVar("Role", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class Trusted:
    """Verified metadata. fresh_until_ns: when the first role expires, nanoseconds since 1970."""

    root_version: int
    timestamp_version: int
    targets_version: int
    fresh_until_ns: int
    targets: dict[str, TargetFile]


class Verification:
    """One verification of a bundle.

    stick: where the files come from. cache: folder with the metadata that is trusted so far (an
    empty one trusts only the pinned root), changed in place: let it be a copy. pinned: content of
    the root this device was provisioned with. now_ns: nanoseconds since 1970.
    """

    def __init__(self, stick: Stick, cache: Path, pinned: bytes, now_ns: int) -> None:
        self._stick = stick
        self._cache = cache
        self._pinned = pinned
        self._now_ns = now_ns
        self._updater: Updater | None = None

    def metadata(self) -> Trusted:
        """Verify the four roles and what Passerby asks of them. Raises BundleError."""
        before = _roots(self._cache)
        try:
            self._updater = updater = Updater(
                str(self._cache),
                METADATA,
                None,
                TARGETS,
                fetcher=self._stick,
                config=_LIMITS,
                bootstrap=self._pinned,
            )
            _tell_the_time(updater, self._now_ns)
            updater.refresh()
        except (RepositoryError, DownloadError) as error:
            raise BundleError(sentence(error, self._stick.metadata)) from error
        return self._checked(before)

    def _checked(self, before: dict[int, bytes]) -> Trusted:
        # The cache now holds what was verified; reading it asks for no private part of tuf.
        root, targets = load(self._cache / "root.json", Root), load_role(self._cache, Targets)
        timestamp, snapshot = load_role(self._cache, Timestamp), load_role(self._cache, Snapshot)
        self._check_roots(root.version, before)
        check_snapshot(snapshot)
        check_targets(targets)
        fresh_until_ns = min(_ns(role.expires) for role in (root, timestamp, snapshot, targets))
        if fresh_until_ns <= self._now_ns:
            raise BundleError("The bundle has expired: ask the desk for a fresh one.")
        return Trusted(
            root.version, timestamp.version, targets.version, fresh_until_ns, dict(targets.targets)
        )

    def _check_roots(self, newest: int, before: dict[int, bytes]) -> None:
        """Check every root from the pinned one on, and that none is lost that was known before."""
        chain = _roots(self._cache)
        for version in range(pinned_version(self._pinned), newest + 1):
            # A root in between that lets one person decide could let in any root after it.
            check_root(load(self._cache / ROOTS / f"{version}.root.json", Root))
        common = any(
            before.get(version) == chain[version] for version in chain if version <= newest
        )
        if common and newest < max(before):
            raise BundleError(
                "A root of the installed bundle is damaged: move the folder `bundle` of the state "
                "directory away, and install the desk's newest bundle."
            )
        for version in chain:
            # Of another root of trust: this device was provisioned anew.
            if version > newest:
                (self._cache / ROOTS / f"{version}.root.json").unlink()

    def fetch(self, trusted: Trusted, folder: Path) -> None:
        """Copy all targets into a folder, under their plain names, each verified.

        Raises BundleError; OSError where the folder cannot be written.
        """
        if self._updater is None:
            raise BundleError("The bundle's metadata were not verified.")
        for name in TARGET_NAMES:
            try:
                self._updater.download_target(trusted.targets[name], str(folder / name))
            except (RepositoryError, DownloadError) as error:
                raise BundleError(sentence(error, self._stick.metadata)) from error


def _tell_the_time(updater: Updater, now_ns: int) -> None:
    """Let expiry be judged by the time that was handed in, not by the system's clock.

    The initial root is loaded before this, and its expiry is only judged in `refresh`.
    """
    trusted_set = updater._trusted_set  # noqa: SLF001 - tuf 7 has no argument for it (0010)
    if not isinstance(getattr(trusted_set, "reference_time", None), datetime):
        raise BundleError("This version of python-tuf takes no reference time: install tuf 7.")
    try:
        trusted_set.reference_time = _EPOCH + timedelta(microseconds=now_ns // 1000)
    except OverflowError as error:
        raise BundleError("The clock of this device shows no possible time: set it.") from error


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1) * _SECOND_NS


def _roots(cache: Path) -> dict[int, bytes]:
    """Return the content of the roots that a cache holds, by version."""
    return {
        int(path.name.partition(".")[0]): path.read_bytes()
        for path in (cache / ROOTS).glob("*.root.json")
        if path.name.partition(".")[0].isdecimal()
    }


def newest_root(cache: Path) -> int:
    """Return the highest version of the roots that a cache holds; 0 where it holds none."""
    return max(_roots(cache), default=0)


def pinned_version(pinned: bytes) -> int:
    """Return the version of the pinned root. Raises BundleError where it is none."""
    try:
        return int(Metadata[Root].from_bytes(pinned).signed.version)
    except (RepositoryError, AttributeError, ValueError, TypeError) as error:
        raise BundleError(
            "The root of trust of this device (watchlist.root) is damaged: provision it again."
        ) from error


def load_role(cache: Path, kind: type[Role]) -> Role:
    """Return a role's verified content from a cache. Raises BundleError."""
    return load(cache / f"{kind.type}.json", kind)


def load(path: Path, kind: type[Role]) -> Role:
    """Return the content of a file of metadata. Raises BundleError."""
    try:
        found = Metadata[Role].from_bytes(path.read_bytes()).signed
    except (OSError, RepositoryError) as error:
        raise BundleError(f"{path.name} of the installed bundle is damaged or missing.") from error
    if not isinstance(found, kind):
        raise BundleError(f"{path.name} of the installed bundle is no {kind.type}.")
    return found


def floor_holds(cache: Path) -> bool:
    """Return whether a cache's metadata are whole, by their own root, expired or not.

    They are the floor under every version. python-tuf passes over a damaged one in silence, and
    then would take an older bundle than the one that was installed.
    """
    try:
        root = load(cache / "root.json", Root)
        for name in (Timestamp.type, Snapshot.type, Targets.type):
            metadata: Metadata[Targets] = Metadata.from_bytes((cache / f"{name}.json").read_bytes())
            root.verify_delegate(name, metadata.signed_bytes, metadata.signatures)
    except (OSError, RepositoryError, ValueError, BundleError):
        return False
    return True
