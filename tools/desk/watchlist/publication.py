"""Publishing: the register and the manifest come first, the gateway afterwards, under one lock."""

import argparse
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from device.errors import ConfigurationError, StorageError
from device.protocol.alert import ListVersion
from device.protocol.authorisation import Authorisation
from device.protocol.bundle import WATCHLIST
from device.protocol.identifiers import utc_text
from device.protocol.manifest import Listing, Manifest
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.gateway import Gateway
from tools.desk.watchlist.marks import (
    mark_gateway,
    refuse_withdrawn,
    unmark_withdrawn,
)
from tools.desk.watchlist.public import (
    published_parts,
    refuse_other,
    refuse_without_manifest,
    repository_of,
)
from tools.desk.watchlist.register import Register, Sealed
from tools.desk.watchlist.session import Session, opened
from tools.desk.watchlist.vault import held_alone


class Publishing:
    """A deployment that is being published: nobody else changes it until the block ends."""

    def __init__(self, session: Session, sealed: Sealed, config: Path | None) -> None:
        self._session = session
        self._sealed = sealed
        self._gateway = Gateway(config) if config is not None else None

    def follow(self) -> None:
        """After publishing: note the devices, and hand key and bundle to the gateway, if any.

        May be repeated. Raises StorageError, ConfigurationError: what is published stays so.
        """
        deployment = self._session.deployment
        repository_of(deployment).verify()
        targets, authorisation = _published(deployment)
        refuse_other({WATCHLIST: self._sealed.sealed_sha256}, targets)
        unmark_withdrawn(deployment)
        self._remember(authorisation)
        if self._gateway is not None:
            self._hand_over(self._gateway, authorisation)

    def _remember(self, authorisation: Authorisation) -> None:
        register, named = self._session.register, set(authorisation.devices)
        self._session.keep(
            msgspec.structs.replace(
                register,
                devices=sorted(named | set(register.devices)),
                dropped=sorted(set(register.dropped) - named),
                at_gateway=register.at_gateway or self._gateway is not None,
            )
        )

    def _hand_over(self, gateway: Gateway, authorisation: Authorisation) -> None:
        session, deployment = self._session, self._session.deployment
        # Noted before the gateway has it: a kill in between must not leave a key behind.
        mark_gateway(deployment, session.register.devices)
        key = session.vault.key(deployment.key)
        gateway.keep(deployment, authorisation, key, self._sealed.sealed_sha256)
        gateway.offer(deployment, authorisation)
        self._drop(gateway, authorisation)

    def _drop(self, gateway: Gateway, authorisation: Authorisation) -> None:
        """Tell those that no plan names any more that it is over for them, once."""
        session, register = self._session, self._session.register
        left = set(register.devices) - set(authorisation.devices) - set(register.dropped)
        why = "This device was left out of the plan"
        faults = gateway.end(session.deployment, sorted(left), why)
        if faults:
            raise StorageError(
                "It is published, but not every device that was left out could be told "
                f"({'; '.join(faults)}): correct that, and repeat this command."
            )
        dropped = sorted(left | set(register.dropped))
        session.keep(msgspec.structs.replace(register, dropped=dropped))


@contextmanager
def publishing(options: argparse.Namespace) -> Iterator[Publishing]:
    """Hold the deployment while it is published; its manifest is kept before anything gets out.

    options: deployment, keeper, keeper_passphrase_file; config may be None. Raises StorageError
    when what waits is not what was sealed last, or lists somebody who is not to be listed now.
    """
    with opened(options) as session:
        session.refuse_ended()
        deployment = session.deployment
        repository = repository_of(deployment)
        waits, public = repository.staged(), repository.published()
        # What is published already is published again after a crash.
        bundle = waits or (public and public.targets.signed)
        sealed = _sealed(session, bundle.targets if bundle is not None else {})
        config: Path | None = getattr(options, "config", None)
        made = Publishing(session, sealed, config)
        _keep_manifest(session, sealed)
        yield made


@contextmanager
def steady(deployment: Path) -> Iterator[None]:
    """Hold a deployment whose published list may be given out as it is. Raises StorageError."""
    found = Deployment.at(deployment)
    with held_alone(found.lock):
        if found.has_ended:
            raise StorageError(f"The deployment {found.id} has ended: nothing is given out.")
        refuse_withdrawn(found)
        refuse_without_manifest(found)
        yield


def after_refresh(deployment: Path, config: Path) -> None:
    """Offer the bundle with its new timestamp to the devices, within `steady`.

    Raises StorageError, ConfigurationError.
    """
    found = Deployment.at(deployment)
    repository_of(found).verify()
    _, authorisation = _published(found)
    Gateway(config).offer(found, authorisation)


def manifests_of(session: Session) -> Any:  # noqa: ANN401 - loaded late
    """Return the workplace's manifests. Raises StorageError."""
    findings = import_module("tools.desk.rights.findings")
    return findings.manifests_of(session.deployment.workplace, session.vault)


def _published(deployment: Deployment) -> tuple[dict[str, Any], Authorisation]:
    found = published_parts(deployment)
    if found is None:
        raise ConfigurationError(f"Nothing is published in {deployment.folder} yet.")
    return found


def _sealed(session: Session, targets: Mapping[str, Any]) -> Sealed:
    """Return what was sealed, if that is what waits and everybody on it may still be listed."""
    register = session.register
    sealed = register.sealed
    if sealed is None:
        raise StorageError("The register knows of no sealed list: seal and publish it again.")
    if targets:
        refuse_other({WATCHLIST: sealed.sealed_sha256}, targets)
    listed = {entry.reference_id for entry in register.entries if not entry.suspended}
    gone = sorted(set(sealed.template_sha256) - listed)
    if gone:
        raise StorageError(
            f"{', '.join(gone)}: suspended or revoked since the list was sealed. Seal the list "
            "again, and let both sign that (R8)."
        )
    return sealed


def _keep_manifest(session: Session, sealed: Sealed) -> None:
    subject: Any = import_module("tools.desk.rights.names").Subject
    register, now = session.register, utc_text(time.time_ns())
    manifest = Manifest(
        deployment=register.deployment,
        watchlist=version_of(register, sealed),
        loaded_at="unknown",
        erased_at="unknown",
        reason="",
        sealed_sha256=sealed.sealed_sha256,
        listings=[
            Listing(reference_id, now, "unknown", digest)
            for reference_id, digest in sorted(sealed.template_sha256.items())
        ],
    )
    subjects = {
        entry.reference_id: subject(entry.name, entry.born_on.isoformat())
        for entry in register.entries
        if entry.reference_id in sealed.template_sha256
    }
    manifests_of(session).published(manifest, subjects, now)


def version_of(register: Register, sealed: Sealed) -> ListVersion:
    """Return the version of the list that was sealed."""
    return ListVersion(register.list_id, sealed.version)
