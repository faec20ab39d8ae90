"""The rights commands as a custodian and a rights officer give them, on a real workplace."""

import argparse
import json
import re
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import insert, select

from device.protocol.alert import ListVersion, ModelHash
from device.protocol.authorisation import Authorisation, Threshold, Window, encode_authorisation
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.manifest import Listing, Manifest
from device.protocol.watchlist import Reference
from tests.conftest import ROOT
from tools.desk.gateway.database import Database
from tools.desk.gateway.retention import erase_old
from tools.desk.gateway.tables import alerts, devices
from tools.desk.main import main
from tools.desk.rights import opening as opening_module
from tools.desk.rights.findings import manifests_of
from tools.desk.rights.journal import Journal
from tools.desk.rights.names import Subject
from tools.desk.watchlist import keepers as keepers_module
from tools.desk.watchlist import session as session_module
from tools.desk.watchlist.encryption import Identity
from tools.desk.watchlist.entry import Entry
from tools.desk.watchlist.folder import Deployment, Workplace
from tools.desk.watchlist.register import decode_templates
from tools.desk.watchlist.session import opened
from tools.desk.watchlist.vault import destroy

DAY_NS = 86_400 * 10**9
LISTED = ("--name", "Anna Maria Zylberstein", "--born", "1990-12-31")
NOBODY = ("--name", "Wilhelmina Overdijk", "--born", "1971-02-03")
BY = ("--by", "Rights Officer 3")
OFFICE = """
service_en = "A Police Service"
service_fr = "Un service de police"
contact_en = "Rights Officer, 1 Street, 555-0100"
contact_fr = "Agent des droits, 1 rue, 555-0100"
complaints_en = "the Commissioner"
complaints_fr = "le Commissaire"
"""


def today():
    return datetime.now(UTC).date()


def days(count):
    return str(today() + timedelta(days=count))


class Office:
    """A workplace with one keeper, and two people on the list of one running deployment."""

    def __init__(self, folder, monkeypatch=None):
        """monkeypatch: the identity is opened without its passphrase, which takes seconds."""
        self.folder = folder
        self.workplace = Workplace(folder / "workplace")
        self.secret = folder / "passphrase"
        self.secret.write_text("five words that never meet\n")
        self.secret.chmod(0o600)
        self.keeper = ("--keeper", str(folder / "k.key"))
        self.keeper += ("--keeper-passphrase-file", str(self.secret))
        self.place = ("--workplace", str(self.workplace.folder))
        if monkeypatch is None:
            create = ["watchlist", "keeper", "create", *self.place, "--name", "Custodian 1"]
            done = main([*create, "--out", str(folder / "k.key"), *self.keeper[2:]])
            assert done == 0
        else:
            identity = Identity()
            self.workplace.folder.mkdir()
            self.workplace.recipients.write_text(f"{identity.public}\n")
            for module in (session_module, opening_module):
                monkeypatch.setattr(module, "open_identity", lambda *_: identity)
            self.identity = identity
        (self.workplace.folder / "office.toml").write_text(OFFICE)
        assert main(["watchlist", "new", *self.place]) == 0
        (self.deployment,) = self.workplace.deployments()

    def session(self):
        return opened(
            argparse.Namespace(
                deployment=self.deployment.folder,
                keeper=self.folder / "k.key",
                keeper_passphrase_file=self.secret,
            )
        )

    def fill(self, now_ns):
        people = [
            entry("r-aaaaaaaaaaaa", "Anna Maria Zylberstein", date(1990, 12, 31)),
            entry("r-bbbbbbbbbbbb", "Robert Quarles", date(1985, 1, 2)),
        ]
        with self.session() as session:
            register = session.register
            for one in people:
                register = register.with_entry(one)
            session.keep(register)
            session.keep_templates([Reference(one.reference_id, [b"1234" * 8]) for one in people])
            draft = encode_authorisation(authorisation(self.deployment.id, now_ns))
            session.vault.write(self.deployment.authorisation, draft)
            manifest = Manifest(
                self.deployment.id,
                ListVersion(register.list_id, 1),
                "unknown",
                "unknown",
                "",
                "cd" * 32,
                [
                    Listing(one.reference_id, utc_text(now_ns), "unknown", "ab" * 32)
                    for one in people
                ],
            )
            manifests_of(self.workplace, session.vault).published(
                manifest,
                {one.reference_id: Subject(one.name, one.born_on.isoformat()) for one in people},
            )

    def end(self):
        """What `watchlist end` does: key, register and templates go, the manifest stays."""
        with self.session() as session:
            manifests = manifests_of(self.workplace, session.vault)
            manifests.ended(self.deployment.id, utc_text(time.time_ns()), "the window is over")
            for path in (
                self.deployment.key,
                self.deployment.templates,
                self.deployment.authorisation,
                self.deployment.register,
            ):
                destroy(path)

    def rights(self, action, *arguments):
        keeper = () if action == "list" else (*self.keeper, *BY)
        return main(["rights", action, *self.place, *keeper, *map(str, arguments)])

    def ask(self, capsys, action, *arguments, received=None):
        """Open a request; return its id and what was printed."""
        capsys.readouterr()
        asked = ("--received", received or days(0), "--checked-by", "Clerk 4")
        assert self.rights(action, *arguments, *asked) == 0
        said = capsys.readouterr().out
        return re.search(r"q-[0-9a-f]{16}", said)[0], said

    def close(self, request, letter, *arguments):
        reason = ("--reason", "decided after a hearing")
        return self.rights("close", "--request", request, *reason, "--letter", letter, *arguments)

    def events(self):
        return [line.event for line in Journal(self.workplace.folder).lines(today().year)]


