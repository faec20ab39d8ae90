"""`watchlist show`: what is on a list and what is wrong with it today."""

import argparse
from collections.abc import Iterable

from rich.markup import escape
from rich.table import Column, Table

from tools.console import console
from tools.desk.watchlist.entry import Entry
from tools.desk.watchlist.sealing import faults_of_list
from tools.desk.watchlist.session import opened

# Fixed: what is only a least width is reckoned too late, and the table becomes too wide.
_REFERENCE_WIDTH = len("born 1980-01-31")
_DAY_WIDTH = len("1980-01-31")


def show(options: argparse.Namespace) -> int:
    """`watchlist show --deployment DIR [--names]`; 0 when nothing stands against sealing it."""
    with opened(options) as session:
        register = session.register
        faults = faults_of_list(register, session.templates(), session)
    console.print(table(register.entries, names=options.names))
    console.print(
        f"{len(register.entries)} entries, {len(register.recipients)} keepers, last sealed: "
        f"version {register.version or 'none'}."
    )
    for fault in faults:
        console.print(f"- {fault}", markup=False)
    return 1 if faults else 0


def table(entries: Iterable[Entry], *, names: bool) -> Table:
    """Return the table of a list. At 80 columns ids and dates are whole; nothing is cut at any."""
    found = Table(
        Column("reference", width=_REFERENCE_WIDTH, overflow="fold"),
        *(Column(name, overflow="fold") for name in ("category", "offence")),
        Column("review,\nexpires", width=_DAY_WIDTH),
        Column("disposition", overflow="fold"),
        Column("photos", width=len("photos")),
    )
    for entry in entries:
        who = [escape(entry.name), f"born {entry.born_on.isoformat()}"] if names else []
        found.add_row(
            "\n".join([entry.reference_id, *who]),
            entry.category,
            entry.offence_class,
            f"{entry.review_on.isoformat()}\n{entry.expires_on.isoformat()}",
            f"{entry.disposition}{' (suspended)' if entry.suspended else ''}",
            str(len(entry.photographs)),
        )
    return found
