"""What the rights commands print: findings for the officer, and the list of requests (R38, R39)."""

import argparse
import time
from datetime import date
from typing import Any

import msgspec
from rich.table import Column, Table

from device.errors import ConfigurationError
from device.files import write_atomically
from tools.console import console
from tools.desk.retention.schedule import Schedule, schedule_of
from tools.desk.rights.cases import Cases
from tools.desk.rights.findings import Findings
from tools.desk.rights.journal import Journal
from tools.desk.rights.requests import Request, Ticket, in_order
from tools.desk.watchlist.folder import Workplace
from tools.desk.watchlist.session import day_of

_OVERDUE_EXIT = 1


def print_findings(request: Request, findings: Findings) -> None:
    """Print what was found, for the officer who decides; never for the person who asked."""
    print(f"Request {request.ticket.id}, to {request.ticket.kind}. For the officer only.")
    print(f"searched: {findings.deployments} deployments, running and erased.")
    if not findings.listed and not findings.entered:
        print("found: nothing.")
    for one in findings.listed:
        end = "in force" if one.running else f"over: {one.reason}"
        if one.running and one.reason:
            end += f"; this version was {one.reason}"
        print(
            f"on a list: {one.listing.reference_id}, from {one.listing.from_at} to "
            f"{one.listing.until_at}\n"
            f"    {one.agreement}; list {one.watchlist.id}, version {one.watchlist.version}; "
            f"deployment {one.deployment} ({end})"
        )
    for entered in findings.entered:
        state = "suspended" if entered.entry.suspended else "in force"
        print(
            f"in a register now: {entered.entry.reference_id} of {entered.deployment} ({state}; "
            f"{entered.agreement}; legal basis: {entered.entry.legal_basis})"
        )
    if findings.uncertain:
        print(
            "Only two words of the name agree with these; look whether it is the same person, and "
            f"if so name them with --same-person: {', '.join(findings.uncertain)}"
        )


def listing(options: argparse.Namespace) -> int:
    """`rights list`: overdue ones first; exits with 1 when there is one. No keeper is needed."""
    workplace = Workplace(options.workplace.absolute())
    if not workplace.folder.is_dir():
        raise ConfigurationError(f"{workplace.folder} is no folder of a workplace.")
    schedule = schedule_of(workplace.folder)
    today = day_of(time.time_ns())
    tickets = in_order(Cases(workplace.rights / "requests").tickets(), today)
    if options.report is not None:
        write_atomically(options.report, report(tickets, today, schedule), mode=0o600)
    table = Table(Column("request", no_wrap=True), "to", "received", "answer by", "state")
    for one in tickets:
        state = one.state(today, schedule.deadlines.due_soon)
        days = (str(one.received_on), str(one.deadline_on) + (" (extended)" * one.extended))
        table.add_row(one.id, one.kind, *days, state)
    console.print(table)
    overdue = sum(one.overdue(today) for one in tickets)
    print(f"{len(tickets)} requests, {overdue} overdue.")
    return _OVERDUE_EXIT if overdue else 0


def journal(options: argparse.Namespace) -> int:
    """`rights journal`: check the chain of every year. Raises StorageError where one is broken."""
    found = Journal(options.workplace.absolute())
    for year in found.years():
        lines = found.lines(year)
        print(f"{year}: {len(lines)} entries, whole; the newest is of {lines[-1].at}.")
    return 0


def report(tickets: list[Ticket], today: date, schedule: Schedule) -> bytes:
    """Return the report on deadlines as JSON (R39): no name, nothing that was found."""
    done = [one for one in tickets if one.closed_on is not None]
    content: dict[str, Any] = {
        "kind": "passerby rights report 1",
        "on": today,
        "answer_within": schedule.deadlines.answer,
        "extension": schedule.deadlines.extension,
        "open": len(tickets) - len(done),
        "overdue": sum(one.overdue(today) for one in tickets),
        "closed_in_time": sum((one.closed_on or today) <= one.deadline_on for one in done),
        "closed_late": sum((one.closed_on or today) > one.deadline_on for one in done),
        "requests": tickets,
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
