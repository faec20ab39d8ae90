"""The life of a list at the desk, by its commands: made, refused, sealed, signed, published, ended.

People who do not exist stand for those on the list; the models are the built-in ones.
"""

import contextlib
import csv
import functools
import hashlib
import io
import json
import re
import shutil
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from device.opencv import cv2
from device.protocol.authorisation import decode_authorisation
from device.protocol.bundle import decode_local_keys
from device.protocol.identifiers import utc_text
from device.protocol.keys import PrivateKeys, encode_keys
from device.protocol.sealed import open_list
from device.protocol.unlocking import unwrap_key
from device.vision import Catalogue, default_directory
from tests.conftest import ROOT
from tests.privacy.test_static import _names, _speaks_http
from tests.unit.test_watchlist_rules import NECESSITY, PROPORTIONALITY
from tools.desk.gateway.configuration import read_desk_configuration
from tools.desk.gateway.database import Database
from tools.desk.gateway.orderbook import Orders
from tools.desk.gateway.tables import devices
from tools.desk.main import main
from tools.desk.watchlist import session
from tools.desk.watchlist.encryption import Identity
from tools.desk.watchlist.folder import Workplace
from tools.desk.watchlist.keepers import open_identity
from tools.desk.watchlist.session import Session
from tools.desk.watchlist.sheet import COLUMNS
from tools.desk.watchlist.vault import Vault
from tools.lab.people import Person, View, render

MODELS = ["--detector", "passerby-detector-640x480", "--embedder", "passerby-embedder"]
NAMES = ["Ottilie Fennimore-Quist", "Bartholomew Uxbridge", "Perpetua Ravensworth"]
SEEDS = [71_001, 71_002, 71_003]
PEOPLE = dict(zip(NAMES, SEEDS, strict=True))
OWN_WORDS = {
    NAMES[0]: "Her brother said in court that she sleeps at a different address every night.",
    NAMES[1]: "He left the halfway house through a window and was seen twice near this stadium.",
    NAMES[2]: "Three summonses came back unopened, and the bail supervisor lost contact in May.",
}


def today():
    return datetime.now(UTC).date()


def photograph(seed, path, view=None):
    cv2.imwrite(str(path), render(Person.from_seed(seed), view or View.frontal(seed), 400).image)
    return path


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number, seed in enumerate(SEEDS):
        photograph(seed, folder / f"p{number}.png")
    photograph(SEEDS[0], folder / "again.png", View.frontal(5))
    return folder


@pytest.fixture(scope="module")
def agency(tmp_path_factory):
    """Keys of an agency: a keeper, six signing keys and a root that two have signed."""
    folder = tmp_path_factory.mktemp("agency")
    secret = folder / "passphrase"
    secret.write_text("heron lantern orbit maple")
    secret.chmod(0o600)
    keys = folder / "keys"
    made = {f"root{n}": ("root", f"Chief {n}, badge 300{n}") for n in (1, 2, 3)}
    made |= {
        "officer": ("officer", "Inspector, badge 1042"),
        "custodian": ("custodian", "Custodian, badge 2208"),
        "publishing": ("publishing", "Gateway desk 1"),
    }
    with_secret = ["--passphrase-file", str(secret)]
    for name, (role, holder) in made.items():
        line = ["signing-key", "create", "--role", role, "--holder", holder, "--name", name]
        assert main([*line, "--out", str(keys), *with_secret]) == 0
    public = {name: str(keys / f"{name}.pub") for name in made}
    root = folder / "root"
    line = ["root", "create", "--out", str(root), "--root-key"]
    line += [public[f"root{n}"] for n in (1, 2, 3)]
    for role in ("officer", "custodian", "publishing"):
        line += [f"--{role}", public[role]]
    assert main(line) == 0
    for name in ("root1", "root2"):
        sign = ["root", "sign", "--root", str(root), "--key", str(keys / f"{name}.pem"), "--yes"]
        assert main([*sign, *with_secret]) == 0
    return folder


