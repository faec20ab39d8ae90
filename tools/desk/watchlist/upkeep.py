"""`watchlist review`, `disposition` and `revoke`: what becomes of an entry after it was made."""

import argparse
import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec

from device.errors import ConfigurationError, PasserbyError, StorageError, WatchlistError
from device.protocol.authorisation import decode_authorisation
from device.protocol.bundle import METADATA
from device.protocol.identifiers import utc_text
from tools.desk.shown import shown_device
from tools.desk.watchlist.entry import SUSPENDING, Entry, Review
from tools.desk.watchlist.gateway import Gateway
from tools.desk.watchlist.marks import devices_at_gateway, mark_withdrawn
from tools.desk.watchlist.naming import refuse_names
from tools.desk.watchlist.public import devices_in_public, repository_of
from tools.desk.watchlist.publication import manifests_of
from tools.desk.watchlist.rules import dates
from tools.desk.watchlist.session import Session, opened


def review(options: argparse.Namespace) -> int:
    """`watchlist review --reference ID --until DATE --by WHO`: it stays until the next review."""
    until, by = _date_of(options.until), _who(options.by)
    with opened(options) as session:
        session.refuse_ended()
        refuse_names(by, "--by", session.register)
        entry = session.register.entry(options.reference)
        if entry.suspended:
            raise WatchlistError(
                f"{entry.reference_id} is suspended and cannot be kept by a review: revoke it (R8)."
            )
        made = Review(by=by, at=utc_text(session.now_ns), until=until)
        reviewed = msgspec.structs.replace(entry, review_on=until, reviews=[*entry.reviews, made])
        faults = dates(reviewed, session.today, session.register.offences)
        if faults:
            raise WatchlistError(f"Not reviewed: {'; '.join(faults)}.")
        session.keep(session.register.with_entry(reviewed))
    print(f"{entry.reference_id}: next review on {until.isoformat()}. Seal and publish the list.")
    return 0


def disposition(options: argparse.Namespace) -> int:
    """`watchlist disposition --reference ID --disposition X --by WHO`; suspends at once (R8)."""
    by = _who(options.by)
    with opened(options) as session:
        refuse_names(by, "--by", session.register)
        entry = session.register.entry(options.reference)
        changed = with_disposition(entry, options.disposition, session.today)
        if not changed.suspended:
            session.keep(session.register.with_entry(changed))
            print(f"{entry.reference_id}: {options.disposition}, noted by {by}.")
            return 0
        # What was sealed with it must not be signed any more, nor given out again.
        forget_staged(session)
        session.keep(msgspec.structs.replace(session.register.with_entry(changed), sealed=None))
        print(f"{entry.reference_id}: suspended, because {options.disposition}; noted by {by}.")
        faults = _stop_looking(session, entry.reference_id, options.config)
    print(f"Then: watchlist revoke --reference {entry.reference_id}, seal and publish the list.")
    _say_left(f"{entry.reference_id} is suspended", faults)
    return 0


def revoke(options: argparse.Namespace) -> int:
    """`watchlist revoke --reference ID --reason TEXT`: off the list, and off the devices.

    It may be repeated after it has removed the entry: then it does what could not be done before.
    """
    reason = _who(options.reason)
    with opened(options) as session:
        refuse_names(options.reason, "--reason", session.register)
        reference_id = _known(session, options.reference)
        forget_staged(session)
        # Devices first: should anything fail afterwards, they do not look for the person any more.
        faults = _stop_looking(session, reference_id, options.config)
        # First the templates: what is killed in between has no face left.
        session.keep_templates(
            [one for one in session.templates() if one.reference_id != reference_id]
        )
        session.keep(msgspec.structs.replace(session.register.without(reference_id), sealed=None))
        try:
            manifests_of(session).revoked(
                session.deployment.id, reference_id, utc_text(session.now_ns), reason
            )
        except PasserbyError as error:
            faults.append(str(error))
    print(f"{reference_id}: erased from the register. Seal and publish the list without it.")
    _say_left(f"{reference_id} is erased here", faults)
    return 0


def with_disposition(entry: Entry, word: str, today: date) -> Entry:
    """Return an entry with another disposition; once suspended it stays so.

    Raises ConfigurationError when there is no such word.
    """
    suspended_on = entry.suspended_on or (today if word in SUSPENDING else None)
    fields = {"disposition": word, "suspended_on": suspended_on}
    try:
        return msgspec.convert(msgspec.structs.asdict(entry) | fields, Entry)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f'"{word[:40]}" is no disposition: {error}.') from error


def revocations(devices: Sequence[str], reference_id: str) -> list[str]:
    """Return the command lines that tell devices to stop looking for a reference."""
    reason = shlex.quote("disposition of the charge")
    return [
        f"passerby-desk order revoke --device {shown_device(source)} --reference "
        f"{shlex.quote(reference_id)} --reason {reason} --valid-for 7d"
        for source in devices
    ]


def devices_of(session: Session) -> list[str]:
    """Return all devices that have, ever had, or may get, the list."""
    return devices_and_faults(session)[0]


def devices_and_faults(session: Session) -> tuple[list[str], list[str]]:
    """Return the devices of `devices_of`, and what could not be read while looking for them.

    They are those of all published versions, of the bundle, of the gateway and of the draft.
    """
    deployment = session.deployment
    public, faults = devices_in_public(deployment)
    found = {*session.register.devices, *devices_at_gateway(deployment), *public}
    try:
        if deployment.authorisation.exists():
            draft = decode_authorisation(session.vault.read(deployment.authorisation))
            found |= set(draft.devices)
    except PasserbyError as error:
        faults.append(str(error))
    return sorted(found), faults


def forget_staged(session: Session) -> None:
    """Forget a bundle that waits for signatures, and let what is published go out no more.

    Both speak of an entry that must go.
    """
    deployment = session.deployment
    if not (deployment.repository / METADATA).is_dir():
        return
    mark_withdrawn(deployment)
    repository_of(deployment).clear()


def _known(session: Session, reference_id: str) -> str:
    """Return a reference of the register, or of the deployment's manifests. Raises as `entry`."""
    if any(one.reference_id == reference_id for one in session.register.entries):
        return reference_id
    listed = manifests_of(session).find(reference_id=reference_id)
    if not any(one.deployment == session.deployment.id for one in listed):
        session.register.entry(reference_id)
    return reference_id


def _stop_looking(session: Session, reference_id: str, config: Path | None) -> list[str]:
    """Order every device to stop looking, or print the orders; return what could not be done."""
    devices, faults = devices_and_faults(session)
    if not devices:
        print("No device has this list yet.")
        return faults
    if config is not None:
        faults += Gateway(config).revoke(devices, "disposition of the charge", reference_id)
        print("The order to revoke it is written down for every device that is not named below:")
        for source in devices:
            print(f"  {shown_device(source)}")
        return faults
    print("Tell every device at once (or repeat this with --config desk.toml):")
    for line in revocations(devices, reference_id):
        print(f"  {line}")
    return faults


def _say_left(done: str, faults: Sequence[str]) -> None:
    """Raise StorageError when something is left to do."""
    if faults:
        raise StorageError(
            f"{done}, but this could not be done: {'; '.join(faults)}. Correct it, and repeat the "
            "command."
        )


def _date_of(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f'"{text[:40]}" is no date: write YYYY-MM-DD.') from error


def _who(text: str) -> str:
    found = " ".join(text.split())
    if len(found) < 2:  # noqa: PLR2004 - one letter is nobody
        raise ConfigurationError("Say who does this, and why: the records need it.")
    return found[:200]
