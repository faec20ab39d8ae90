"""`watchlist authorise`: from the officer's plan to the draft of what two people will sign."""

import argparse
from collections.abc import Sequence

import msgspec

from device.errors import ConfigurationError
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.authorisation import (
    Authorisation,
    Threshold,
    check_authorisation,
    decode_authorisation,
    encode_authorisation,
)
from device.protocol.identifiers import utc_text
from device.settings import ModelSettings
from device.vision import Catalogue, ModelEntry
from tools.desk.watchlist.conditions import obstacles
from tools.desk.watchlist.evaluation import (
    evaluated_threshold,
    provisional_threshold,
    read_statement,
)
from tools.desk.watchlist.photographs import catalogue_of
from tools.desk.watchlist.plan import Plan, read_plan
from tools.desk.watchlist.register import Register
from tools.desk.watchlist.session import Session, opened


def authorise(options: argparse.Namespace) -> int:
    """`watchlist authorise --file PLAN [--evaluation FILE | --provisional]`."""
    plan = read_plan(options.file)
    if (options.evaluation is None) == (not options.provisional):
        raise ConfigurationError(
            "Give --evaluation FILE (of `passerby-lab evaluate`), or --provisional for a pilot in "
            "silent mode; not both."
        )
    catalogue = catalogue_of(options)
    entries = entries_of(plan, catalogue)
    with opened(options) as session:
        session.refuse_ended()
        _check_embedder(session.register, entries)
        listed = len(session.register.entries)
        if options.provisional:
            embedder = next(one for one in entries if one.role == "embedder")
            threshold = provisional_threshold(embedder, listed, plan.target_fpir)
        else:
            statement = read_statement(options.evaluation)
            models = hashes_of(entries)
            threshold = evaluated_threshold(statement, models, listed, plan.target_fpir)
        draft = drafted(plan, threshold, hashes_of(entries), session)
        faults = obstacles(draft, listed, session.now_ns)
        if faults:
            raise ConfigurationError("Not authorised: " + "; ".join(faults) + ".")
        session.vault.write(session.deployment.authorisation, encode_authorisation(draft))
    print(f"Drafted: {draft.mode} mode, threshold {threshold.threshold:.4f} ({threshold.kind}).")
    print(threshold.words)
    if draft.signage is None:
        print("No signage is attested yet: no device arms before that is signed too (R36).")
    return 0


def drafted(
    plan: Plan, threshold: Threshold, models: list[ModelHash], session: Session
) -> Authorisation:
    """Return the authorisation of a plan, as the next version. Raises MessageError."""
    register = session.register
    draft = Authorisation(
        deployment=register.deployment,
        version=register.version + 1,
        signed_at=utc_text(session.now_ns),
        objective=plan.objective,
        place=plan.place,
        devices=plan.sources,
        windows=plan.windows_signed(),
        legal_basis=plan.legal_basis,
        impact_assessment=plan.impact_assessment,
        signage=plan.signage_signed(),
        threshold=threshold,
        models=models,
        watchlist=ListVersion(register.list_id, register.version + 1),
        officer=plan.officer,
        custodian=plan.custodian,
        pilot_ends_at=plan.pilot_end,
        exit_evaluation=plan.exit_evaluation,
        mode=plan.mode,
        list_cap=plan.list_cap,
        retention=plan.retention,
        stop_rule=plan.stop_rule,
    )
    check_authorisation(draft)
    return draft


def drafted_before(session: Session) -> Authorisation:
    """Return the draft of `watchlist authorise`, as the next version of the list, as of now.

    Raises ConfigurationError when there is none yet.
    """
    path = session.deployment.authorisation
    if not path.exists():
        raise ConfigurationError(
            "Nothing is authorised yet: `passerby-desk watchlist authorise --file PLAN` comes "
            "before sealing (R5)."
        )
    draft = decode_authorisation(session.vault.read(path))
    register = session.register
    threshold = draft.threshold
    if threshold.evaluation_sha256 is None:
        # It stands for no evaluation, and is meant for whatever list it travels with.
        listed = max(1, len(register.entries))
        threshold = msgspec.structs.replace(threshold, list_size=listed)
    return msgspec.structs.replace(
        draft,
        version=register.version + 1,
        watchlist=ListVersion(register.list_id, register.version + 1),
        signed_at=utc_text(session.now_ns),
        threshold=threshold,
    )


def entries_of(plan: Plan, catalogue: Catalogue) -> list[ModelEntry]:
    """Return the models of a plan, whose files are here and are those. Raises ModelError (R34)."""
    found = [
        *(catalogue.entry(name, "detector") for name in (plan.detector, *plan.other_detectors)),
        catalogue.entry(plan.embedder, "embedder"),
    ]
    if plan.attack_detector:
        found.append(catalogue.entry(plan.attack_detector, "attack-detection"))
    for entry in found:
        catalogue.verified_path(entry)
    return found


def hashes_of(entries: Sequence[ModelEntry]) -> list[ModelHash]:
    """Return what is signed of the models (R34)."""
    return [ModelHash(entry.role, entry.name, entry.sha256) for entry in entries]


def settings_of(models: Sequence[ModelHash]) -> ModelSettings:
    """Return the settings that open these models; of several detectors the first, as planned."""
    names = {model.role: model.name for model in reversed(models)}
    return ModelSettings(
        detector=names["detector"],
        embedder=names["embedder"],
        attack_detector=names.get("attack-detection", ""),
    )


def _check_embedder(register: Register, entries: Sequence[ModelEntry]) -> None:
    made_with = register.embedder
    if made_with is not None and made_with not in hashes_of(entries):
        raise ConfigurationError(
            f"The list was made with the embedder {made_with.name}; authorise that one, or enrol "
            "the photographs anew in a new deployment (R34)."
        )
