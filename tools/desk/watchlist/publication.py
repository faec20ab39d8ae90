"""What signers are shown before they sign, and what follows once a list is published."""

import argparse
import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgspec
from msgspec import Struct

from device.errors import ConfigurationError, StorageError
from device.protocol.authorisation import Authorisation
from device.protocol.bundle import WATCHLIST
from device.protocol.event import Sha256
from device.protocol.identifiers import utc_text
from device.protocol.manifest import Listing, Manifest
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.register import Register, Sealed
from tools.desk.watchlist.session import Session, opened

_LARGEST_BYTES = 1 << 20


class Shown(Struct, frozen=True, forbid_unknown_fields=True):
    """`sealed.json`: of the list that is ready. digests: SHA-256 by target. No name, no id."""

    authorisation: Authorisation
    entries: int
    categories: dict[str, int]
    offences: dict[str, int]
    digests: dict[str, Sha256]
    kind: Literal["passerby sealed summary 1"] = "passerby sealed summary 1"


def shown_of(
    authorisation: Authorisation, register: Register, targets: Mapping[str, bytes]
) -> bytes:
    """Return the content of `sealed.json`."""
    entries = register.entries
    shown = Shown(
        authorisation=authorisation,
        entries=len(entries),
        categories=dict(sorted(Counter(entry.category for entry in entries).items())),
        offences=dict(sorted(Counter(entry.offence_class for entry in entries).items())),
        digests={name: hashlib.sha256(content).hexdigest() for name, content in targets.items()},
    )
    return msgspec.json.format(msgspec.json.encode(shown))


def read_shown(deployment: Path) -> Shown:
    """Return what was sealed. Raises StorageError: nothing was, or it is damaged."""
    path = Deployment.at(deployment).shown
    try:
        return msgspec.json.decode(path.read_bytes()[:_LARGEST_BYTES], type=Shown)
    except FileNotFoundError as error:
        raise StorageError(
            f"Nothing is sealed in {deployment}: `passerby-desk watchlist seal` comes first."
        ) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StorageError(f"{path} is damaged: seal the list again.") from error


def digests(deployment: Path) -> dict[str, str]:
    """Return the SHA-256 of each target that `summary` speaks of. Raises StorageError."""
    return dict(read_shown(deployment).digests)


def summary(deployment: Path) -> list[str]:
    """Return what the officer and the custodian read before they sign.

    Raises StorageError when it does not speak of the very files that wait for their signatures.
    """
    shown = read_shown(deployment)
    _refuse_other(shown.digests, _repository(deployment).staged())
    signed = shown.authorisation
    threshold = signed.threshold
    return [
        f"Deployment    {signed.deployment}, version {signed.version}",
        f"Objective     {signed.objective}",
        f"Place         {signed.place}",
        f"Devices       {', '.join(signed.devices)}",
        *(f"Window        {one.begins_at} to {one.ends_at}" for one in signed.windows),
        f"Legal basis   {signed.legal_basis}",
        f"Assessment    {signed.impact_assessment}",
        f"Signage       {_signage(signed)}",
        f"Mode          {signed.mode}",
        f"Entries       {shown.entries} of {signed.list_cap} at most",
        *(f"  category    {count:5d}  {name}" for name, count in shown.categories.items()),
        *(f"  offence     {count:5d}  {name}" for name, count in shown.offences.items()),
        f"Threshold     {threshold.threshold:.4f} ({threshold.kind}); floor {threshold.floor:.4f}",
        f"              {threshold.words}",
        *(f"Model         {one.role} {one.name} {one.sha256}" for one in signed.models),
        f"Retention     alerts {signed.retention.alerts_h:g} h",
        f"              list {signed.retention.watchlist_h:g} h after the last window",
        f"Pilot ends    {signed.pilot_ends_at}; then: {signed.exit_evaluation}",
        f"Officer       {signed.officer}",
        f"Custodian     {signed.custodian}",
        *(f"SHA-256       {digest}  {name}" for name, digest in sorted(shown.digests.items())),
    ]


def after_publish(deployment: Path, options: argparse.Namespace) -> None:
    """Keep the manifest, and hand keys and bundle to the gateway when --config names one.

    options: deployment, keeper, keeper_passphrase_file; config may be None. May be repeated.
    Raises StorageError, ConfigurationError.
    """
    if Deployment.at(deployment).folder != Deployment.at(options.deployment).folder:
        raise ConfigurationError("Another deployment was published than is opened.")
    with opened(options) as session:
        sealed = session.register.sealed
        if sealed is None:
            raise StorageError("The register knows of no sealed list: seal and publish it again.")
        public = _repository(session.deployment.folder).published()
        _refuse_other({WATCHLIST: sealed.sealed_sha256}, public and public.targets.signed)
        _keep_manifest(session, sealed)
        config: Path | None = getattr(options, "config", None)
        if config is not None:
            _hand_over(session, config)


