"""`watchlist show`: what is on a list and what is wrong with it today."""

import argparse

from rich.markup import escape
from rich.table import Column, Table

from tools.console import console
from tools.desk.watchlist.sealing import faults_of_list
from tools.desk.watchlist.session import opened


def show(options: argparse.Namespace) -> int:
    """`watchlist show --deployment DIR [--names]`; 0 when nothing stands against sealing it."""
    with opened(options) as session:
        register = session.register
        faults = faults_of_list(register, session.templates(), session)
    kept = ["reference", "name", "born"] if options.names else ["reference"]
    heading = ["category", "offence", "review", "expires", "disposition", "photos"]
    table = Table(*(Column(name, no_wrap=True, overflow="fold") for name in kept), *heading)
    for entry in register.entries:
        who = [entry.name, entry.born_on.isoformat()] if options.names else []
        cells = [
            entry.reference_id,
            *(escape(text) for text in who),
            entry.category,
            entry.offence_class,
            entry.review_on.isoformat(),
            entry.expires_on.isoformat(),
            f"{entry.disposition}{' (suspended)' if entry.suspended else ''}",
            str(len(entry.photographs)),
        ]
        table.add_row(*cells)
    console.print(table)
    console.print(
        f"{len(register.entries)} entries, {len(register.recipients)} keepers, last sealed: "
        f"version {register.version or 'none'}."
    )
    for fault in faults:
        console.print(f"- {fault}", markup=False)
    return 1 if faults else 0
