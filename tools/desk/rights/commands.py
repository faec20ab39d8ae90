"""`passerby-desk rights …`: how the custodian and the rights officer answer (docs/rights.md)."""

import argparse
import hashlib
import sys
from datetime import timedelta

from msgspec.structs import replace

from device.errors import ConfigurationError, StorageError
from device.files import write_new
from tools.desk.retention.schedule import hours, nanoseconds
from tools.desk.rights.acting import Act, remove, suspend
from tools.desk.rights.findings import Findings, manifests_of
from tools.desk.rights.letters import Disclosure, Head, disclosure, neither
from tools.desk.rights.manifests import Found
from tools.desk.rights.office import FILE as OFFICE
from tools.desk.rights.office import read_office
from tools.desk.rights.opening import Desk, known_or_new, opened
from tools.desk.rights.requests import (
    Decision,
    Request,
    Suspended,
    closed,
    extended,
    reason,
    refuse_name_in,
    with_step,
)
from tools.desk.rights.shown import print_findings
from tools.desk.watchlist.vault import held_alone

_REMOVING = frozenset({"granted", "partly granted"})


def begin(options: argparse.Namespace) -> int:
    """`rights search|delete|correct`: open a request, or with --request go on with one."""
    desk = opened(options)
    with held_alone(desk.workplace.rights / ".lock"):
        request = known_or_new(desk, options)
        findings = desk.findings(request, options)
        desk.journal.write(
            desk.now_ns,
            "rights searched",
            request=request.ticket.id,
            by=options.by,
            purpose=request.ticket.kind,
            deployments=findings.deployments,
        )
        acts: list[Act] = []
        if request.ticket.kind != "search" and request.ticket.closed_on is None:
            acts, request = _suspend(desk, request, findings, options)
        desk.cases.keep(with_step(request, desk.now_ns, options.by, "searched"))
    print_findings(request, findings)
    _print_acts(acts)
    print(f"{request.ticket.id}: to be answered by {request.ticket.deadline_on}.")
    return 0


def extend(options: argparse.Namespace) -> int:
    """`rights extend --request ID --by WHO --reason TEXT`: once; the person is told."""
    desk = opened(options)
    with held_alone(desk.workplace.rights / ".lock"):
        request = _known(desk, options)
        later = extended(request, desk.today, desk.schedule.deadlines)
        _note(desk, later, "rights extended", options, until=later.ticket.deadline_on.isoformat())
        desk.cases.keep(with_step(later, desk.now_ns, options.by, f"extended: {options.reason}"))
    print(f"{later.ticket.id}: to be answered by {later.ticket.deadline_on}. Tell the person why.")
    return 0


def close(options: argparse.Namespace) -> int:
    """`rights close --request ID`: decide, do what was decided, and write the letter."""
    desk = opened(options)
    with held_alone(desk.workplace.rights / ".lock"):
        request = _known(desk, options)
        decision: Decision = options.decision or "answered"
        done, removed = closed(request, decision, desk.today), list[Suspended]()
        head = _head(desk, request, options)
        confirmed = frozenset(options.same_person or ())
        # Searched in every case: how long an answer takes must not tell what it does not say.
        findings = desk.findings(request, options)
        _refuse_unknown(confirmed, findings)
        if decision in _REMOVING and request.ticket.kind == "delete":
            request, removed = _delete(desk, request, findings, options)
            done = closed(request, decision, desk.today)
            findings = desk.findings(request, options)
        letter = _letter(head, findings.certain(confirmed), decision, options)
        if not write_new(options.letter, letter):
            raise StorageError(f"{options.letter} exists and is not overwritten: name another.")
        digest = hashlib.sha256(letter).hexdigest()
        told = {"decision": decision, "answer": options.answer, "letter": digest}
        _note(desk, done, "rights closed", options, **told)
        desk.cases.keep(with_step(done, desk.now_ns, options.by, f"{decision}: {options.reason}"))
    print(f"{done.ticket.id}: {decision}. The letter is {options.letter}; send it.")
    _print_after(request, removed)
    return 0


def erase(options: argparse.Namespace) -> int:
    """`rights erase`: what the retention schedule says is over (R23)."""
    desk = opened(options)
    kept = desk.schedule.item
    day = desk.today - timedelta(hours=hours(kept("requests").keep))
    with held_alone(desk.workplace.rights / ".lock"):
        manifests = manifests_of(desk.workplace, desk.keeper.vault)
        requests = desk.cases.erase_closed_before(day)
        lists = manifests.erase_before(desk.now_ns - nanoseconds(kept("manifests").keep))
        years = desk.journal.erase_before(desk.now_ns - nanoseconds(kept("journal").keep))
        desk.journal.write(
            desk.now_ns,
            "rights erased",
            by=options.by,
            requests=len(requests),
            manifests=lists,
            years=len(years),
        )
    print(
        f"erased: {len(requests)} requests, {lists} manifests, {len(years)} years of the journal."
    )
    return 0


