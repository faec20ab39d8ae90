"""`passerby-desk hold add|release|list`: evidential holds (R26)."""

import argparse
import time
from datetime import UTC, datetime, timedelta

from device.errors import ConfigurationError
from device.protocol.identifiers import utc_text
from tools.desk.devices import topics_from
from tools.desk.gateway.configuration import read_desk_configuration
from tools.desk.gateway.database import Database
from tools.desk.retention.holds import Hold, Holds, Terms
from tools.desk.retention.schedule import schedule_of
from tools.desk.rights.journal import Journal
from tools.desk.shown import shown_device, shown_time


def add(options: argparse.Namespace) -> int:
    """`hold add --alert ID --case NUMBER --approver NAME --until DATE`."""
    journal, now_ns = _journal(options), time.time_ns()
    longest_h = schedule_of(options.workplace).item("alerts_held").maximum_h
    after = datetime(options.until.year, options.until.month, options.until.day, tzinfo=UTC)
    hold = _holds(options).add(
        options.alert,
        Terms(options.case, options.approver, int((after + timedelta(days=1)).timestamp()) * 10**9),
        now_ns=now_ns,
        longest_h=longest_h,
        source=topics_from(options.device).source if options.device else None,
        note=lambda hold: _note(
            journal, now_ns, "hold added", hold, approver=hold.approver, until=hold.until_at
        ),
    )
    print(
        f"Hold {hold.number}: alert {hold.alert} is kept until {hold.until_at}, for case "
        f"{hold.case_number}."
    )
    return 0


def release(options: argparse.Namespace) -> int:
    """`hold release --hold NUMBER --by WHO --reason TEXT`."""
    journal, now_ns = _journal(options), time.time_ns()
    more = {"by": options.by, "reason": options.reason}
    if any(len(one.strip()) <= 1 for one in more.values()):
        raise ConfigurationError("--by and --reason must say who releases the hold, and why.")
    hold = _holds(options).release(
        options.hold,
        now_ns=now_ns,
        note=lambda hold: _note(journal, now_ns, "hold released", hold, **more),
    )
    print(f"Hold {hold.number} is released: the gateway erases the alert once its time is over.")
    return 0


def listing(options: argparse.Namespace) -> int:
    """`hold list`: all holds, and whether what they held is still there."""
    now = utc_text(time.time_ns())
    found = _holds(options).listing()
    for one in found:
        state = one.state(now) + ("" if one.kept else ", erased")
        print(
            f"hold {one.number}: {state}; until {shown_time(one.until_at)}; case "
            f"{one.case_number}, approved by {one.approver}\n"
            f"    alert {one.alert} of {shown_device(one.source)}"
        )
    print(f"{len(found)} holds.")
    return 0


def _holds(options: argparse.Namespace) -> Holds:
    return Holds(Database(read_desk_configuration(options.config).desk.database))


def _journal(options: argparse.Namespace) -> Journal:
    if not options.workplace.is_dir():
        raise ConfigurationError(
            f"{options.workplace} is no folder: --workplace names the one with the desk's journal."
        )
    return Journal(options.workplace)


def _note(journal: Journal, now_ns: int, event: str, hold: Hold, **more: str) -> None:
    journal.write(
        now_ns,
        event,
        hold=hold.number,
        alert=hold.alert,
        device=hold.source,
        case=hold.case_number,
        **more,
    )