def after_refresh(deployment: Path, config: Path) -> None:
    """Offer the bundle with its new timestamp to the devices. Raises as `after_publish` does."""
    shown = read_shown(deployment)
    public = _repository(deployment).published()
    _refuse_other(shown.digests, public and public.targets.signed)
    _offer(Gateway(config), deployment, shown.authorisation)


def manifests_of(session: Session) -> Any:  # noqa: ANN401 - loaded late
    """Return the workplace's manifests. Raises StorageError."""
    findings = import_module("tools.desk.rights.findings")
    return findings.manifests_of(session.deployment.workplace, session.vault)


def _repository(deployment: Path) -> Any:  # noqa: ANN401 - loaded late
    folder = Deployment.at(deployment).repository
    return import_module("tools.desk.repository.repository").Repository(folder)


def _refuse_other(digests: Mapping[str, str], bundle: Any) -> None:  # noqa: ANN401 - of TUF
    """Raise StorageError unless a bundle has the files that these digests name."""
    found = bundle.targets if bundle is not None else {}
    there = {name: target.hashes.get("sha256") for name, target in found.items()}
    if any(there.get(name) != digest for name, digest in digests.items()):
        raise StorageError(
            "The bundle is another one than was sealed last: seal the list again, and let both "
            "sign that."
        )


def _keep_manifest(session: Session, sealed: Sealed) -> None:
    subject: Any = import_module("tools.desk.rights.names").Subject
    register, now = session.register, utc_text(time.time_ns())
    manifest = Manifest(
        deployment=register.deployment,
        watchlist=_version_of(register, sealed),
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


def _hand_over(session: Session, config: Path) -> None:
    desk = Gateway(config)
    authorisation = read_shown(session.deployment.folder).authorisation
    key = session.vault.key(session.deployment.key)
    unlocks = import_module("tools.desk.gateway.unlocking").Unlocks(desk.database)
    unlocks.keep(session.deployment.id, authorisation.devices, key, desk.public)
    _offer(desk, session.deployment.folder, authorisation)


def _offer(desk: "Gateway", deployment: Path, authorisation: Authorisation) -> None:
    """Offer what is published now, and nothing of what was: a revoked entry must not travel."""
    try:
        with TemporaryDirectory(dir=deployment, prefix=".offer-") as folder:
            _repository(deployment).copy_to(Path(folder))
            archive = import_module("device.bundles.archive").pack(Path(folder))
    except OSError as error:
        raise StorageError(
            f"The bundle cannot be packed in {deployment} ({error.strerror or error}): free some "
            "space, and repeat the command."
        ) from error
    bundles = import_module("tools.desk.gateway.bundles").Bundles(desk.database)
    bundles.offer(authorisation.devices, archive)


class Gateway:
    """The gateway's database and the desk's public keys, by --config. Loads the database late."""

    def __init__(self, config: Path) -> None:
        """Raises ConfigurationError, StorageError."""
        configuration: Any = import_module("tools.desk.gateway.configuration")
        settings = configuration.read_desk_configuration(config)
        database: Any = import_module("tools.desk.gateway.database")
        self.database: Any = database.Database(settings.desk.database)
        keys: Any = import_module("tools.desk.keys")
        self.public: Any = keys.read_private_keys(Path(settings.desk.keys)).public

    def order(
        self, devices: Sequence[str], action: str, reason: str, reference_id: str | None = None
    ) -> None:
        """Give every device an order that holds for a week. Raises ConfigurationError."""
        book: Any = import_module("tools.desk.gateway.orderbook").Orders(self.database)
        longest: int = import_module("device.protocol.order").LONGEST_VALIDITY_S
        for source in devices:
            book.command(self.public, source, float(longest), action, reason, reference_id)


def _version_of(register: Register, sealed: Sealed) -> Any:  # noqa: ANN401 - a ListVersion
    return import_module("device.protocol.alert").ListVersion(register.list_id, sealed.version)


def _signage(signed: Authorisation) -> str:
    if signed.signage is None:
        return "NOT ATTESTED: no device arms with this (R36)"
    return f"attested by {signed.signage.attested_by} at {signed.signage.attested_at}"