class Desk:
    """One workplace with one deployment, worked by its commands."""

    def __init__(self, folder, agency):
        self.folder, self.agency = folder, agency
        self.secret = agency / "passphrase"
        self.keeper = folder / "keeper.age"
        self.workplace = folder / "w"

    @classmethod
    def begin(cls, folder, agency):
        """Make a keeper and an empty deployment."""
        desk = cls(folder, agency)
        desk.run(
            *("watchlist", "keeper", "create", "--name", "Custodian 2208"),
            *("--workplace", desk.workplace, "--out", desk.keeper),
            *("--keeper-passphrase-file", desk.secret),
        )
        desk.run("watchlist", "new", "--workplace", desk.workplace)
        return desk

    def copied(self, folder):
        """Return a copy of everything, in another folder."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Desk(folder, self.agency)

    @property
    def deployment(self):
        (made,) = Workplace(self.workplace).deployments()
        return made

    def run(self, *line, expected=0):
        """Run a command; return what it said, on both channels."""
        channel = io.StringIO()
        with contextlib.redirect_stdout(channel), contextlib.redirect_stderr(channel):
            code = main([str(part) for part in line])
        said = channel.getvalue()
        assert code == expected, said
        return said

    def watchlist(self, action, *line, expected=0):
        """Run a command of the keeper's."""
        opened = ["--deployment", self.deployment.folder, "--keeper", self.keeper]
        opened += ["--keeper-passphrase-file", self.secret]
        return self.run("watchlist", action, *opened, *line, expected=expected)

    def add(self, name, photos, expected=0, **other):
        line = []
        for field, value in fields(name, **other).items():
            line += [f"--{field.replace('_', '-')}", value]
        return self.watchlist("add", *line, "--photo", *photos, *MODELS, expected=expected)

    def authorise(self, *line, expected=0, **other):
        path = self.folder / "plan.toml"
        path.write_text(plan(**other), "utf-8")
        line = line or ("--provisional",)
        return self.watchlist("authorise", "--file", path, *line, expected=expected)

    def seal(self, *line, expected=0):
        root = ["--root", self.agency / "root"]
        return self.watchlist("seal", *root, *line, expected=expected)

    def sign(self, name, expected=0):
        key = ["--key", self.agency / f"keys/{name}.pem", "--passphrase-file", self.secret]
        line = ["watchlist", "sign", "--deployment", self.deployment.folder, *key, "--yes"]
        return self.run(*line, expected=expected)

    def publish(self, *line, expected=0):
        key = ["--key", self.agency / "keys/publishing.pem", "--passphrase-file", self.secret]
        return self.watchlist("publish", *key, *line, expected=expected)

    def opened(self):
        return Session(self.deployment, open_identity(self.keeper, self.secret), time.time_ns())

    def references(self):
        return [entry.reference_id for entry in self.opened().register.entries]

    def staged(self, name):
        (path,) = self.deployment.repository.glob(f"staged/*{name}")
        return path.read_bytes()


