"""An opened workplace, and the request that a command is about: one that is there, or a new one."""

import argparse
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from device.errors import ConfigurationError
from tools.desk.retention.schedule import Schedule, schedule_of
from tools.desk.rights.cases import Cases
from tools.desk.rights.findings import Findings, Keeper, search
from tools.desk.rights.journal import Journal
from tools.desk.rights.keeping import REQUESTS, rights_key_of
from tools.desk.rights.requests import (
    Asked,
    Request,
    open_request,
    person,
    refuse_name_in,
    with_step,
)
from tools.desk.watchlist.folder import Workplace
from tools.desk.watchlist.keepers import open_identity
from tools.desk.watchlist.session import day_of
from tools.desk.watchlist.vault import Vault

_DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Desk:
    """An opened workplace, and what rights work with."""

    keeper: Keeper
    schedule: Schedule
    journal: Journal
    cases: Cases

    @property
    def workplace(self) -> Workplace:
        """The folder of the desk."""
        return self.keeper.workplace

    @property
    def now_ns(self) -> int:
        """Wall clock when it was opened, nanoseconds since 1970."""
        return self.keeper.now_ns

    @property
    def today(self) -> date:
        """The day in UTC."""
        return day_of(self.now_ns)

    def findings(self, request: Request, options: argparse.Namespace) -> Findings:
        """Search for a request. Raises StorageError."""
        from_on, until_on = getattr(options, "from_on", None), getattr(options, "until_on", None)
        return search(
            request,
            self.keeper,
            from_ns=_start_ns(from_on) if from_on else 0,
            until_ns=_start_ns(until_on) + _DAY_NS - 1 if until_on else 2**63 - 1,
        )


def opened(options: argparse.Namespace) -> Desk:
    """Open the workplace of --workplace with --keeper. Raises ConfigurationError, StorageError.

    Also when `recipients.txt` names somebody whom no keeper admitted: nothing is written then.
    """
    options.by = person(options.by, "--by")
    workplace = Workplace(options.workplace.absolute())
    identity = open_identity(options.keeper, options.keeper_passphrase_file)
    vault = Vault.of(workplace.recipients, identity)
    rights_key_of(workplace, vault)
    return Desk(
        Keeper(workplace, identity, vault, time.time_ns()),
        schedule_of(workplace.folder),
        Journal(workplace.folder),
        Cases(workplace.rights / REQUESTS, vault),
    )


def known_or_new(desk: Desk, options: argparse.Namespace) -> Request:
    """Return the request of --request, or open and keep a new one. Raises ConfigurationError."""
    if options.request is None:
        return _new(desk, options)
    given = (options.name, options.born, options.reference, options.received, options.checked_by)
    if any(one is not None for one in given):
        raise ConfigurationError("--request goes on with a request; it takes nothing new.")
    request = desk.cases.read(options.request)
    if request.ticket.kind != options.kind:
        raise ConfigurationError(
            f"{options.request} is a request to {request.ticket.kind}: use `passerby-desk "
            f"rights {request.ticket.kind}`."
        )
    refuse_name_in(options.by, request, "--by")
    return request


def _new(desk: Desk, options: argparse.Namespace) -> Request:
    if options.received is None or options.checked_by is None:
        raise ConfigurationError(
            "A new request needs --received, the day on which it came, and --checked-by, who made "
            "sure that the person is who they say."
        )
    name, born_on = _asked_for(options)
    asked = Asked(
        options.kind,
        name,
        born_on,
        options.reference,
        getattr(options, "wrong", None),
        options.checked_by,
        options.received,
    )
    request = open_request(asked, desk.today, desk.schedule.deadlines)
    refuse_name_in(options.by, request, "--by")
    request = with_step(request, desk.now_ns, options.by, "opened")
    ticket = request.ticket
    desk.journal.write(
        desk.now_ns,
        "rights opened",
        request=ticket.id,
        kind=ticket.kind,
        by=options.by,
        checked_by=request.checked_by,
        received_on=ticket.received_on.isoformat(),
        deadline_on=ticket.deadline_on.isoformat(),
    )
    # Before the search, which may fail: the deadline runs whatever is damaged.
    desk.cases.keep(request)
    print(f"{ticket.id}: opened. Should what follows fail, go on with --request {ticket.id}.")
    return request


def _asked_for(options: argparse.Namespace) -> tuple[str | None, str | None]:
    """Return name and birth date; at a terminal those that were not given are asked for.

    So that a name need not stand on a command line, which other users of the computer can see.
    """
    name, born_on = options.name, options.born
    if options.reference is None and sys.stdin.isatty():
        name = input("name, all names: ") if name is None else name
        born_on = input("born on (1990-12-31): ") if born_on is None else born_on
    return name, born_on


def _start_ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9
