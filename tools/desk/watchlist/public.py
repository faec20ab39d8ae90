"""What the deployment's repository says, staged or published, as its signed metadata have it."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from device.errors import MessageError, PasserbyError, StorageError
from device.protocol.alert import ListVersion
from device.protocol.authorisation import Authorisation, decode_authorisation
from device.protocol.bundle import AUTHORISATION, METADATA, WATCHLIST
from tools.desk.watchlist.folder import Deployment

_LARGEST_BYTES = 1 << 20


def repository_of(deployment: Deployment) -> Any:  # noqa: ANN401 - loaded late
    """Return the deployment's repository, whether there is anything in it or not."""
    return import_module("tools.desk.repository.repository").Repository(deployment.repository)


def staged_parts(deployment: Deployment) -> tuple[Any, dict[str, bytes]]:
    """Return what waits for signatures, and its files, which are those that are to be signed.

    Raises StorageError, ConfigurationError: nothing is staged, or something else lies there.
    """
    staged = repository_of(deployment).staged()
    if staged is None:
        raise StorageError(
            f"Nothing waits for a signature in {deployment.folder}: "
            "`passerby-desk watchlist seal` comes first."
        )
    staging = import_module("tools.desk.repository.staging").Staging(deployment.repository)
    contents: dict[str, bytes] = staging.contents(staged)
    staged.check_files(contents)
    return staged, contents


def published_parts(deployment: Deployment) -> tuple[dict[str, Any], Authorisation] | None:
    """Return the published targets by name, and the authorisation among them; None: none yet.

    Its content has the hash that the metadata name; who has signed those is not looked at: after
    the end the files of the bundle are gone, and its devices must still be told. Raises
    StorageError.
    """
    if not (deployment.repository / METADATA).is_dir():
        return None
    public = repository_of(deployment).published()
    if public is None:
        return None
    targets: dict[str, Any] = public.targets.signed.targets
    return targets, _authorisation(deployment, targets)


def refuse_other(digests: Mapping[str, str], targets: Mapping[str, Any]) -> None:
    """Raise StorageError unless a bundle has the files that these digests name."""
    there = {name: target.hashes.get("sha256") for name, target in targets.items()}
    if any(there.get(name) != digest for name, digest in digests.items()):
        raise StorageError(
            "The bundle is another one than was sealed last: seal the list again, and let both "
            "sign that."
        )


def refuse_without_manifest(deployment: Deployment) -> None:
    """Raise StorageError while a published version has no manifest to answer from (R27)."""
    found = published_parts(deployment)
    if found is None:
        return
    targets, authorisation = found
    digest = targets[WATCHLIST].hashes.get("sha256", "")
    if not manifest_path(deployment, authorisation.watchlist, digest).is_file():
        raise StorageError(
            "The published list has no manifest: repeat `passerby-desk watchlist publish` to its "
            "end, or take the manifest from the backup (R27)."
        )


def manifest_path(deployment: Deployment, version: ListVersion, sealed_sha256: str) -> Any:  # noqa: ANN401 - a Path
    """Return where the manifest of a version lies."""
    manifest: Any = import_module("device.protocol.manifest").Manifest
    kept: Any = import_module("tools.desk.rights.kept")
    one = manifest(deployment.id, version, "unknown", "unknown", "", sealed_sha256, [])
    return deployment.workplace.manifests / str(kept.name_of(one))


def devices_in_public(deployment: Deployment) -> tuple[list[str], list[str]]:
    """Return the devices that staged and published bundles name, and what could not be read."""
    found: set[str] = set()
    faults: list[str] = []
    try:
        public = published_parts(deployment)
        found |= set(public[1].devices) if public is not None else set()
    except PasserbyError as error:
        faults.append(str(error))
    return sorted(found), faults


def _authorisation(deployment: Deployment, targets: Mapping[str, Any]) -> Authorisation:
    naming: Any = import_module("tools.desk.repository.published")
    library: Any = import_module("tuf.api.exceptions")
    path = deployment.repository / naming.target_name(targets[AUTHORISATION])
    try:
        content = path.read_bytes()[:_LARGEST_BYTES]
        targets[AUTHORISATION].verify_length_and_hashes(content)
        return decode_authorisation(content)
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (library.RepositoryError, MessageError) as error:
        raise StorageError(f"{path} is not the file that was published ({error}).") from error