def entry(reference, name, born_on):
    return Entry(
        reference_id=reference,
        name=name,
        born_on=born_on,
        source="booking photograph",
        held_by="A Police Service",
        captured_on=date(2024, 1, 1),
        exhibit="E-1",
        legal_basis="warrant 26-4711",
        attested_by="Sergeant 9",
        attested_on=date(2026, 1, 1),
        category="wanted on an arrest warrant",
        necessity="the person has not been found by other means",
        proportionality="one place, three days, a serious offence",
        offence_class="homicide",
        review_on=date(2099, 1, 1),
        expires_on=date(2099, 1, 2),
        added_at="2026-01-01T00:00:00.000Z",
    )


def authorisation(deployment, now_ns):
    return Authorisation(
        deployment=deployment,
        version=1,
        signed_at=utc_text(now_ns),
        objective="to find people who are wanted on a warrant",
        place="the north entrance",
        devices=["urn:passerby:s1:d1", "urn:passerby:s1:d2"],
        windows=[Window(utc_text(now_ns), utc_text(now_ns + DAY_NS))],
        legal_basis="order 1",
        impact_assessment="assessment 1",
        signage=None,
        threshold=Threshold("provisional", "t-1", 0.5, 0.5, 0.001, 1, None, "not evaluated yet."),
        models=[ModelHash("detector", "d", "ab" * 32), ModelHash("embedder", "e", "cd" * 32)],
        watchlist=ListVersion("list-1", 1),
        officer="Superintendent 1",
        custodian="Custodian 1",
        pilot_ends_at=utc_text(now_ns + 30 * DAY_NS),
        exit_evaluation="the board",
    )


@pytest.fixture
def office(tmp_path, monkeypatch):
    one = Office(tmp_path, monkeypatch)
    one.fill(time.time_ns())
    return one


