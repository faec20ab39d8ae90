"""A request of a person about themselves: what it says, until when it must be answered (R38, R39).

Pure rules; `cases` keeps requests. A request is known by a random id that says nothing, and opened
by a name with a birth date or by a reference id. There is no field for a photograph.
"""

import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from device.errors import ConfigurationError
from device.protocol.event import Time, Uuid
from device.protocol.identifiers import utc_text
from device.protocol.order import ReferenceId
from tools.desk.retention.schedule import Deadlines, hours
from tools.desk.rights.names import Subject, words_of

Kind = Literal["search", "delete", "correct"]
"""Of a request: to know what is held, to have it deleted, to have it corrected."""
Decision = Literal["answered", "granted", "partly granted", "refused"]
Answer = Literal["neither", "ended", "everything"]
"""What a letter says. neither: nothing is confirmed or denied. ended: what concerns lists that have
ended; the running ones are neither confirmed nor denied. everything: all."""

Language = Literal["en", "fr"]

REQUEST_ID: Final = r"^q-[0-9a-f]{16}\Z"
RequestId = Annotated[str, Meta(pattern=REQUEST_ID)]
Person = Annotated[str, Meta(min_length=2, max_length=200)]
Text = Annotated[str, Meta(min_length=3, max_length=2000)]
LONGEST_REASON: Final = 300
"""Characters of a reason: what the journal keeps of one."""
_LEAST_REASON: Final = 3
_NAMING_LETTERS: Final = 3
_OPTIONS: Final = {
    "born_on": "--born",
    "reference_id": "--reference",
    "wrong": "--wrong",
    "checked_by": "--checked-by",
    "received_on": "--received",
    "name": "--name",
    "by": "--by",
}


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """Something that was done with a request. by: who did it."""

    at: Time
    by: Person
    what: Text