def _suspend(
    desk: Desk, request: Request, findings: Findings, options: argparse.Namespace
) -> tuple[list[Act], Request]:
    confirmed = frozenset(options.same_person or ())
    _refuse_unknown(confirmed, findings)
    acts = suspend(findings, confirmed, desk.keeper)
    fresh = [one.suspended for one in acts if one.suspended not in request.suspended]
    for one in fresh:
        desk.journal.write(
            desk.now_ns,
            "rights suspended",
            request=request.ticket.id,
            by=options.by,
            deployment=one.deployment,
            reference=one.reference_id,
        )
    return acts, replace(request, suspended=[*request.suspended, *fresh])


def _print_acts(acts: list[Act]) -> None:
    for act in acts:
        one = act.suspended
        print(f"suspended: {one.reference_id} of {one.deployment}; the next version leaves it out.")
    orders = [line for act in acts for line in act.orders]
    if orders:
        print("Give these orders now, so that no device looks for it until then:")
    for line in orders:
        print(f"  {line}")


def _head(desk: Desk, request: Request, options: argparse.Namespace) -> Head:
    """Return what every letter needs; raise before anything is done when it cannot be written."""
    if options.letter.exists():
        raise StorageError(f"{options.letter} exists and is not overwritten: name another.")
    office = read_office(options.office or desk.workplace.folder / OFFICE)
    ticket = request.ticket
    return Head(office, ticket.id, ticket.kind, ticket.received_on, desk.today, options.language)


def _letter(
    head: Head, found: list[Found], decision: Decision, options: argparse.Namespace
) -> bytes:
    if options.answer == "neither":
        return neither(head).encode()
    if options.answer == "everything" and not any(one.running for one in found):
        print(
            "Note: this letter tells the person that no list in force has them. Whoever gets "
            "another answer can conclude from that; see docs/rights.md.",
            file=sys.stderr,
        )
    return disclosure(head, Disclosure(options.answer, found, decision, options.reason)).encode()


def _delete(
    desk: Desk, request: Request, findings: Findings, options: argparse.Namespace
) -> tuple[Request, list[Suspended]]:
    """Remove what a granted deletion is about. Repeating it does what is left."""
    confirmed = frozenset(options.same_person or ())
    if options.decision == "granted" and not findings.certainly_entered(confirmed):
        _refuse_empty(request, findings)
    # An officer may be sure only now that it is the same person.
    _, request = _suspend(desk, request, findings, options)
    desk.cases.keep(request)
    removed = remove(request.suspended, desk.keeper)
    for one in removed:
        desk.journal.write(
            desk.now_ns,
            "rights removed",
            request=request.ticket.id,
            by=options.by,
            deployment=one.deployment,
            reference=one.reference_id,
        )
    return request, removed


def _refuse_empty(request: Request, findings: Findings) -> None:
    """Refuse to tell a person of a deletion when nothing was deleted, and something is held."""
    there = {one.entry.reference_id for one in findings.entered}
    if there and not request.suspended:
        raise ConfigurationError(
            f"Nothing would be deleted, though this is in a register: {', '.join(sorted(there))}. "
            "If it is the person's, say so with --same-person; if it is not, the request is "
            "refused: there is nothing of theirs to delete."
        )


def _known(desk: Desk, options: argparse.Namespace) -> Request:
    """Return the request of --request, after looking at what shall be written down of it."""
    request = desk.cases.read(options.request)
    options.reason = reason(options.reason)
    refuse_name_in(options.reason, request)
    refuse_name_in(options.by, request, "--by")
    return request


def _print_after(request: Request, removed: list[Suspended]) -> None:
    if removed:
        print(f"removed from registers: {', '.join(one.reference_id for one in removed)}.")
        print("Seal and publish the next version of each list that is in force.")
    elif request.suspended:
        print(
            "The suspended entries stay suspended. Whoever shall be looked for after all is added "
            "anew (`passerby-desk watchlist add`), with a new reference and two signatures."
        )


def _refuse_unknown(confirmed: frozenset[str], findings: Findings) -> None:
    unknown = sorted(confirmed - set(findings.uncertain))
    if unknown:
        raise ConfigurationError(
            f"--same-person {unknown[0]}: no listing with that reference is in doubt."
        )


def _note(
    desk: Desk, request: Request, event: str, options: argparse.Namespace, **details: str
) -> None:
    ticket = request.ticket.id
    desk.journal.write(
        desk.now_ns, event, request=ticket, by=options.by, reason=options.reason, **details
    )
