"""`watchlist review`, `disposition` and `revoke`: what becomes of an entry after it was made."""

import argparse
import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec

from device.errors import ConfigurationError, WatchlistError
from device.protocol.authorisation import decode_authorisation
from device.protocol.bundle import METADATA
from device.protocol.identifiers import utc_text
from tools.desk.shown import shown_device
from tools.desk.watchlist.entry import SUSPENDING, Entry, Review
from tools.desk.watchlist.publication import Gateway, manifests_of, read_shown
from tools.desk.watchlist.rules import dates
from tools.desk.watchlist.session import Session, opened


def review(options: argparse.Namespace) -> int:
    """`watchlist review --reference ID --until DATE --by WHO`: it stays until the next review."""
    until, by = _date_of(options.until), _who(options.by)
    with opened(options) as session:
        session.refuse_ended()
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
        entry = session.register.entry(options.reference)
        changed = with_disposition(entry, options.disposition, session.today)
        # What was sealed with it must not be signed any more; written down before all else.
        session.keep(
            msgspec.structs.replace(
                session.register.with_entry(changed),
                sealed=None if changed.suspended else session.register.sealed,
            )
        )
        if not changed.suspended:
            print(f"{entry.reference_id}: {options.disposition}, noted by {by}.")
            return 0
        forget_staged(session)
        devices = devices_of(session)
    print(f"{entry.reference_id}: suspended, because {options.disposition}; noted by {by}.")
    _stop_looking(devices, entry.reference_id, options.config)
    print(f"Then: watchlist revoke --reference {entry.reference_id}, seal and publish the list.")
    return 0


def revoke(options: argparse.Namespace) -> int:
    """`watchlist revoke --reference ID --reason TEXT`: off the list, and off the devices."""
    reason = _who(options.reason)
    with opened(options) as session:
        register = session.register
        entry = register.entry(options.reference)
        templates = session.templates()
        kept = [one for one in templates if one.reference_id != entry.reference_id]
        devices = devices_of(session)
        # Devices first: should anything fail afterwards, they do not look for the person any more.
        _stop_looking(devices, entry.reference_id, options.config)
        manifests = manifests_of(session)
        manifests.revoked(
            session.deployment.id, entry.reference_id, utc_text(session.now_ns), reason
        )
        session.keep(msgspec.structs.replace(register.without(entry.reference_id), sealed=None))
        session.keep_templates(kept)
        forget_staged(session)
    print(f"{entry.reference_id}: erased from the register. Seal and publish the list without it.")
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
    """Return all devices that have, or may get, the list: as sealed last, and as drafted."""
    found: set[str] = set()
    if session.deployment.shown.exists():
        found |= set(read_shown(session.deployment.folder).authorisation.devices)
    path = session.deployment.authorisation
    if path.exists():
        found |= set(decode_authorisation(session.vault.read(path)).devices)
    return sorted(found)


def forget_staged(session: Session) -> None:
    """Forget a bundle that waits for signatures: it speaks of an entry that must go."""
    folder = session.deployment.repository
    if not (folder / METADATA).is_dir():
        return
    from tools.desk.repository.repository import Repository  # noqa: PLC0415

    Repository(folder).clear()


def _stop_looking(devices: Sequence[str], reference_id: str, config: Path | None) -> None:
    if not devices:
        print("No device has this list yet.")
        return
    if config is not None:
        Gateway(config).order(devices, "revoke", "disposition of the charge", reference_id)
        for source in devices:
            print(f"{shown_device(source)}: the order to revoke it is written down and is sent.")
        return
    print("Tell every device at once (or repeat this with --config desk.toml):")
    for line in revocations(devices, reference_id):
        print(f"  {line}")


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