@pytest.fixture(scope="module", autouse=True)
def _one_passphrase_is_derived_once():
    """Derive the keeper's key from the passphrase once: it is meant to take a second each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "open_identity", functools.cache(open_identity))
        yield


@pytest.fixture(scope="module")
def first_desk(tmp_path_factory, agency):
    return Desk.begin(tmp_path_factory.mktemp("desk"), agency)


@pytest.fixture(scope="module")
def first_list(tmp_path_factory, first_desk, photographs):
    made = first_desk.copied(tmp_path_factory.mktemp("listed"))
    for number, name in enumerate(NAMES):
        made.add(name, [photographs / f"p{number}.png"])
    return made


@pytest.fixture(scope="module")
def first_seal(tmp_path_factory, first_list):
    made = first_list.copied(tmp_path_factory.mktemp("sealed"))
    made.authorise()
    made.seal()
    return made


@pytest.fixture
def desk(tmp_path, first_desk):
    """A desk with an empty deployment."""
    return first_desk.copied(tmp_path)


@pytest.fixture
def listed(tmp_path, first_list):
    """A desk with three people on its list."""
    return first_list.copied(tmp_path)


@pytest.fixture
def sealed(tmp_path, first_seal):
    """A desk whose list waits for two signatures."""
    return first_seal.copied(tmp_path)


def fields(name, **other):
    usual = {
        "name": name,
        "born_on": "1988-05-17",
        "source": "booking photograph",
        "held_by": "Harbour Police Service",
        "captured_on": "2021-09-03",
        "exhibit": f"BK-{PEOPLE.get(name, 7)}",
        "legal_basis": "Warrant 26-1189 of the Court of Justice",
        "attested_by": "Records custodian, badge 2208",
        "attested_on": today().isoformat(),
        "category": "wanted on an arrest warrant",
        "necessity": f"{OWN_WORDS.get(name, name)} {NECESSITY}",
        "proportionality": f"{PROPORTIONALITY} {OWN_WORDS.get(name, name)}",
        "offence_class": "robbery",
        "review_on": (today() + timedelta(days=14)).isoformat(),
        "expires_on": (today() + timedelta(days=60)).isoformat(),
        "disposition": "none yet",
    }
    return usual | other


def plan(**other):
    now = datetime.now(UTC).replace(microsecond=0)
    values = {
        "objective": '"Find people who are wanted on an arrest warrant"',
        "place": '"North entrance of the arena"',
        "devices": '["s-7f3a/d-01", "s-7f3a/d-02"]',
        "legal_basis": '"Operational order 2026-014"',
        "impact_assessment": '"PIA 2026-002"',
        "officer": '"Inspector, badge 1042"',
        "custodian": '"Custodian, badge 2208"',
        "pilot_ends_at": (now + timedelta(days=90)).isoformat(),
        "exit_evaluation": '"Audit office reports to the board"',
        "detector": '"passerby-detector-640x480"',
        "embedder": '"passerby-embedder"',
        "begins_at": (now + timedelta(hours=1)).isoformat(),
        "ends_at": (now + timedelta(hours=6)).isoformat(),
        "attested_at": (now - timedelta(hours=1)).isoformat(),
    } | other
    tables = {"begins_at", "ends_at", "attested_at"}
    lines = [f"{name} = {value}" for name, value in values.items() if name not in tables]
    lines += ["[[windows]]", f"begins_at = {values['begins_at']}", f"ends_at = {values['ends_at']}"]
    if values["attested_at"]:
        lines += ["[signage]", 'attested_by = "Sergeant, badge 1177"']
        lines += [f"attested_at = {values['attested_at']}"]
    return "\n".join(lines)


def everything_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def traces(content):
    """What of the people on the list can be read in some bytes."""
    wanted = [part for name in NAMES for part in (name, name.split()[-1])]
    wanted += ["1988-05-17", "Harbour Police", "Warrant 26-1189", "halfway house"]
    return [text for text in wanted if text.encode() in content]


# One person at a time.


def test_nobody_is_entered_with_a_fault_and_every_fault_is_named(desk, photographs):
    minor = (today() - timedelta(days=17 * 365)).isoformat()
    said = desk.add(
        NAMES[0],
        [photographs / "p0.png"],
        expected=6,
        born_on=minor,
        captured_on=today().isoformat(),
        legal_basis="",
        category="other",
        offence_class="shoplifting",
        disposition="stayed",
    )
    for rule in ("R1", "R3", "R8", "R9", "R10"):
        assert rule in said
    assert desk.references() == []


def test_a_poor_photograph_says_what_failed_and_by_how_much(desk, tmp_path):
    blurred = render(Person.from_seed(SEEDS[0]), View.frontal(SEEDS[0]), 400).image
    small, dark = tmp_path / "small.png", tmp_path / "dark.png"
    cv2.imwrite(str(small), cv2.resize(blurred, (48, 48)))
    cv2.imwrite(str(dark), (blurred * 0.05).astype("uint8"))
    broken = tmp_path / "broken.png"
    broken.write_bytes(small.read_bytes()[:200])
    said = desk.add(NAMES[0], [small, dark, broken], expected=6)
    for number in (1, 2, 3):
        assert f"photograph {number}:" in said
    assert "(R12)" in said
    assert re.search(r"\d", said.partition("photograph 1:")[2])
    assert desk.references() == []


def test_a_photograph_of_two_who_are_on_one_list_is_refused(listed, photographs):
    said = listed.add(
        "Somebody Else",
        [photographs / "again.png"],
        expected=6,
        born_on="1990-01-01",
        necessity=NECESSITY.replace("warrant", "court order") + " The hall has one gate only.",
        proportionality=PROPORTIONALITY + " Nobody is stopped without a second look by people.",
    )
    assert "same person as r-" in said
    assert "another entry's" not in said
    assert len(listed.references()) == 3


def test_the_same_photograph_and_the_same_person_are_refused(listed, photographs):
    said = listed.add(NAMES[0], [photographs / "p1.png"], expected=6)
    assert "listed already as r-" in said
    assert "was enrolled for r-" in said


@pytest.mark.parametrize("photo", ["https://faces.invalid/a.png", "www.faces.invalid/a.png"])
def test_no_photograph_is_taken_from_a_network(desk, photo):
    assert "R2" in desk.add(NAMES[0], [photo], expected=2)


def test_the_room_has_no_http_client():
    for path in sorted((ROOT / "tools/desk/watchlist").glob("*.py")):
        assert not _speaks_http(path), path
        assert not {"socket", "ssl", "ftplib"} & _names(path), path


def test_no_photograph_is_kept_and_no_name_lies_open(listed):
    for path in everything_below(listed.workplace):
        content = path.read_bytes()
        assert traces(content) == [], path
        assert b"\x89PNG" not in content, path
    held = listed.opened()
    # Identities and biometrics lie apart, each encrypted (R56).
    templates = held.vault.read(listed.deployment.templates)
    assert traces(templates) == []
    assert traces(held.vault.read(listed.deployment.register)) != []


def test_photographs_of_another_embedder_are_refused(listed, photographs, models):
    assert models is not None
    line = []
    for field, value in fields("Somebody Else", born_on="1990-01-01").items():
        line += [f"--{field.replace('_', '-')}", value]
    line += ["--photo", photographs / "p0.png"]
    said = listed.watchlist("add", *line, expected=6)
    assert "cannot be compared" in said


# Many at once.


def table(path, *rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_of(*changes):
    rows = [fields(name) | {"photographs": f"p{number}.png"} for number, name in enumerate(NAMES)]
    for number, change in changes:
        rows[number] |= change
    return rows


def test_an_import_enters_everybody_and_says_what_lies_about(desk, photographs, tmp_path):
    csv_file = table(tmp_path / "list.csv", *rows_of())
    report = tmp_path / "report.json"
    line = ["--folder", photographs, "--csv", csv_file, "--report", report, *MODELS]
    said = desk.watchlist("import", *line)
    read = json.loads(report.read_text())
    assert (read["entered"], read["refused"], read["files_left_over"]) == (3, 0, 1)
    assert [row["reference_id"] for row in read["rows"]] == desk.references()
    assert "1 files of the folder are named by no row" in said
    assert traces(report.read_bytes()) == []


def test_an_import_reports_every_row_with_every_reason(desk, photographs, tmp_path):
    csv_file = table(
        tmp_path / "list.csv",
        *rows_of(
            (1, {"source": "social media", "category": "witness", "photographs": "p9.png"}),
            (2, {"born_on": "2010-01-01", "legal_basis": "", "exhibit": "=HYPERLINK(1)"}),
        ),
    )
    report = tmp_path / "report.json"
    line = ["--folder", photographs, "--csv", csv_file, "--report", report, *MODELS]
    desk.watchlist("import", *line, expected=6)
    first, second, third = json.loads(report.read_text())["rows"]
    assert first["reasons"] == []
    for reason in ("R2", "R3", "R11", "is not in the folder"):
        assert reason in " ".join(second["reasons"])
    for reason in ("R10", "R1)", "formula"):
        assert reason in " ".join(third["reasons"])
    assert desk.references() == [first["reference_id"]]
    assert traces(report.read_bytes()) == []


def test_a_strict_import_is_all_or_nothing(desk, photographs, tmp_path):
    csv_file = table(tmp_path / "list.csv", *rows_of((2, {"offence_class": "trespass"})))
    line = ["--folder", photographs, "--csv", csv_file, "--strict", *MODELS]
    said = desk.watchlist("import", *line, expected=6)
    assert "nobody was entered" in said
    assert desk.references() == []


def test_an_import_finds_one_person_in_two_rows(desk, photographs, tmp_path):
    twin = fields(NAMES[1]) | {"photographs": "again.png"}
    csv_file = table(tmp_path / "list.csv", rows_of()[0], twin)
    report = tmp_path / "report.json"
    line = ["--folder", photographs, "--csv", csv_file, "--report", report, *MODELS]
    desk.watchlist("import", *line, expected=6)
    first, second = json.loads(report.read_text())["rows"]
    assert "same person as row 3" in " ".join(first["reasons"])
    assert "same person as row 2" in " ".join(second["reasons"])


def test_an_import_refuses_copied_rationales_and_shared_photographs(desk, photographs, tmp_path):
    copied = {"necessity": fields(NAMES[0])["necessity"], "photographs": "p0.png"}
    csv_file = table(tmp_path / "list.csv", *rows_of((1, copied)))
    report = tmp_path / "report.json"
    line = ["--folder", photographs, "--csv", csv_file, "--report", report, *MODELS]
    desk.watchlist("import", *line, expected=6)
    first, second, third = json.loads(report.read_text())["rows"]
    assert "R4" in " ".join(first["reasons"])
    assert "that of row 2 too" in " ".join(second["reasons"])
    assert third["reasons"] == []


def test_an_import_of_an_address_is_refused(desk, photographs, tmp_path):
    line = ["--folder", photographs, "--csv", "https://x.invalid/list.csv", *MODELS]
    assert "R2" in desk.watchlist("import", *line, expected=2)


# Sealing.


def test_nothing_is_sealed_that_nobody_authorised(listed):
    assert "R5" in listed.seal(expected=2)


def test_nothing_is_sealed_without_anybody(desk):
    desk.authorise()
    assert "the list is empty" in desk.seal(expected=6)


def test_a_list_with_a_review_past_is_not_sealed_until_it_is_reviewed(listed, monkeypatch):
    listed.authorise(
        begins_at=(datetime.now(UTC) + timedelta(days=20)).replace(microsecond=0).isoformat(),
        ends_at=(datetime.now(UTC) + timedelta(days=21)).replace(microsecond=0).isoformat(),
    )
    later = time.time_ns() + 15 * 86_400 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    said = listed.seal(expected=6)
    assert said.count("review_on is past") == 3
    until = (today() + timedelta(days=30)).isoformat()
    for reference in listed.references():
        line = ["--reference", reference, "--until", until, "--by", "Inspector 1042"]
        listed.watchlist("review", *line)
    assert "ready for two signatures" in listed.seal()


@pytest.mark.parametrize("until", ["2020-01-01", "2099-01-01", "soon"])
def test_a_review_lies_ahead_and_not_too_far(listed, until):
    reference = listed.references()[0]
    line = ["--reference", reference, "--until", until, "--by", "Inspector 1042"]
    expected = 2 if until == "soon" else 6
    listed.watchlist("review", *line, expected=expected)


def test_an_authorisation_is_refused_for_each_missing_condition(listed):
    now = datetime.now(UTC).replace(microsecond=0)
    for change, rule, code in (
        ({"custodian": '"inspector,  badge 1042"'}, "R5", 10),
        ({"custodian": '"Inspector badge 1042"'}, "R5", 10),
        ({"impact_assessment": '"n/a"'}, "R40", 2),
        ({"exit_evaluation": '"none"'}, "R54", 2),
        ({"pilot_ends_at": (now + timedelta(days=900)).isoformat()}, "R54", 10),
        ({"mode": '"alerting"'}, "R35", 10),
        ({"attested_at": (now + timedelta(hours=2)).isoformat()}, "R36", 2),
        ({"list_cap": 2}, "R12", 2),
    ):
        assert rule in listed.authorise(expected=code, **change)
    assert not listed.deployment.authorisation.exists()


def test_an_evaluation_allows_alerting_for_the_list_that_it_covers(listed):
    catalogue = Catalogue.read(default_directory())
    names = (("detector", MODELS[1]), ("embedder", MODELS[3]))
    entries = [catalogue.entry(name, role) for role, name in names]
    line = {"list_size": 3, "target_fpir": 0.001, "supported": True, "threshold": 0.5}
    line |= {"threshold_upper_bound": 0.6125, "words": "From 0.6125 it is shown with 95 %."}
    models = [{"role": e.role, "name": e.name, "sha256": e.sha256} for e in entries]
    content = {"models": models, "format": "passerby.threshold-statement.v1", "thresholds": [line]}
    file = listed.folder / "statement.json"
    file.write_text(json.dumps(content))
    listed.authorise("--evaluation", file, mode='"alerting"')
    listed.seal()
    signed = decode_authorisation(listed.staged("authorisation.json"))
    assert (signed.mode, signed.threshold.kind) == ("alerting", "evaluated")
    assert signed.threshold.floor == 0.6125
    assert signed.threshold.evaluation_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert b"threshold = 0.6125" in listed.staged("configuration.toml")
    # One more person, and the evaluation covers the list no longer (R29).
    fourth = photograph(71_004, listed.folder / "fourth.png")
    other = {
        "necessity": f"{NECESSITY} No fifth gate.",
        "proportionality": f"{PROPORTIONALITY} Ok.",
    }
    listed.add("Quentin Applewhite", [fourth], born_on="1979-02-03", **other)
    assert "R29" in listed.seal(expected=6)


def test_either_an_evaluation_or_provisional(listed):
    path = listed.folder / "plan.toml"
    path.write_text(plan())
    assert "--provisional" in listed.watchlist("authorise", "--file", path, expected=2)


def test_without_signage_it_is_sealed_and_everybody_is_told(listed):
    assert "R36" in listed.authorise(attested_at="")
    assert "R36" in listed.seal()
    assert "NOT ATTESTED" in listed.sign("officer")


def test_what_is_sealed_opens_with_the_deployment_key_and_nothing_else(sealed):
    held = sealed.opened()
    key = held.vault.key(sealed.deployment.key)
    signed = decode_authorisation(sealed.staged("authorisation.json"))
    named = {"watchlist": signed.watchlist, "deployment": signed.deployment}
    opened = open_list(sealed.staged("watchlist.sealed"), key, **named)
    assert sorted(e.reference_id for e in opened.header.entries) == sorted(sealed.references())
    until = {e.reference_id: (e.expires_at, e.review_at) for e in opened.header.entries}
    for entry in held.register.entries:
        assert until[entry.reference_id] == (
            f"{entry.expires_on}T00:00:00.000Z",
            f"{entry.review_on}T00:00:00.000Z",
        )
    opened.wipe()
    assert signed.mode == "silent"
    assert signed.threshold.kind == "provisional"
    assert signed.deployment == sealed.deployment.id


def test_a_local_device_gets_a_key_of_its_own_and_a_strange_one_none(listed, tmp_path):
    own = PrivateKeys.generate()
    public = tmp_path / "device.pub"
    public.write_bytes(encode_keys(own.public))
    listed.authorise()
    assert "not authorised" in listed.seal("--local-device", f"s-7f3a/d-77={public}", expected=2)
    listed.seal("--local-device", f"s-7f3a/d-01={public}")
    wrapped = decode_local_keys(listed.staged("local-keys.json")).wrapped
    assert set(wrapped) == {"urn:passerby:s-7f3a:d-01"}
    source = "urn:passerby:s-7f3a:d-01"
    key = unwrap_key(wrapped[source], own, source, listed.deployment.id)
    assert key == listed.opened().vault.key(listed.deployment.key)


def test_two_sign_and_see_what_they_sign(sealed):
    said = sealed.sign("officer")
    for text in (
        "arrest warrant",
        "North entrance",
        "3 of 2000",
        "robbery",
        "silent",
        "provisional",
    ):
        assert text in said
    assert traces(said.encode()) == []
    sealed.publish(expected=2)
    sealed.sign("custodian")
    assert "is published" in sealed.publish()


def test_signers_are_shown_the_files_that_they_sign(sealed):
    path = sealed.deployment.shown
    shown = json.loads(path.read_text())
    shown["digests"]["watchlist.sealed"] = "0" * 64
    path.write_text(json.dumps(shown))
    assert "another one than was sealed" in sealed.sign("officer", expected=9)
    path.write_text("{")
    sealed.sign("officer", expected=9)


def test_no_name_is_in_what_is_published(sealed):
    sealed.sign("officer")
    sealed.sign("custodian")
    sealed.publish()
    files = everything_below(sealed.deployment.repository)
    assert len(files) >= 8
    for path in files:
        assert traces(path.read_bytes()) == [], path
        assert traces(str(path).encode()) == []
    for path in everything_below(sealed.workplace):
        assert traces(path.read_bytes()) == [], path


# Disposition, revocation, end.


def test_a_disposition_suspends_at_once_and_says_what_to_send(sealed):
    reference = sealed.references()[0]
    line = ["--reference", reference, "--disposition", "acquitted", "--by", "Custodian 2208"]
    said = sealed.watchlist("disposition", *line)
    for device in ("s-7f3a/d-01", "s-7f3a/d-02"):
        assert f"order revoke --device {device} --reference {reference}" in said
    # What was sealed with it cannot be signed any more, and it is never sealed again.
    sealed.sign("officer", expected=2)
    assert f"{reference}: disposition is acquitted" in sealed.seal(expected=6)
    sealed.watchlist("disposition", *line[:3], "none yet", *line[4:])
    assert "was suspended" in sealed.seal(expected=6)
    until = (today() + timedelta(days=5)).isoformat()
    review = ["--reference", reference, "--until", until, "--by", "Inspector"]
    assert "R8" in sealed.watchlist("review", *review, expected=6)
    sealed.watchlist("revoke", "--reference", reference, "--reason", "acquitted")
    assert reference not in sealed.references()
    assert "references: 2" in sealed.seal()


def configured(desk):
    folder = desk.folder / "gateway"
    assert main(["keys", "create", "--out", str(folder)]) == 0
    config = folder / "desk.toml"
    config.write_text(
        f'[desk]\nkeys = "{folder}/desk.key"\ndatabase = "sqlite:///{folder}/desk.db"\n'
        '[broker]\nhost = "localhost"\nport = 1883\ntls = false\n[emit]\nto = ["stdout"]\n'
    )
    for device in ("d-01", "d-02"):
        public = folder / f"{device}.pub"
        public.write_bytes(encode_keys(PrivateKeys.generate().public))
        line = ["devices", "add", public, "--site", "s-7f3a", "--device", device]
        desk.run(*line, "--config", config)
    return config


def orders_of(desk, config):
    settings = read_desk_configuration(config)
    due = Orders(Database(settings.desk.database)).due("test", 60.0)
    return [(one.source, one.order.data.action, one.order.data.reference_id) for one in due]


def test_with_a_gateway_the_orders_are_given_to_every_device(sealed):
    config = configured(sealed)
    reference = sealed.references()[0]
    line = ["--reference", reference, "--disposition", "withdrawn", "--by", "Custodian 2208"]
    sealed.watchlist("disposition", *line, "--config", config)
    assert orders_of(sealed, config) == [
        ("urn:passerby:s-7f3a:d-01", "revoke", reference),
        ("urn:passerby:s-7f3a:d-02", "revoke", reference),
    ]


def test_a_suspension_stands_even_when_the_gateway_fails(sealed, tmp_path):
    reference = sealed.references()[0]
    line = ["--reference", reference, "--disposition", "quashed", "--by", "Custodian 2208"]
    missing = tmp_path / "none.toml"
    sealed.watchlist("disposition", *line, "--config", missing, expected=2)
    assert sealed.opened().register.entry(reference).suspended


def test_the_end_destroys_the_key_and_leaves_the_manifest(sealed):
    config = configured(sealed)
    sealed.sign("officer")
    sealed.sign("custodian")
    sealed.publish("--config", config)
    reference = sealed.references()[0]
    manifests = everything_below(sealed.workplace / "rights")
    assert manifests
    held = sealed.opened()
    key = held.vault.key(sealed.deployment.key)
    (ciphertext,) = sealed.deployment.repository.glob("targets/*watchlist.sealed")
    assert ciphertext.stat().st_size > 1000
    end = ["--reason", "the window is over", "--config", config]
    sealed.watchlist("end", *end, expected=2)
    assert sealed.deployment.key.exists()
    assert "the manifest stays" in sealed.watchlist("end", *end, "--yes")
    deployment = sealed.deployment
    gone = (deployment.key, deployment.register, deployment.templates, deployment.authorisation)
    assert not any(path.exists() for path in (*gone, ciphertext))
    assert deployment.has_ended
    kept = b"".join(path.read_bytes() for path in everything_below(sealed.workplace))
    assert traces(kept) == []
    assert key not in kept
    assert reference.encode() in kept
    assert [order[1] for order in orders_of(sealed, config)] == ["end", "end"]
    for action in ("show", "seal"):
        assert "has ended" in sealed.watchlist(action, expected=9)


def test_no_reason_and_no_record_names_somebody_on_the_list(sealed):
    """What is written there goes into manifests, orders and the terminal (R39, R56)."""
    reference = ["--reference", sealed.references()[0]]
    until = ["--until", (today() + timedelta(days=5)).isoformat()]
    for text in (NAMES[1], "UXBRIDGE was found", "the case of Perpetua is closed"):
        for action, line in (
            ("review", [*reference, *until, "--by", text]),
            ("disposition", [*reference, "--disposition", "acquitted", "--by", text]),
            ("revoke", [*reference, "--reason", text]),
            ("end", ["--reason", text, "--yes"]),
        ):
            said = sealed.watchlist(action, *line, expected=2)
            assert "names somebody on the list" in said, action
            assert traces(said.encode()) == []
    assert sealed.deployment.key.exists()
    assert len(sealed.references()) == 3
    assert not sealed.opened().register.entries[0].suspended


def test_a_list_of_another_embedder_than_was_authorised_is_not_sealed(listed):
    """Its templates were made by one model, and the threshold is of another (R34)."""
    listed.authorise()
    opened = listed.opened()
    other = msgspec.structs.replace(opened.register.embedder, sha256="9" * 64)
    opened.keep(msgspec.structs.replace(opened.register, embedder=other))
    assert "R34" in listed.seal(expected=6)
    assert not list(listed.deployment.repository.glob("staged/*"))


def test_the_end_goes_on_where_it_was_killed(sealed):
    sealed.deployment.key.unlink()
    until = (today() + timedelta(days=5)).isoformat()
    line = ["--reference", sealed.references()[0], "--until", until, "--by", "Inspector"]
    assert "ending" in sealed.watchlist("review", *line, expected=9)
    assert "ending" in sealed.seal(expected=9)
    sealed.watchlist("end", "--reason", "over", "--yes")
    assert not sealed.deployment.register.exists()


def test_a_gateway_that_fails_holds_up_no_erasure(sealed):
    config = configured(sealed)
    sealed.run("devices", "revoke", "--site", "s-7f3a", "--device", "d-02", "--config", config)
    database = Database(read_desk_configuration(config).desk.database)
    with database.writing() as connection:
        connection.execute(devices.delete())
    end = ["--reason", "over", "--yes", "--config", config]
    said = sealed.watchlist("end", *end, expected=9)
    assert "still has to be told" in said
    assert "order end --device s-7f3a/d-01" in said
    assert not sealed.deployment.register.exists()


def test_a_stranger_with_the_folder_opens_nothing(sealed):
    stranger = Identity()
    for path in sorted(sealed.deployment.folder.glob("*.age")):
        with pytest.raises(Exception, match="not encrypted for this identity"):
            Vault([stranger.public], stranger).read(path)


def test_show_lists_references_and_names_only_when_asked(listed):
    said = listed.watchlist("show")
    assert all(reference in said for reference in listed.references())
    assert not any(name in said for name in NAMES)
    said = listed.watchlist("show", "--names")
    assert all(name.split()[0] in said for name in NAMES)


def test_a_second_version_follows_the_first(sealed):
    sealed.sign("officer")
    sealed.sign("custodian")
    sealed.publish()
    sealed.seal()
    signed = decode_authorisation(sealed.staged("authorisation.json"))
    assert (signed.version, signed.watchlist.version) == (2, 2)
    assert signed.signed_at <= utc_text(time.time_ns())
    sealed.sign("officer")
    sealed.sign("custodian")
    sealed.publish()
