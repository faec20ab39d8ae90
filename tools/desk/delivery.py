"""`passerby-desk delivery`: what arrived of each device, and what is missing."""

import argparse
from collections.abc import Iterable

from rich.table import Column, Table

from tools.console import console
from tools.desk.gateway.configuration import read_desk_configuration
from tools.desk.gateway.database import Database
from tools.desk.gateway.deliveries import Delivery, deliveries
from tools.desk.shown import shown_device, shown_time

_SHOWN_GAPS = 5
_WIDTHS = {
    "device": None,
    "last seen": len("2026-01-31"),
    "status": len("comparing"),
    "newest": None,
    "missing": None,
    "epochs": len("epochs"),
    "not emitted": None,
}
"""Of the columns; None: as wide as there is room."""


def show(options: argparse.Namespace) -> int:
    """Print the table of devices."""
    settings = read_desk_configuration(options.config)
    console.print(table(deliveries(Database(settings.desk.database))))
    console.print(
        "missing: lost, or erased on the device because it had waited too long. epochs: more than "
        "one means that a device's outbox was lost or replaced."
    )
    return 0


def table(found: Iterable[Delivery]) -> Table:
    """Return the table. Nothing is cut; at 80 columns dates and times of day are whole."""
    columns = (Column(name, width=width, overflow="fold") for name, width in _WIDTHS.items())
    shown = Table(*columns)
    for one in found:
        shown.add_row(*_row(one))
    return shown


def _row(one: Delivery) -> list[str]:
    status = f"{one.link}, {one.state}" if one.link else "never"
    if one.slowed is not None:
        status += f", step {one.slowed}"
    gaps = [str(gap) for gap in one.gaps[-_SHOWN_GAPS:]]
    if len(one.gaps) > _SHOWN_GAPS:
        gaps.insert(0, "…")
    waiting = ", ".join(f"{target}: {count}" for target, count in sorted(one.unemitted.items()))
    return [
        shown_device(one.source),
        shown_time(one.last_seen),
        "revoked" if one.revoked_at else status,
        str(one.newest or "-"),
        ", ".join(gaps) or "-",
        str(one.epochs),
        waiting or "-",
    ]
