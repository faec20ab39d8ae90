"""Requests (R38, R39): the two ways to open one, deadlines, letters, journal; no photograph."""

import argparse
import hashlib
import inspect
import json
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from device.errors import ConfigurationError, StorageError
from device.protocol.alert import ListVersion
from device.protocol.manifest import Listing
from tools.desk.main import _parser
from tools.desk.retention.schedule import Deadlines, default_path, read_schedule
from tools.desk.rights import letters
from tools.desk.rights.cases import Cases
from tools.desk.rights.journal import Journal
from tools.desk.rights.letters import Disclosure, Head, disclosure, neither
from tools.desk.rights.manifests import Found
from tools.desk.rights.office import Office, read_office
from tools.desk.rights.requests import (
    Asked,
    Request,
    Ticket,
    closed,
    extended,
    in_order,
    open_request,
    reason,
    refuse_name_in,
    with_step,
)
from tools.desk.rights.shown import report
from tools.desk.watchlist.encryption import Identity
from tools.desk.watchlist.vault import Vault

TODAY = date(2026, 9, 1)
DEADLINES = Deadlines("30 days", "30 days", "7 days")
OFFICE = Office("A Service", "Un service", "write to us", "écrivez", "a body", "un organisme")
DAY_NS = 86_400 * 10**9
NOW_NS = 1_788_220_800 * 10**9


def asked(**changes):
    fields = {
        "kind": "search",
        "name": "Anna Zylberstein",
        "born_on": "1990-12-31",
        "reference_id": None,
        "wrong": None,
        "checked_by": "Clerk 4",
        "received_on": TODAY,
    }
    return Asked(**(fields | changes))


def opened(**changes):
    return open_request(asked(**changes), TODAY, DEADLINES)


def test_a_request_is_opened_by_name_and_birth_date_or_by_reference():
    assert opened().subject.born_on == "1990-12-31"
    assert opened(name=None, born_on=None, reference_id="r-1").reference_id == "r-1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": None},
        {"born_on": None},
        {"name": None, "born_on": None},
        {"reference_id": "r-1"},
        {"name": ""},
        {"born_on": "yesterday"},
        {"checked_by": " "},
        {"received_on": TODAY + timedelta(days=1)},
        {"kind": "correct"},
        {"wrong": "the name"},
    ],
)
def test_nothing_less_and_nothing_more_opens_one(wrong):
    with pytest.raises(ConfigurationError):
        opened(**wrong)


@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        ({"checked_by": "x" * 300}, "--checked-by"),
        ({"checked_by": "x"}, "--checked-by"),
        ({"checked_by": "Clerk\x1b[2J 4"}, "--checked-by"),
        ({"checked_by": "Anna Zylberstein's brother"}, "--checked-by"),
        ({"kind": "correct", "wrong": "no"}, "--wrong"),
        ({"kind": "correct", "wrong": "x" * 2001}, "--wrong"),
        ({"name": None, "born_on": None, "reference_id": ""}, "--reference"),
        ({"name": None, "born_on": None, "reference_id": "x" * 129}, "--reference"),
    ],
)
def test_what_could_not_be_read_again_opens_no_request(wrong, option):
    with pytest.raises(ConfigurationError, match=option):
        opened(**wrong)


@pytest.mark.parametrize(
    ("by", "what"), [("x", "opened"), ("", "opened"), ("Clerk 4", "x" * 2001), ("x" * 300, "y y")]
)
def test_a_request_that_could_not_be_read_again_is_not_written(cases, tmp_path, by, what):
    with pytest.raises(ConfigurationError):
        cases.keep(with_step(opened(), NOW_NS, by, what))
    assert not list(tmp_path.rglob("q-*"))


@pytest.mark.parametrize("text", ["", " x ", "x" * 301, "one\x1b[2J", "half \udcff"])
def test_a_reason_is_plain_text_of_a_length_that_the_journal_keeps(text):
    with pytest.raises(ConfigurationError, match="--reason takes 3 to 300"):
        reason(text)
    assert reason("  the file \n is long ") == "the file is long"


