"""`watchlist seal`: the list and everything beside it become a bundle that two people can sign.

Nothing is left out in silence. An entry that may not be listed today stops the sealing until
somebody has corrected, reviewed or revoked it.
"""

import argparse
import hashlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from device.bundles.configuration import read_signed
from device.configuration import read_text
from device.errors import ConfigurationError, WatchlistError
from device.files import write_atomically
from device.policy.configured import loosened
from device.protocol.authorisation import Authorisation, check_authorisation, encode_authorisation
from device.protocol.bundle import (
    AUTHORISATION,
    CONFIGURATION,
    LOCAL_KEYS,
    METADATA,
    MODELS,
    WATCHLIST,
    LocalKeys,
    ModelList,
    encode_part,
)
from device.protocol.identifiers import utc_text
from device.protocol.unlocking import wrap_key
from device.protocol.watchlist import Reference
from tools.desk.devices import topics_from
from tools.desk.keys import read_public_keys
from tools.desk.watchlist.admission import essences, essences_beside
from tools.desk.watchlist.authorising import drafted_before, settings_of
from tools.desk.watchlist.conditions import enrolled_with, obstacles
from tools.desk.watchlist.photographs import Enroller, catalogue_of
from tools.desk.watchlist.public import refuse_without_manifest
from tools.desk.watchlist.register import Register, Sealed
from tools.desk.watchlist.rules import faults_of
from tools.desk.watchlist.session import Session, opened, start_of
from tools.desk.watchlist.summary import counted

ERASED_AFTER_NS: Final = 24 * 3600 * 10**9
"""The bundle itself stops counting this long after the last window (R24)."""


def seal(options: argparse.Namespace) -> int:
    """`watchlist seal --deployment DIR`: refuse, with every reason, or lay ready for signing."""
    with opened(options) as session:
        session.refuse_ended()
        refuse_without_manifest(session.deployment)
        authorisation = drafted_before(session)
        references = session.templates()
        faults = faults_of_list(session.register, references, session)
        faults += obstacles(authorisation, len(session.register.entries), session.now_ns)
        faults += enrolled_with(authorisation, session.register.embedder)
        faults += _conflicts(authorisation, references, options) if references else []
        if faults:
            lines = "\n".join(f"  - {fault}" for fault in faults)
            raise WatchlistError(f"This list is not sealed:\n{lines}")
        check_authorisation(authorisation)
        repository = _repository(session, options.root)
        # Counted first: a version that was begun and lost is skipped, never used for two lists.
        version = authorisation.watchlist.version
        session.keep(msgspec.structs.replace(session.register, version=version))
        targets, sealed = _targets(session, authorisation, references, options)
        repository.stage(targets, authorisation.ends_ns + ERASED_AFTER_NS, session.now_ns)
        session.keep(msgspec.structs.replace(session.register, sealed=sealed))
        shown = counted(session.register, targets)
        write_atomically(session.deployment.shown, shown, mode=0o644)
    print(f"Version {version}, references: {len(references)}. It is ready for two signatures.")
    if authorisation.signage is None:
        print("No signage is attested: no device arms with it (R36).")
    return 0


def faults_of_list(
    register: Register, references: Sequence[Reference], session: Session
) -> list[str]:
    """Return why a list may not be sealed today, entry by entry, by reference id."""
    if not register.entries:
        return ["the list is empty: add somebody first"]
    enrolled = {reference.reference_id for reference in references}
    counted = essences(register.entries)
    faults = []
    for entry in register.entries:
        others = essences_beside(entry, counted)
        found = faults_of(entry, session.today, register.offences, others)
        if entry.reference_id not in enrolled:
            found.append("its templates are missing: revoke it, and enter it anew (R12)")
        faults += [f"{entry.reference_id}: {fault}" for fault in found]
    return faults


def _conflicts(
    authorisation: Authorisation, references: list[Reference], options: argparse.Namespace
) -> list[str]:
    enroller = Enroller(catalogue_of(options), settings_of(authorisation.models))
    return [f"{who}: {why}" for who, why in enroller.conflicts(references).items()]


