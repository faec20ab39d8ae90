"""`watchlist new` and `watchlist add`: a deployment, and one person at a time."""

import argparse
import sys
import time
from pathlib import Path

import msgspec

from device.errors import ConfigurationError, WatchlistError
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.watchlist import Reference
from tools.desk.watchlist.admission import (
    enrolled_already,
    essences,
    listed_already,
    over_the_cap,
)
from tools.desk.watchlist.draft import FIELDS, OPTIONAL, Draft, drafted, entry_of
from tools.desk.watchlist.entry import new_reference
from tools.desk.watchlist.folder import Workplace
from tools.desk.watchlist.offences import default_offences, read_offences
from tools.desk.watchlist.photographs import Enroller
from tools.desk.watchlist.register import Register, encode_register
from tools.desk.watchlist.rules import faults_of, is_address
from tools.desk.watchlist.session import Session, opened
from tools.desk.watchlist.vault import Vault


def new(options: argparse.Namespace) -> int:
    """`watchlist new --workplace DIR`: an empty register and a deployment key."""
    now_ns = time.time_ns()
    workplace = Workplace(options.workplace.absolute())
    vault = Vault.of(workplace.recipients)
    offences = read_offences(options.offences or default_offences())
    deployment = workplace.deployment(uuid7(now_ns))
    register = Register(
        deployment=deployment.id,
        list_id=uuid7(now_ns),
        offences=offences,
        recipients=list(vault.recipients),
    )
    # The key last: a register without one has ended, and stops nobody.
    vault.write(deployment.register, encode_register(register))
    vault.make_key(deployment.key)
    print(deployment.folder)
    print(f"Keepers who may read it: {len(vault.recipients)}.")
    print(f"Offence classes: {', '.join(offences.ids)}.")
    return 0


def add(options: argparse.Namespace) -> int:
    """`watchlist add --deployment DIR … --photo FILE…`: one person, or every reason why not."""
    draft = drafted(_asked(options))
    files = _files(options.photo)
    with opened(options) as session:
        session.refuse_ended()
        faults = [*draft.faults, *_refusals(session, draft)]
        enroller = Enroller.of(options)
        enroller.check(session.register)
        at = utc_text(session.now_ns)
        enrolled = enroller.enrol(files, Path("/"), at)
        faults += enrolled.refusal()
        faults += enrolled_already(enrolled.photographs, session.register.entries)
        candidate = Reference(new_reference(), enrolled.templates or [b""])
        before = session.templates()
        if enrolled.templates:
            conflict = enroller.conflicts([*before, candidate]).get(candidate.reference_id)
            faults += [conflict] if conflict else []
        if faults:
            raise WatchlistError(_all_of(faults))
        entry = entry_of(draft, candidate.reference_id, at, enrolled.photographs)
        session.keep_templates([*before, candidate])
        session.keep(
            msgspec.structs.replace(
                session.register.with_entry(entry),
                embedder=enroller.embedder,
                dimension=enroller.dimension,
            )
        )
    for fault in enrolled.faults:
        print(f"left out: {fault}")
    print(f"{entry.reference_id}: entered. Photographs: {len(enrolled.templates)}.")
    return 0


def _refusals(session: Session, draft: Draft) -> list[str]:
    entries = session.register.entries
    return [
        *faults_of(draft, session.today, session.register.offences, essences(entries)),
        *listed_already(draft, entries),
        *over_the_cap(len(entries) + 1),
    ]


def _asked(options: argparse.Namespace) -> dict[str, str]:
    """Return the fields; at a terminal those that were not given are asked for.

    So that names need not stand on a command line, which other users of the computer can see.
    """
    fields = {}
    for name in FIELDS:
        given: str | None = getattr(options, name)
        if given is None and sys.stdin.isatty() and name not in OPTIONAL:
            given = input(f"{name.replace('_', ' ')}: ")
        fields[name] = given or ""
    return fields


def _files(photos: list[str]) -> list[Path]:
    for text in photos:
        if is_address(text):
            raise ConfigurationError(
                "--photo takes files of this computer; nothing is fetched from a network (R2)."
            )
    return [Path(text).absolute() for text in photos]


def _all_of(faults: list[str]) -> str:
    lines = "\n".join(f"  - {fault}" for fault in faults)
    return f"Nobody was entered:\n{lines}"