class Suspended(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry that the request suspended: no later version of the list has it."""

    deployment: Uuid
    reference_id: ReferenceId


class Ticket(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be known of a request without a keeper's identity: no name, nothing that was found.

    received_on: when the service got it. deadline_on: the last day on which an answer is in time.
    """

    id: RequestId
    kind: Kind
    received_on: date
    deadline_on: date
    extended: bool = False
    closed_on: date | None = None
    decision: Decision | None = None

    def overdue(self, today: date) -> bool:
        """Return whether it is still open though its last day is over."""
        return self.closed_on is None and today > self.deadline_on

    def state(self, today: date, due_soon: str) -> str:
        """Return it in words. due_soon: how long before the deadline it is near, "7 days"."""
        if self.closed_on is not None:
            late = " late" if self.closed_on > self.deadline_on else ""
            return f"{self.decision}{late} on {self.closed_on}"
        left = (self.deadline_on - today).days
        if left < 0:
            return f"OVERDUE by {-left} day{'s' if left != -1 else ''}"
        near = left <= hours(due_soon) / 24
        return f"open, {left} days left{': answer it now' if near else ''}"


class Request(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole request; it lies in the vault only.

    name and born_on, or reference_id: who it is about. wrong: of a correction, what shall be
    corrected. checked_by: who made sure that the person is who they say, from a document or in
    person. The rest is what was done.
    """

    ticket: Ticket
    name: Annotated[str, Meta(max_length=200)] | None = None
    born_on: str | None = None
    reference_id: ReferenceId | None = None
    wrong: Text | None = None
    checked_by: Person
    suspended: list[Suspended] = []
    steps: list[Step] = []
    kind: Literal["passerby request 1"] = "passerby request 1"

    @property
    def subject(self) -> Subject | None:
        """The person, where the request was opened by name."""
        if self.name is None or self.born_on is None:
            return None
        return Subject(self.name, self.born_on)

    def __repr__(self) -> str:
        # A traceback or a log must not carry a name.
        return f"<Request {self.ticket.id}>"


@dataclass(frozen=True, slots=True)
class Asked:
    """What opens a request: who it is about, by one of the two ways, and who made sure of it."""

    kind: Kind
    name: str | None
    born_on: str | None
    reference_id: str | None
    wrong: str | None
    checked_by: str
    received_on: date


def open_request(asked: Asked, today: date, deadlines: Deadlines) -> Request:
    """Return a new request. Raises ConfigurationError, in one sentence."""
    _check_asked(asked, today)
    ticket = Ticket(
        id=f"q-{secrets.token_hex(8)}",
        kind=asked.kind,
        received_on=asked.received_on,
        deadline_on=asked.received_on + _days(deadlines.answer),
    )
    request = Request(
        ticket=ticket,
        name=asked.name,
        born_on=asked.born_on,
        reference_id=asked.reference_id,
        wrong=asked.wrong,
        checked_by=person(asked.checked_by, "--checked-by"),
    )
    _ = request.subject  # raises what a name and a birth date must look like
    refuse_name_in(request.checked_by, request, "--checked-by")
    return checked(request)


def checked(request: Request) -> Request:
    """Return a request that can be written and read again. Raises ConfigurationError.

    Nothing checks a struct when it is made: without this a text that is too long would be written,
    and never be readable again.
    """
    try:
        return msgspec.json.decode(msgspec.json.encode(request), type=Request)
    except msgspec.ValidationError as error:
        # Without what was given: a fault may name the person.
        fault, _, place = str(error).partition(" - at ")
        field = place.strip("`$").rpartition(".")[2]
        raise ConfigurationError(f"{_OPTIONS.get(field, field)} cannot be kept: {fault}.") from None
    except UnicodeEncodeError as error:
        raise ConfigurationError("What was given is no text in UTF-8: type it again.") from error


def person(text: str, option: str) -> str:
    """Return who does something, with blanks evened out. Raises ConfigurationError."""
    return _plain(text, option, 2, 200)


def reason(text: str) -> str:
    """Return a reason, with blanks evened out. Raises ConfigurationError."""
    return _plain(text, "--reason", _LEAST_REASON, LONGEST_REASON)


def extended(request: Request, today: date, deadlines: Deadlines) -> Request:
    """Return a request with its deadline extended, once. Raises ConfigurationError."""
    ticket = request.ticket
    _refuse_closed(ticket)
    if ticket.extended:
        raise ConfigurationError(f"The deadline of {ticket.id} was extended before: once is all.")
    if ticket.overdue(today):
        raise ConfigurationError(
            f"{ticket.id} is overdue: a deadline that is over cannot be extended. Answer it."
        )
    later = ticket.deadline_on + _days(deadlines.extension)
    return replace(request, ticket=replace(ticket, deadline_on=later, extended=True))


def closed(request: Request, decision: Decision, today: date) -> Request:
    """Return a request as decided. Raises ConfigurationError."""
    _refuse_closed(request.ticket)
    if (decision == "answered") != (request.ticket.kind == "search"):
        raise ConfigurationError(
            "A search is answered; a deletion or a correction is granted, partly granted or "
            "refused: say which with --decision."
        )
    return replace(request, ticket=replace(request.ticket, decision=decision, closed_on=today))


def with_step(request: Request, now_ns: int, by: str, what: str) -> Request:
    """Return a request with one more step."""
    return replace(request, steps=[*request.steps, Step(utc_text(now_ns), by, what)])


def in_order(tickets: list[Ticket], today: date) -> list[Ticket]:
    """Return tickets: overdue ones first, then open ones by deadline, then closed ones."""
    return sorted(
        tickets,
        key=lambda one: (
            not one.overdue(today),
            one.closed_on is not None,
            one.deadline_on,
            one.id,
        ),
    )


def refuse_name_in(text: str, request: Request, option: str = "--reason") -> None:
    """Raise ConfigurationError when a text for the journal names the person (R39, R56)."""
    if request.name is None:
        return
    words, said = set(words_of(request.name)), set(words_of(text))
    found = {word for word in words if {word, f"{word}s"} & said}  # "Smith's"
    long = any(len(word) >= _NAMING_LETTERS for word in found)
    # Short words alone are words of a text too ("an", "do"); all of a name together are the name.
    if long or len(found) > 1 or found == words:
        raise ConfigurationError(
            f"{option} goes into the journal, which holds no names: write it without the person's."
        )


def _check_asked(asked: Asked, today: date) -> None:
    by_name = asked.name is not None and asked.born_on is not None
    by_half = (asked.name is None) != (asked.born_on is None)
    if by_half or by_name == (asked.reference_id is not None):
        raise ConfigurationError(
            "A request is opened by --name with --born, or by --reference alone: that is all that "
            "may be asked of anybody (R38)."
        )
    if asked.received_on > today:
        raise ConfigurationError("--received lies in the future.")
    if (asked.kind == "correct") != (asked.wrong is not None):
        raise ConfigurationError(
            "A correction, and nothing else, says with --wrong what is wrong and what is right."
        )


def _plain(text: str, option: str, least: int, most: int) -> str:
    found = " ".join(text.split())
    if not least <= len(found) <= most or not found.isprintable():
        raise ConfigurationError(f"{option} takes {least} to {most} characters of plain text.")
    return found


def _days(period: str) -> timedelta:
    return timedelta(hours=hours(period))


def _refuse_closed(ticket: Ticket) -> None:
    if ticket.closed_on is not None:
        raise ConfigurationError(
            f"{ticket.id} was closed on {ticket.closed_on}: a new letter is a new request."
        )