def _targets(
    session: Session,
    authorisation: Authorisation,
    references: list[Reference],
    options: argparse.Namespace,
) -> tuple[dict[str, bytes], Sealed]:
    register = session.register
    if register.embedder is None:
        raise WatchlistError("This list has no photograph yet: add somebody first.")
    key = session.vault.key(session.deployment.key)
    sealing: Any = import_module("tools.desk.sealing")
    at = utc_text(session.now_ns)
    listed = {
        entry.reference_id: sealing.Validity(
            expires_at=start_of(entry.expires_on), review_at=start_of(entry.review_on)
        )
        for entry in register.entries
    }
    made = sealing.seal_watchlist(
        references,
        listed,
        watchlist=authorisation.watchlist,
        deployment=register.deployment,
        created_at=at,
        embedder=register.embedder,
        deployment_key=key,
    )
    targets = {
        WATCHLIST: made.content,
        AUTHORISATION: encode_authorisation(authorisation),
        CONFIGURATION: configuration_of(
            authorisation, options.configuration, _live(authorisation, options)
        ),
        MODELS: encode_part(ModelList(authorisation.models)),
        LOCAL_KEYS: encode_part(LocalKeys(_wrapped(authorisation, key, options.local_device))),
    }
    digest = hashlib.sha256(made.content).hexdigest()
    return targets, Sealed(authorisation.watchlist.version, at, digest, dict(made.template_sha256))


def configuration_of(
    authorisation: Authorisation, file: Path | None, live: float | None = None
) -> bytes:
    """Return the signed configuration. file: one that must agree with the authorisation, or None.

    live: the attack detector's own live threshold, where one is authorised.

    Raises ConfigurationError, BundleError.
    """
    content = _usual(authorisation) if file is None else read_text(file)
    found = read_signed(content)
    if found.matching.threshold != authorisation.threshold.threshold:
        raise ConfigurationError(
            f"{file} sets matching.threshold to {found.matching.threshold}, authorised is "
            f"{authorisation.threshold.threshold}: write that (R31)."
        )
    looser = loosened(found.matching, found.vision, live)
    if looser:
        raise ConfigurationError(
            f"{file} is looser than the evaluation, and no device arms with it: "
            f"{'; '.join(looser)} (R29)."
        )
    wanted = settings_of(authorisation.models)
    names = (found.models.detector, found.models.embedder, found.models.attack_detector)
    if names != (wanted.detector, wanted.embedder, wanted.attack_detector):
        raise ConfigurationError(
            f"{file} names other models than are authorised: write detector "
            f'"{wanted.detector}", embedder "{wanted.embedder}" and attack_detector '
            f'"{wanted.attack_detector}" (R34).'
        )
    if found.retention.alerts_h > authorisation.retention.alerts_h:
        raise ConfigurationError(
            f"{file} keeps alerts for {found.retention.alerts_h:g} h, authorised are "
            f"{authorisation.retention.alerts_h:g} h: write that (R25)."
        )
    return content.encode()


def _live(authorisation: Authorisation, options: argparse.Namespace) -> float | None:
    name = settings_of(authorisation.models).attack_detector
    if not name:
        return None
    scale = catalogue_of(options).entry(name, "attack-detection").live
    return None if scale is None else scale.threshold


def _usual(authorisation: Authorisation) -> str:
    models = settings_of(authorisation.models)
    return (
        "# Made by `passerby-desk watchlist seal` from the authorisation.\n"
        f"[models]\n"
        f'detector = "{models.detector}"\n'
        f'embedder = "{models.embedder}"\n'
        f'attack_detector = "{models.attack_detector}"\n'
        f"[matching]\nthreshold = {authorisation.threshold.threshold!r}\n"
        f"[retention]\nalerts_h = {authorisation.retention.alerts_h!r}\n"
    )


def _wrapped(
    authorisation: Authorisation, key: bytes, local_devices: Sequence[str]
) -> dict[str, bytes]:
    wrapped = {}
    for text in local_devices:
        name, _, file = text.partition("=")
        source = topics_from(name).source
        if source not in authorisation.devices:
            raise ConfigurationError(f"{name} is not authorised: it gets no key.")
        keys = read_public_keys(Path(file))
        wrapped[source] = wrap_key(key, keys, source, authorisation.deployment)
    return wrapped


def _repository(session: Session, root: Path | None) -> Any:  # noqa: ANN401 - loaded late
    """Return the deployment's repository; made now, from the agency's root, where there is none."""
    repository: Any = import_module("tools.desk.repository.repository").Repository
    folder = session.deployment.repository
    if (folder / METADATA).is_dir():
        return repository(folder)
    if root is None:
        raise ConfigurationError(
            "This deployment has no root of trust yet: name the agency's folder with --root DIR "
            "(`passerby-desk root create` makes it)."
        )
    files = import_module("tools.desk.repository.root_folder").root_files(root)
    return repository.create(folder, files)