def parsers(parser):
    """A parser and all below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from parsers(one)


def test_no_option_takes_a_photograph_or_any_file_about_the_person():
    """R38: files that rights commands take are the desk's own; every other option is text."""
    (top,) = (
        action.choices["rights"]
        for action in _parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    of_the_desk = {"workplace", "keeper", "keeper_passphrase_file", "letter", "report", "office"}
    found, words = set(), set()
    for parser in parsers(top):
        for action in parser._actions:
            if action.type is Path or isinstance(action.type, argparse.FileType):
                found.add(action.dest)
            if not isinstance(action, argparse._SubParsersAction):
                words |= {action.dest, *(one.strip("-") for one in action.option_strings)}
        assert not [
            one for one in parser._actions if not one.option_strings and one.nargs != "A..."
        ]
    assert found == of_the_desk
    told = " ".join(words).lower()
    for word in ("photo", "image", "picture", "face", "selfie", "scan", "portrait", "attach"):
        assert word not in told


def test_a_request_has_no_field_for_a_photograph():
    for field in (*msgspec.structs.fields(Request), *msgspec.structs.fields(Ticket)):
        assert "bytes" not in str(field.type)
        assert not {"photo", "image", "picture"} & set(field.name.split("_"))


def test_the_id_of_a_request_says_nothing():
    ids = {opened().ticket.id for _ in range(100)}
    assert len(ids) == 100
    assert all(len(one) == 18 for one in ids)


def test_the_deadline_is_that_of_the_schedule_from_the_day_it_was_received():
    received = TODAY - timedelta(days=20)
    assert opened(received_on=received).ticket.deadline_on == date(2026, 9, 11)
    shipped = read_schedule(default_path()).deadlines
    ticket = open_request(asked(), TODAY, shipped).ticket
    assert (ticket.deadline_on - TODAY).days == 30


def test_it_is_overdue_from_the_day_after_the_deadline_until_it_is_closed():
    request = opened()
    last = request.ticket.deadline_on
    assert not request.ticket.overdue(last)
    assert request.ticket.overdue(last + timedelta(days=1))
    assert "OVERDUE by 1 day" in request.ticket.state(last + timedelta(days=1), "7 days")
    assert "answer it now" in request.ticket.state(last - timedelta(days=7), "7 days")
    assert "answer it now" not in request.ticket.state(last - timedelta(days=8), "7 days")
    done = closed(request, "answered", last + timedelta(days=2)).ticket
    assert not done.overdue(last + timedelta(days=3))
    assert "late" in done.state(last, "7 days")


def test_a_deadline_is_extended_once_and_before_it_is_over():
    later = extended(opened(), TODAY, DEADLINES)
    assert (later.ticket.deadline_on - TODAY).days == 60
    with pytest.raises(ConfigurationError, match="once"):
        extended(later, TODAY, DEADLINES)
    with pytest.raises(ConfigurationError, match="overdue"):
        extended(opened(), TODAY + timedelta(days=31), DEADLINES)
    with pytest.raises(ConfigurationError, match="closed"):
        extended(closed(opened(), "answered", TODAY), TODAY, DEADLINES)


def test_a_request_is_decided_once_and_by_a_word_that_fits_it():
    delete = opened(kind="delete")
    assert closed(delete, "refused", TODAY).ticket.decision == "refused"
    with pytest.raises(ConfigurationError, match="was closed"):
        closed(closed(delete, "granted", TODAY), "refused", TODAY)
    with pytest.raises(ConfigurationError, match="--decision"):
        closed(delete, "answered", TODAY)
    with pytest.raises(ConfigurationError, match="--decision"):
        closed(opened(), "granted", TODAY)


def test_overdue_requests_come_first_and_the_report_counts_them():
    old = opened(received_on=TODAY - timedelta(days=40)).ticket
    new = opened().ticket
    near = opened(received_on=TODAY - timedelta(days=25)).ticket
    late = closed(opened(received_on=TODAY - timedelta(days=50)), "answered", TODAY).ticket
    tickets = in_order([new, late, near, old], TODAY)
    assert tickets == [old, near, new, late]
    content = json.loads(report(tickets, TODAY, read_schedule(default_path())))
    assert (content["open"], content["overdue"], content["closed_late"]) == (3, 1, 1)
    assert content["closed_in_time"] == 0
    assert "Zylberstein" not in json.dumps(content)


def test_a_reason_may_not_name_the_person():
    for text in ("because Zylberstein asked", "ANNA is right", "zylberstein's wish"):
        with pytest.raises(ConfigurationError, match="holds no names"):
            refuse_name_in(text, opened())
    refuse_name_in("the charge was withdrawn in an other case", opened())
    for name, text in (("Wu Do", "Do Wu's file is long"), ("李明", "the file of 李明 is long")):
        with pytest.raises(ConfigurationError, match="holds no names"):
            refuse_name_in(text, opened(name=name))
    refuse_name_in("they do so late", opened(name="Wu Do"))


def found(*, running=False):
    listing = Listing("r-1", "2026-01-01T00:00:00.000Z", "2026-01-08T00:00:00.000Z", "ab" * 32)
    erased = "unknown" if running else "2026-01-08T00:00:00.000Z"
    version = ListVersion("list-1", 1)
    deployment = "11111111-1111-7111-8111-111111111111"
    return Found(deployment, version, listing, erased, "", "whole name", running)


def head(kind="search", language="en"):
    return Head(OFFICE, "q-0123456789abcdef", kind, TODAY, TODAY, language)


def test_the_letter_that_neither_confirms_nor_denies_is_not_given_what_was_found():
    assert list(inspect.signature(neither).parameters) == ["head"]
    assert set(Head.__dataclass_fields__) == {
        "office",
        "request",
        "kind",
        "received_on",
        "today",
        "language",
    }
    code = inspect.getsource(letters.neither)
    assert "found" not in inspect.signature(neither).parameters
    assert "search(" not in code


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("kind", ["search", "delete", "correct"])
def test_every_letter_says_who_answers_and_where_to_complain(kind, language):
    text = neither(head(kind, language))
    words = ("A Service", "write to us", "a body", "neither confirm nor deny")
    if language == "fr":
        words = ("Un service", "écrivez", "un organisme", "ne confirmons ni ne nions")
    assert all(word in text for word in words)
    assert "q-0123456789abcdef" in text


def test_a_disclosure_of_what_has_ended_leaves_running_lists_unconfirmed():
    over, running = found(), found(running=True)
    texts = {
        disclosure(head(), Disclosure("ended", given, "answered", "-"))
        for given in ([over], [over, running])
    }
    (text,) = texts
    assert "r-1; 2026-01-01, 2026-01-08" in text
    assert "neither confirm nor deny" in text
    everything = disclosure(head(), Disclosure("everything", [over, running], "answered", "-"))
    assert everything.count("r-1") == 2
    assert "neither confirm nor deny" not in everything


def test_a_disclosure_can_say_that_nothing_was_found():
    assert "on none of our lists" in disclosure(
        head(), Disclosure("everything", [], "answered", "")
    )


def test_a_decision_is_told_with_its_reason():
    text = disclosure(
        head("delete"), Disclosure("everything", [], "refused", "the law asks for it")
    )
    assert "refused" in text
    assert "the law asks for it" in text


@pytest.fixture
def cases(tmp_path):
    identity = Identity()
    return Cases(tmp_path / "requests", Vault([identity.public], identity))


def test_a_request_lies_in_the_vault_and_its_ticket_names_nobody(cases, tmp_path):
    request = with_step(opened(), NOW_NS, "Clerk 4", "opened")
    cases.keep(request)
    assert cases.read(request.ticket.id) == request
    assert Cases(tmp_path / "requests").tickets() == [request.ticket]
    for path in (tmp_path / "requests").iterdir():
        content = path.read_bytes()
        assert b"Zylberstein" not in content
        assert b"1990-12-31" not in content


def test_the_size_of_a_request_does_not_tell_how_much_was_found(cases, tmp_path):
    small, large = opened(), opened()
    for number in range(20):
        large = with_step(large, NOW_NS, "Clerk 4", f"step {number}")
    cases.keep(small)
    cases.keep(large)
    # age itself adds some random bytes to each file.
    sizes = [path.stat().st_size for path in (tmp_path / "requests").glob("*.age")]
    assert all(16_384 < size < 16_384 + 700 for size in sizes)


def test_what_is_damaged_missing_or_swapped_is_one_sentence(cases, tmp_path):
    one, other = opened(), opened()
    cases.keep(one)
    cases.keep(other)
    whole = tmp_path / "requests" / f"{one.ticket.id}.age"
    ticket = whole.with_suffix(".json")
    content, plain = whole.read_bytes(), ticket.read_bytes()
    for at in range(0, len(content), 1201):
        whole.write_bytes(content[:at])
        with pytest.raises(StorageError):
            cases.read(one.ticket.id)
    whole.write_bytes((tmp_path / "requests" / f"{other.ticket.id}.age").read_bytes())
    with pytest.raises(StorageError, match="another request"):
        cases.read(one.ticket.id)
    whole.write_bytes(content)
    for damaged in (b"", plain[:-3], b"{}", b"\xff\xfe"):
        ticket.write_bytes(damaged)
        with pytest.raises(StorageError, match="damaged"):
            cases.tickets()
    ticket.write_bytes((tmp_path / "requests" / f"{other.ticket.id}.json").read_bytes())
    with pytest.raises(StorageError, match="another request"):
        cases.tickets()
    ticket.unlink()
    with pytest.raises(StorageError, match="interrupted"):
        cases.tickets()
    ticket.write_bytes(plain)
    whole.unlink()
    with pytest.raises(StorageError, match="is gone"):
        cases.tickets()


@pytest.mark.parametrize("name", ["q-1", "../../etc/passwd", "", "q-0123456789abcdef"])
def test_a_request_that_there_is_not_is_refused(cases, name):
    with pytest.raises(ConfigurationError, match="no request"):
        cases.read(name)


def test_closed_requests_are_erased_when_their_time_is_over_and_open_ones_never(cases, tmp_path):
    kept, old, fresh = opened(), opened(), opened()
    cases.keep(kept)
    cases.keep(closed(old, "answered", TODAY))
    cases.keep(closed(fresh, "answered", TODAY + timedelta(days=1)))
    assert cases.erase_closed_before(TODAY) == []
    assert cases.erase_closed_before(TODAY + timedelta(days=1)) == [old.ticket.id]
    left = {one.id for one in cases.tickets()}
    assert left == {kept.ticket.id, fresh.ticket.id}
    assert len(list((tmp_path / "requests").iterdir())) == 4


HELD = {"hold": 1, "alert": "a", "device": "d", "case": "2026-1", "by": "x", "reason": "y"}


def journal_of(tmp_path, *times_ns):
    journal = Journal(tmp_path)
    for at in times_ns:
        journal.write(at, "hold released", **HELD)
    return journal


def test_the_journal_is_one_chain_a_year_and_names_the_year_before(tmp_path):
    journal = journal_of(tmp_path, NOW_NS, NOW_NS, NOW_NS + 366 * DAY_NS)
    assert journal.years() == [2026, 2027]
    assert [line.event for line in journal.lines(2026)] == ["year", *["hold released"] * 2]
    content = (tmp_path / "journal-2026.jsonl").read_bytes().splitlines()
    before = journal.lines(2027)[0].details["before"]
    assert before == hashlib.sha256(content[-1]).hexdigest()


def test_any_edit_cut_insertion_or_reorder_of_the_journal_is_found(tmp_path):
    journal = journal_of(tmp_path, NOW_NS, NOW_NS + DAY_NS, NOW_NS + 2 * DAY_NS)
    path = tmp_path / "journal-2026.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(journal.lines(2026)) == 4
    for wrong in (
        [lines[0], lines[2], lines[1], lines[3]],
        [lines[0], lines[1], lines[3]],
        lines[:-1],
        lines[1:],
        [*lines, lines[-1]],
        [lines[0], lines[1].replace(b"2026-1", b"2026-2"), *lines[2:]],
        [*lines[:-1], lines[-1].replace(b"2026-1", b"2026-2")],
        [],
    ):
        path.write_bytes(b"".join(wrong))
        with pytest.raises(StorageError, match="changed"):
            journal.lines(2026)


def test_a_line_that_a_kill_left_unfinished_is_no_change(tmp_path):
    journal = journal_of(tmp_path, NOW_NS)
    path = tmp_path / "journal-2026.jsonl"
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(whole.splitlines()[-1][:40])
    assert len(journal.lines(2026)) == 2
    journal_of(tmp_path, NOW_NS + DAY_NS)
    assert [line.event for line in journal.lines(2026)][-2:] == ["line cut short", "hold released"]


def test_the_journal_has_no_room_for_anything_else(tmp_path):
    for event, details in (("noted", {}), ("hold released", HELD | {"name": "Anna"}), ("year", {})):
        with pytest.raises(ValueError, match="no event"):
            Journal(tmp_path).write(NOW_NS, event, **details)
    assert Journal(tmp_path).years() == []


def test_only_whole_years_of_the_journal_that_are_over_are_erased(tmp_path):
    journal = journal_of(tmp_path, *(NOW_NS + year * 365 * DAY_NS for year in range(3)))
    new_year_ns = 1_798_761_600 * 10**9  # 2027-01-01
    assert journal.erase_before(new_year_ns - 1) == []
    assert journal.erase_before(new_year_ns) == [2026]
    assert journal.years() == [2027, 2028]
    assert not list(tmp_path.glob("*2026*"))


def test_an_office_that_cannot_be_read_is_one_sentence(tmp_path):
    path = tmp_path / "office.toml"
    path.write_text('service_en = "A Service"\n')
    with pytest.raises(ConfigurationError, match="contact_fr"):
        read_office(path)
    path.write_text("\n".join(f'{k} = "some words"' for k in msgspec.structs.asdict(OFFICE)))
    assert read_office(path).contact_en == "some words"