def everything(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_search_finds_a_person_by_name_while_the_list_runs_and_after_it_is_erased(office, capsys):
    _, said = office.ask(
        capsys, "search", "--name", "zylberstein anna-maria", "--born", "1990-12-31"
    )
    assert "r-aaaaaaaaaaaa" in said
    assert "in a register now: r-aaaaaaaaaaaa" in said
    assert "r-bbbbbbbbbbbb" not in said
    office.end()
    request, said = office.ask(capsys, "search", *LISTED)
    assert "r-aaaaaaaaaaaa" in said
    assert "in a register now" not in said
    letter = office.folder / "letter.txt"
    assert office.close(request, letter, "--answer", "ended") == 0
    text = letter.read_text()
    assert f"r-aaaaaaaaaaaa; {today()}, {today()}" in text
    assert office.events().count("rights searched") == 2


def test_the_same_with_a_keeper_who_is_asked_for_the_passphrase(tmp_path, capsys):
    office = Office(tmp_path)
    office.fill(time.time_ns())
    _, said = office.ask(capsys, "search", *LISTED)
    assert "r-aaaaaaaaaaaa" in said


def test_a_reference_id_alone_opens_a_request(office, capsys):
    _, said = office.ask(capsys, "search", "--reference", "r-bbbbbbbbbbbb")
    assert "r-bbbbbbbbbbbb" in said
    assert "r-aaaaaaaaaaaa" not in said


def test_a_name_may_be_typed_at_a_terminal_instead_of_standing_on_the_command_line(
    office, capsys, monkeypatch
):
    answers = iter(LISTED[1::2])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    _, said = office.ask(capsys, "search")
    assert "r-aaaaaaaaaaaa" in said


def test_the_id_of_a_request_is_told_before_the_search_may_fail(office, capsys):
    (path,) = office.workplace.manifests.glob("*.manifest")
    path.write_bytes(b"")
    asked = ("--received", days(0), "--checked-by", "Clerk 4")
    assert office.rights("search", *LISTED, *asked) == 9
    told = re.search(r"q-[0-9a-f]{16}", capsys.readouterr().out)[0]
    assert (office.workplace.rights / "requests" / f"{told}.age").exists()


@pytest.mark.parametrize(
    ("by", "checked_by"),
    [
        ("Anna Zylberstein", "Clerk 4"),
        ("Clerk 4", "Zylberstein herself"),
        ("x", "Clerk 4"),
        ("", "Clerk 4"),
        ("x" * 300, "Clerk 4"),
        ("Clerk 4", "x" * 300),
    ],
)
def test_what_cannot_be_kept_or_names_the_person_opens_nothing(office, capsys, by, checked_by):
    asked = ("--received", days(0), "--checked-by", checked_by, "--by", by)
    before = office.events()
    assert office.rights("search", *LISTED, *asked) == 2
    assert "by" in capsys.readouterr().err
    assert not (office.workplace.rights / "requests").exists()
    assert office.events() == before


def test_whoever_decides_is_not_noted_by_the_name_of_the_person(office, capsys):
    request, _ = office.ask(capsys, "search", *LISTED)
    before = office.events()
    for action in ("extend", "close"):
        line = ("--request", request, "--reason", "the file is long", "--by", "A. Zylberstein")
        more = ("--letter", office.folder / "l") if action == "close" else ()
        assert office.rights(action, *line, *more) == 2
    assert office.events() == before


@pytest.mark.parametrize("reason", ["", "x" * 301, "two\x1b[2J lines"])
def test_a_reason_that_could_not_be_read_again_extends_nothing(office, capsys, reason):
    request, _ = office.ask(capsys, "search", *LISTED)
    assert office.rights("extend", "--request", request, "--reason", reason) == 2
    assert office.rights("search", "--request", request) == 0


def test_a_letter_about_what_has_ended_does_not_tell_of_a_list_that_was_replaced(office, capsys):
    """R38: of two versions of a running list the first is not "over" for whoever asks."""
    with office.session() as session:
        manifests = manifests_of(office.workplace, session.vault)
        (first,) = manifests.all()
        newer = replace(
            first, watchlist=ListVersion(first.watchlist.id, 2), sealed_sha256="ef" * 32
        )
        people = {"r-aaaaaaaaaaaa": Subject(LISTED[1], LISTED[3])}
        people["r-bbbbbbbbbbbb"] = Subject("Robert Quarles", "1985-01-02")
        manifests.published(newer, people)

    def letter(name, who):
        request, _ = office.ask(capsys, "search", *who)
        assert office.close(request, office.folder / name, "--answer", "ended") == 0
        return (office.folder / name).read_text().replace(request, "q-ID")

    assert letter("listed", LISTED) == letter("nobody", NOBODY)
    office.end()
    assert "r-aaaaaaaaaaaa" in letter("was", LISTED)


def stranger_in(office):
    stranger = Identity()
    with office.workplace.recipients.open("a") as file:
        file.write(f"{stranger.public}\n")
    return stranger


@pytest.mark.parametrize("ended", [False, True])
def test_a_stranger_in_recipients_gets_nothing_even_after_every_deployment_ended(
    office, capsys, ended
):
    request, _ = office.ask(capsys, "search", *LISTED)
    if ended:
        office.end()
    stranger_in(office)
    kept = everything(office.folder)
    asked = ("--received", days(0), "--checked-by", "Clerk 4")
    for line in (
        ("search", *NOBODY, *asked),
        ("search", "--request", request),
        ("extend", "--request", request, "--reason", "the file is long"),
        ("erase",),
    ):
        assert office.rights(*line) == 2
        assert "names other keepers" in capsys.readouterr().err
    assert office.close(request, office.folder / "l") == 2
    assert everything(office.folder) == kept


def test_a_stranger_who_came_before_the_first_request_gets_nothing(tmp_path, monkeypatch, capsys):
    office = Office(tmp_path, monkeypatch)
    stranger_in(office)
    asked = ("--received", days(0), "--checked-by", "Clerk 4")
    assert office.rights("search", *LISTED, *asked) == 2
    assert "names other keepers" in capsys.readouterr().err
    assert not office.workplace.rights_key.exists()
    assert not (office.workplace.rights / "requests").exists()


def test_a_keeper_is_admitted_to_the_requests_after_every_deployment_ended(
    office, capsys, monkeypatch
):
    request, _ = office.ask(capsys, "search", *LISTED)
    office.end()
    second = stranger_in(office)
    monkeypatch.setattr(keepers_module, "open_identity", lambda *_: office.identity)
    admit = ["watchlist", "keeper", "admit", *office.keeper]
    assert main([*admit, "--deployment", str(office.deployment.folder)]) == 9
    assert "--workplace" in capsys.readouterr().err
    assert main([*admit, *office.place]) == 0
    assert second.public in capsys.readouterr().out
    monkeypatch.setattr(opening_module, "open_identity", lambda *_: second)
    assert office.rights("search", "--request", request) == 0
    assert "r-aaaaaaaaaaaa" in capsys.readouterr().out
    assert office.close(request, office.folder / "l") == 0


def test_a_search_can_be_limited_to_dates(office, capsys):
    _, said = office.ask(capsys, "search", *LISTED, "--until", days(-1))
    assert "on a list" not in said
    _, said = office.ask(capsys, "search", *LISTED, "--from", days(0), "--until", days(0))
    assert "r-aaaaaaaaaaaa" in said


@pytest.mark.parametrize("kind", ["search", "delete", "correct"])
def test_the_letter_is_the_same_byte_for_byte_for_who_is_listed_was_listed_and_never_was(
    office, capsys, kind
):
    """R38: two workplaces of the same history could not be told apart by their letters."""
    wrong = ("--wrong", "the name is another") if kind == "correct" else ()
    decision = () if kind == "search" else ("--decision", "granted")

    def letter(name, who):
        request, _ = office.ask(capsys, kind, *who, *wrong)
        path = office.folder / name
        assert office.close(request, path, *decision) == 0
        printed = capsys.readouterr().err
        assert "q-" not in printed
        return path.read_text().replace(request, "q-ID"), path.stat()

    listed, listed_stat = letter("listed", LISTED)
    nobody, nobody_stat = letter("nobody", NOBODY)
    office.end()
    was, was_stat = letter("was", LISTED)
    assert listed == nobody == was
    assert "neither confirm nor deny" in listed
    assert listed_stat.st_size == nobody_stat.st_size == was_stat.st_size
    assert listed_stat.st_mode == nobody_stat.st_mode


def test_the_tickets_of_who_is_listed_and_who_is_not_differ_in_nothing_but_the_id(office, capsys):
    tickets = []
    for who in (LISTED, NOBODY):
        request, _ = office.ask(capsys, "search", *who)
        folder = office.workplace.rights / "requests"
        tickets.append((folder / f"{request}.json").read_text().replace(request, "q-ID"))
        assert sorted(p.suffix for p in folder.glob(f"{request}.*")) == [".age", ".json"]
    assert tickets[0] == tickets[1]


def test_every_search_is_made_for_every_letter_that_tells_nothing_too(office, capsys):
    office.end()
    (path,) = office.workplace.manifests.glob("*.manifest")
    request, _ = office.ask(capsys, "search", *NOBODY)
    path.write_bytes(path.read_bytes()[:-1])
    capsys.readouterr()
    assert office.close(request, office.folder / "letter.txt") == 9
    assert "cut, altered" in capsys.readouterr().err
    assert not (office.folder / "letter.txt").exists()


def test_a_request_outlives_a_search_that_fails(office, capsys):
    """The deadline runs whatever is damaged."""
    (path,) = office.workplace.manifests.glob("*.manifest")
    path.write_bytes(b"")
    asked = ("--received", days(-31), "--checked-by", "Clerk 4")
    assert office.rights("search", *LISTED, *asked) == 9
    assert office.rights("list") == 1


def test_a_name_never_leaves_the_vault(office, capsys):
    request, _ = office.ask(capsys, "search", *LISTED)
    office.close(request, office.folder / "letter.txt", "--answer", "everything")
    delete, _ = office.ask(capsys, "delete", *LISTED)
    office.rights("list", "--report", office.folder / "report.json")
    kept = everything(office.folder).lower()
    for word in (b"zylberstein", b"1990-12-31", b"overdijk"):
        assert word not in kept
    assert delete.encode() in kept


def test_a_deletion_suspends_at_once_and_says_which_orders_to_give(office, capsys):
    request, said = office.ask(capsys, "delete", *LISTED)
    with office.session() as session:
        assert session.register.entry("r-aaaaaaaaaaaa").suspended_on == today()
        assert session.register.entry("r-bbbbbbbbbbbb").suspended_on is None
        assert session.register.sealed is None
    for device in ("s1/d1", "s1/d2"):
        assert (
            f"passerby-desk order revoke --device {device} --reference r-aaaaaaaaaaaa "
            "--reason 'request of the person concerned' --valid-for 7d"
        ) in said
    assert "rights suspended" in office.events()
    answer = ("--decision", "granted", "--answer", "everything")
    assert office.close(request, office.folder / "l", *answer) == 0
    assert f"r-aaaaaaaaaaaa; {today()}, {today()}" in (office.folder / "l").read_text()
    with office.session() as session:
        assert [one.reference_id for one in session.register.entries] == ["r-bbbbbbbbbbbb"]
        kept = decode_templates(session.vault.read(session.deployment.templates))
        assert [one.reference_id for one in kept] == ["r-bbbbbbbbbbbb"]
    assert office.events()[-2:] == ["rights removed", "rights closed"]
    _, said = office.ask(capsys, "search", *LISTED)
    assert "r-aaaaaaaaaaaa" in said, "the manifest still answers"


@pytest.mark.parametrize("decision", ["refused", "granted"])
def test_a_correction_suspends_and_nothing_suspended_comes_back_by_itself(office, capsys, decision):
    request, said = office.ask(capsys, "correct", *LISTED, "--wrong", "the warrant was lifted")
    assert "suspended: r-aaaaaaaaaaaa" in said
    assert office.close(request, office.folder / "l", "--decision", decision) == 0
    assert "added anew" in " ".join(capsys.readouterr().out.split())
    with office.session() as session:
        assert session.register.entry("r-aaaaaaaaaaaa").suspended


def test_a_deletion_of_who_is_not_listed_suspends_nobody(office, capsys):
    _, said = office.ask(capsys, "delete", *NOBODY)
    assert "suspended" not in said
    with office.session() as session:
        assert not any(one.suspended for one in session.register.entries)


def test_two_words_of_a_name_suspend_and_disclose_only_when_an_officer_says_so(office, capsys):
    half = ("--name", "Anna Zylberstein", "--born", "1990-12-31")
    request, said = office.ask(capsys, "delete", *half)
    assert "--same-person: r-aaaaaaaaaaaa" in " ".join(said.split())
    with office.session() as session:
        assert not session.register.entry("r-aaaaaaaaaaaa").suspended
    same = ("--same-person", "r-aaaaaaaaaaaa")
    assert office.rights("delete", "--request", request, "--same-person", "r-bbbbbbbbbbbb") == 2
    assert office.rights("delete", "--request", request, *same) == 0
    with office.session() as session:
        assert session.register.entry("r-aaaaaaaaaaaa").suspended
    search, _ = office.ask(capsys, "search", *half)
    letters = [office.folder / name for name in ("one", "two")]
    assert office.close(search, letters[0], "--answer", "everything") == 0
    assert "r-aaaaaaaaaaaa" not in letters[0].read_text()
    search, _ = office.ask(capsys, "search", *half)
    assert office.close(search, letters[1], "--answer", "everything", *same) == 0
    assert "r-aaaaaaaaaaaa" in letters[1].read_text()


@pytest.mark.parametrize("decision", ["granted", "partly granted"])
def test_a_deletion_that_an_officer_is_sure_of_only_at_the_end_deletes(office, capsys, decision):
    half = ("--name", "Anna Zylberstein", "--born", "1990-12-31")
    request, said = office.ask(capsys, "delete", *half)
    assert "suspended:" not in said
    same = ("--same-person", "r-aaaaaaaaaaaa")
    assert office.close(request, office.folder / "l", "--decision", decision, *same) == 0
    assert "removed from registers: r-aaaaaaaaaaaa" in capsys.readouterr().out
    with office.session() as session:
        assert [one.reference_id for one in session.register.entries] == ["r-bbbbbbbbbbbb"]
        kept = decode_templates(session.vault.read(session.deployment.templates))
        assert [one.reference_id for one in kept] == ["r-bbbbbbbbbbbb"]
    assert office.events()[-3:] == ["rights suspended", "rights removed", "rights closed"]


def test_a_deletion_is_not_granted_when_it_deletes_nothing_that_agrees(office, capsys):
    half = ("--name", "Anna Zylberstein", "--born", "1990-12-31")
    request, _ = office.ask(capsys, "delete", *half)
    letter = office.folder / "l"
    assert office.close(request, letter, "--decision", "granted") == 2
    assert "Nothing would be deleted" in capsys.readouterr().err
    assert not letter.exists()
    assert office.close(request, letter, "--decision", "refused") == 0


def test_a_deletion_that_was_killed_before_its_letter_is_finished(office, capsys, monkeypatch):
    half = ("--name", "Anna Zylberstein", "--born", "1990-12-31")
    request, _ = office.ask(capsys, "delete", *half)
    same = ("--decision", "granted", "--same-person", "r-aaaaaaaaaaaa")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tools.desk.rights.manifests.Manifests.revoked", killed)
        assert office.close(request, office.folder / "l", *same) == 130
    assert office.close(request, office.folder / "l", *same[:2]) == 0
    search, _ = office.ask(capsys, "search", *LISTED)
    assert office.close(search, office.folder / "s", "--answer", "everything") == 0
    assert f"r-aaaaaaaaaaaa; {today()}, {today()}" in (office.folder / "s").read_text()


def test_nothing_is_decided_when_the_letter_cannot_be_written(office, capsys):
    request, _ = office.ask(capsys, "delete", *LISTED)
    there = office.folder / "there.txt"
    there.write_text("mine")
    assert office.close(request, there, "--decision", "granted") == 9
    (office.workplace.folder / "office.toml").unlink()
    assert office.close(request, office.folder / "new.txt", "--decision", "granted") == 2
    assert there.read_text() == "mine"
    with office.session() as session:
        assert len(session.register.entries) == 2
    assert office.rights("list") == 0
    assert "open, 30 days left" in " ".join(capsys.readouterr().out.split())


def test_overdue_requests_come_first_and_the_list_fails(office, capsys):
    late, _ = office.ask(capsys, "search", *NOBODY, received=days(-31))
    due, _ = office.ask(capsys, "delete", *LISTED, received=days(-30))
    capsys.readouterr()
    report = office.folder / "report.json"
    assert office.rights("list", "--report", report) == 1
    said = capsys.readouterr().out
    assert said.index(late) < said.index(due)
    assert "OVERDUE by 1 day" in said
    assert "2 requests, 1 overdue" in said
    content = json.loads(report.read_text())
    assert (content["open"], content["overdue"]) == (2, 1)
    assert [one["id"] for one in content["requests"]] == [late, due]
    assert office.close(late, office.folder / "letter.txt") == 0
    assert office.rights("list") == 0


def test_a_deadline_is_extended_once_with_a_reason(office, capsys):
    request, _ = office.ask(capsys, "search", *LISTED, received=days(-20))
    extend = ("extend", "--request", request, "--reason")
    assert office.rights(*extend, "because Zylberstein's file is long") == 2
    assert office.rights(*extend, "the file is long") == 0
    assert days(40) in capsys.readouterr().out
    assert office.rights(*extend, "the file is long") == 2
    assert office.events().count("rights extended") == 1


def test_the_journal_is_checked_and_an_edit_is_found(office, capsys):
    request, _ = office.ask(capsys, "search", *LISTED)
    check = ["rights", "journal", *office.place]
    assert main(check) == 0
    assert "5 entries, whole" in capsys.readouterr().out
    (path,) = office.workplace.folder.glob("journal-*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"Rights Officer 3", b"Rights Officer 4", 1))
    assert main(check) == 9
    assert "was changed" in capsys.readouterr().err
    assert request


def test_a_workplace_with_a_shorter_deadline_answers_sooner(office, capsys):
    text = (ROOT / "firmware_config/retention.toml").read_text()
    own = office.workplace.folder / "retention.toml"
    own.write_text(text.replace('answer = "30 days"', 'answer = "10 days"'))
    _, said = office.ask(capsys, "search", *LISTED)
    assert f"to be answered by {days(10)}" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("--name", "Anna Zylberstein"),
        ("--born", "1990-12-31"),
        (*LISTED, "--reference", "r-aaaaaaaaaaaa"),
        (),
    ],
)
def test_what_does_not_open_a_request_is_one_sentence(office, capsys, arguments):
    asked = ("--received", days(0), "--checked-by", "Clerk 4")
    assert office.rights("search", *arguments, *asked) == 2
    assert "passerby-desk: " in capsys.readouterr().err
    assert not (office.workplace.rights / "requests").exists()


