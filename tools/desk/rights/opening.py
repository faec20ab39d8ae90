"""An opened workplace, and the request that a command is about: one that is there, or a new one."""

import argparse
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from device.errors import ConfigurationError
from tools.desk.retention.schedule import Schedule, schedule_of
from tools.desk.rights.cases import Cases
from tools.desk.rights.findings import Findings, Keeper, search
from tools.desk.rights.journal import Journal
from tools.desk.rights.requests import Asked, Request, open_request, with_step
from tools.desk.watchlist.folder import Workplace
from tools.desk.watchlist.keepers import open_identity
from tools.desk.watchlist.session import day_of
from tools.desk.watchlist.vault import Vault

REQUESTS: Final = "requests"
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
    """Open the workplace of --workplace with --keeper. Raises ConfigurationError."""
    workplace = Workplace(options.workplace.absolute())
    identity = open_identity(options.keeper, options.keeper_passphrase_file)
    vault = Vault.of(workplace.recipients, identity)
    return Desk(
        Keeper(workplace, identity, vault, time.time_ns()),
        schedule_of(workplace.folder),
        Journal(workplace.folder),
        Cases(workplace.rights / REQUESTS, vault),
    )


def known_or_new(desk: Desk, options: argparse.Namespace) -> Request:
    """Return the request of --request, or open and keep a new one. Raises ConfigurationError."""
    given = (options.name, options.born, options.reference, options.received, options.checked_by)
    if options.request is not None:
        if any(one is not None for one in given):
            raise ConfigurationError("--request goes on with a request; it takes nothing new.")
        request = desk.cases.read(options.request)
        if request.ticket.kind != options.kind:
            raise ConfigurationError(
                f"{options.request} is a request to {request.ticket.kind}: use `passerby-desk "
                f"rights {request.ticket.kind}`."
            )
        return request
    if options.received is None or options.checked_by is None:
        raise ConfigurationError(
            "A new request needs --received, the day on which it came, and --checked-by, who made "
            "sure that the person is who they say."
        )
    asked = Asked(
        options.kind,
        options.name,
        options.born,
        options.reference,
        getattr(options, "wrong", None),
        options.checked_by,
        options.received,
    )
    request = open_request(asked, desk.today, desk.schedule.deadlines)
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
    request = with_step(request, desk.now_ns, options.by, "opened")
    # Before the search, which may fail: the deadline runs whatever is damaged.
    desk.cases.keep(request)
    return request


def _start_ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9