def test_a_register_that_was_lost_stops_the_answer(office, capsys):
    office.deployment.register.unlink()
    asked = ("--received", days(0), "--checked-by", "Clerk 4")
    assert office.rights("search", *NOBODY, *asked) == 9
    assert "is gone though the deployment has not ended" in capsys.readouterr().err


def test_an_index_that_is_put_back_hides_no_manifest(office, capsys):
    """R27: each file is one of ours; that there was a newer one is what the journal knows."""
    folder = office.workplace.manifests
    index, first = folder / "index.json", set(folder.glob("*.manifest"))
    old = index.read_bytes()
    with office.session() as session:
        manifests = manifests_of(office.workplace, session.vault)
        (one,) = manifests.all()
        newer = replace(one, watchlist=ListVersion(one.watchlist.id, 2), sealed_sha256="ef" * 32)
        people = {each.reference_id: Subject("Anna", "1990-12-31") for each in one.listings}
        manifests.published(newer, people)
    whole = index.read_bytes()
    (added,) = set(folder.glob("*.manifest")) - first
    content = added.read_bytes()
    asked = ("--received", days(0), "--checked-by", "Clerk 4")
    index.write_bytes(old)
    added.unlink()
    assert office.rights("search", *LISTED, *asked) == 9
    assert "is not the newest" in capsys.readouterr().err
    for path in folder.iterdir():
        path.unlink()
    assert office.rights("search", *LISTED, *asked) == 9
    assert "is not the newest" in capsys.readouterr().err
    assert added.write_bytes(content)
    assert index.write_bytes(whole)
    (path,) = first
    assert office.rights("search", *LISTED, *asked) == 9
    assert f"{path.name} is gone" in capsys.readouterr().err


def test_an_index_whose_line_in_the_journal_a_kill_prevented_is_read(office, capsys, monkeypatch):
    with office.session() as session, monkeypatch.context() as patched:
        manifests = manifests_of(office.workplace, session.vault)
        (one,) = manifests.all()
        patched.setattr("tools.desk.rights.witness.Witness.note", lambda *_: 1 / 0)
        newer = replace(one, watchlist=ListVersion(one.watchlist.id, 2), sealed_sha256="ef" * 32)
        people = {each.reference_id: Subject("Anna", "1990-12-31") for each in one.listings}
        with pytest.raises(ZeroDivisionError):
            manifests.published(newer, people)
    _, said = office.ask(capsys, "search", *LISTED)
    assert "r-aaaaaaaaaaaa" in said


def test_a_rights_key_that_was_lost_stops_the_answer_and_is_not_made_anew(office, capsys):
    office.workplace.rights_key.unlink()
    asked = ("--received", days(0), "--checked-by", "Clerk 4")
    assert office.rights("search", *LISTED, *asked) == 9
    assert "rights.key.age is gone" in capsys.readouterr().err
    assert not office.workplace.rights_key.exists()


@pytest.mark.parametrize("left", ["deployment.key.age", ".lock", ".register.age.x1y2z3"])
def test_a_deployment_that_never_began_stops_nothing(office, capsys, left):
    begun = Deployment(office.workplace.folder / uuid7(time.time_ns()))
    begun.folder.mkdir()
    begun.key.write_bytes(b"x")
    (begun.folder / left).write_bytes(b"x")
    office.ask(capsys, "search", *NOBODY)


def test_what_the_schedule_says_is_over_is_erased(office, capsys, monkeypatch):
    office.end()
    request, _ = office.ask(capsys, "search", *LISTED)
    assert office.close(request, office.folder / "letter.txt") == 0
    assert office.rights("erase") == 0
    assert "erased: 0 requests, 0 manifests, 0 years" in capsys.readouterr().out
    later = time.time_ns() + 731 * DAY_NS
    monkeypatch.setattr(time, "time_ns", lambda: later)
    assert office.rights("erase") == 0
    assert "erased: 1 requests, 1 manifests, 0 years" in capsys.readouterr().out
    assert not list(office.workplace.manifests.glob("*.manifest"))
    assert not list((office.workplace.rights / "requests").iterdir())
    much_later = later + 800 * DAY_NS
    monkeypatch.setattr(time, "time_ns", lambda: much_later)
    assert office.rights("erase") == 0
    assert "1 years of the journal" in capsys.readouterr().out


def test_an_alert_is_held_listed_released_and_then_erased(tmp_path, capsys, monkeypatch):
    (tmp_path / "desk.toml").write_text("[desk]\n")
    alert = "00000000-0000-7000-8000-000000000001"
    database = Database(f"sqlite:///{tmp_path / 'desk.db'}")
    now_ns = time.time_ns()
    with database.writing() as connection:
        source = {"source": "urn:passerby:s1:d1"}
        connection.execute(insert(devices).values(**source, public_keys="-", added_at="-"))
        row = {"id": alert, "kind": "alert", "digest": "ab" * 32, "delayed": False}
        row |= {"received_at": utc_text(now_ns), "event": "a face", **source}
        connection.execute(insert(alerts).values(row))

    def hold(action, *arguments):
        place = () if action == "list" else ("--workplace", str(tmp_path))
        return main(["hold", action, "--config", str(tmp_path / "desk.toml"), *place, *arguments])

    def content():
        with database.reading() as connection:
            return connection.execute(select(alerts.c.event)).scalar()

    terms = ("--alert", alert, "--approver", "Inspector 7", "--until", days(30))
    assert hold("add", *terms, "--case", "none") == 2
    assert hold("add", *terms[:4], "--until", days(400), "--case", "2026-17") == 2
    assert "180 days at most" in capsys.readouterr().err
    assert hold("add", *terms, "--case", "2026-17") == 0
    assert f"is kept until {days(31)}T00:00:00.000Z, for case 2026-17" in capsys.readouterr().out
    assert erase_old(database, now_ns + 5 * DAY_NS, 24.0, []) == 0
    assert hold("list") == 0
    said = capsys.readouterr().out
    assert alert in said
    assert "in force" in said
    assert hold("release", "--hold", "1", "--by", "Inspector 7", "--reason", " ") == 2
    assert hold("release", "--hold", "1", "--by", "Inspector 7", "--reason", "case closed") == 0
    assert content() == "a face"
    assert erase_old(database, now_ns + 5 * DAY_NS, 24.0, []) == 1
    assert content() is None
    hold("list")
    assert "released, erased" in " ".join(capsys.readouterr().out.split())
    lines = Journal(tmp_path).lines(today().year)
    assert [line.event for line in lines] == ["year", "hold added", "hold released"]
    assert lines[1].details["case"] == "2026-17"
    assert lines[1].details["approver"] == "Inspector 7"
    database.close()
