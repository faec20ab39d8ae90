"""`passerby-desk root …` and `watchlist sign | publish | refresh | copy`, as people type them."""

import argparse
import hashlib
import sys
import time
from contextlib import contextmanager, nullcontext
from types import ModuleType, SimpleNamespace

import pytest

from device.errors import ConfigurationError, StorageError
from tests.unit.test_repository import DAY_NS, bundle, taken
from tools.console import guarded
from tools.desk.main import main
from tools.desk.repository import Repository, keyfile, root_files
from tools.desk.repository.arguments import add_publishing, duration_s
from tools.desk.repository.benchmark import measure

HOLDERS = {
    "root1": "Chief 1",
    "root2": "Chief 2",
    "root3": "Chief 3",
    "officer": "Authorising officer 7",
    "custodian": "Custodian 9",
    "publishing": "Desk 4",
}


class Desk:
    """A desk's folder, in which commands are typed."""

    def __init__(self, folder):
        self.folder = folder
        self.words = folder / "words"
        self.words.write_text("five words that rarely meet")
        self.words.chmod(0o600)
        for name, holder in HOLDERS.items():
            role = name.rstrip("123")
            options = ("--role", role, "--holder", holder, "--name", name, "--out", folder / "k")
            assert self.type("signing-key", "create", *options, *self.secret) == 0

    @property
    def secret(self):
        return ("--passphrase-file", self.words)

    def key(self, name):
        return ("--key", self.folder / f"k/{name}.pem", *self.secret)

    def pub(self, name):
        return self.folder / f"k/{name}.pub"

    def type(self, *words):
        return main([str(word) for word in words])

    def watchlist(self, *words):
        """Call `watchlist …`, of which only this room's half is needed here."""
        parser = argparse.ArgumentParser()
        add_publishing(parser.add_subparsers(required=True))
        options = parser.parse_args(
            [str(word) for word in (*words, "--deployment", self.folder / "d")]
        )
        return guarded("passerby-desk", lambda: options.call(options))

    def make_root(self):
        people = [("--root-key", *(self.pub(f"root{n}") for n in (1, 2, 3)))]
        people += [(f"--{role}", self.pub(role)) for role in ("officer", "custodian", "publishing")]
        words = [word for pair in people for word in pair]
        assert self.type("root", "create", *words, "--out", self.folder / "root") == 0
        self.sign_root("root1")
        self.sign_root("root3")

    def sign_root(self, name):
        words = ("root", "sign", "--root", self.folder / "root", "--yes")
        assert self.type(*words, *self.key(name)) == 0

    def stage(self, word):
        self.repository.stage(bundle(word), time.time_ns() + 9 * DAY_NS, time.time_ns())
        self.publication.word = word

    def taken(self):
        root = (self.folder / "root/1.root.json").read_bytes()
        return taken(self.folder / "d/bundle", root, self.folder / "cache")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setattr(keyfile, "SCRYPT_P", 1)
    made = Desk(tmp_path)
    made.make_root()
    (tmp_path / "d").mkdir()
    made.repository = Repository.create(tmp_path / "d/bundle", root_files(tmp_path / "root"))
    room = made.publication = ModuleType("publication")
    room.published = []
    room.summary = lambda folder: [f"Summary of {folder.name}, {room.word.decode()}"]
    room.digests = lambda folder: {
        name: hashlib.sha256(content).hexdigest() for name, content in bundle(room.word).items()
    }
    room.follow = lambda folder, options: room.published.append((folder, options.config))

    @contextmanager
    def publishing(options):
        yield SimpleNamespace(follow=lambda: room.follow(options.deployment, options))

    room.publishing = publishing
    room.steady = nullcontext
    for name in ("publication", "summary"):
        monkeypatch.setitem(sys.modules, f"tools.desk.watchlist.{name}", room)
    made.stage(b"first")
    return made


def test_a_list_is_signed_by_two_published_refreshed_and_copied(desk, capsys, tmp_path):
    capsys.readouterr()
    assert desk.watchlist("sign", *desk.key("officer"), "--yes") == 0
    shown = capsys.readouterr().out
    assert "Summary of d, first" in shown
    assert "Missing: Custodian 9 (custodian)" in shown
    assert desk.watchlist("sign", *desk.key("custodian"), "--yes") == 0
    assert "Signed by Authorising officer 7 and Custodian 9" in capsys.readouterr().out
    assert desk.watchlist("publish", *desk.key("publishing"), "--fresh-for", "2d") == 0
    assert desk.publication.published == [(tmp_path / "d", None)]
    assert desk.taken() == bundle(b"first")
    assert desk.watchlist("refresh", *desk.key("publishing")) == 0
    assert desk.watchlist("copy", "--to", tmp_path / "stick") == 0
    root = (tmp_path / "root/root.json").read_bytes()
    assert taken(tmp_path / "stick", root, tmp_path / "cache2") == bundle(b"first")


def test_with_one_signature_publish_fails_and_nobody_is_told(desk, capsys):
    desk.watchlist("sign", *desk.key("officer"), "--yes")
    assert desk.watchlist("publish", *desk.key("publishing")) == ConfigurationError.exit_code
    assert "missing: Custodian 9" in capsys.readouterr().err
    assert desk.publication.published == []


def test_what_followed_publishing_and_failed_is_done_again_with_it(desk, capsys):
    for name in ("officer", "custodian"):
        desk.watchlist("sign", *desk.key(name), "--yes")
    works = desk.publication.follow

    def fails(folder, options):
        raise StorageError("The database cannot be used.")

    desk.publication.follow = fails
    assert desk.watchlist("publish", *desk.key("publishing")) == StorageError.exit_code
    desk.publication.follow = works
    assert desk.watchlist("publish", *desk.key("publishing")) == 0
    assert len(desk.publication.published) == 1
    assert desk.taken() == bundle(b"first")
    assert desk.watchlist("publish", *desk.key("publishing")) == ConfigurationError.exit_code
    assert "Nothing is staged" in capsys.readouterr().err


def test_a_summary_of_something_else_is_not_signed(desk, capsys):
    desk.publication.word = b"other"
    code = desk.watchlist("sign", *desk.key("officer"), "--yes")
    assert code == ConfigurationError.exit_code
    assert "not what the summary speaks of" in capsys.readouterr().err
    assert desk.repository.signed_by() == []


def test_signing_waits_for_a_yes(desk, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert desk.watchlist("sign", *desk.key("officer")) == ConfigurationError.exit_code
    assert "repeat it with --yes" in capsys.readouterr().err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "no")
    assert desk.watchlist("sign", *desk.key("officer")) == ConfigurationError.exit_code
    assert desk.repository.signed_by() == []
    monkeypatch.setattr("builtins.input", lambda question: "yes")
    assert desk.watchlist("sign", *desk.key("officer")) == 0
    assert desk.repository.signed_by() == ["Authorising officer 7"]


def test_what_is_exchanged_between_reading_and_yes_is_not_signed(desk, capsys, monkeypatch):
    def exchanged(question):
        desk.stage(b"other")
        return "yes"

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", exchanged)
    assert desk.watchlist("sign", *desk.key("officer")) == ConfigurationError.exit_code
    assert "Something else was staged" in capsys.readouterr().err
    assert desk.repository.signed_by() == []


@pytest.mark.parametrize("name", ["root1", "publishing"])
def test_other_keys_are_refused_before_a_passphrase_is_asked(desk, capsys, name):
    desk.words.unlink()
    assert desk.watchlist("sign", *desk.key(name), "--yes") == ConfigurationError.exit_code
    assert "may not sign a watchlist" in capsys.readouterr().err


def test_a_folder_that_is_no_deployment_is_one_sentence(desk, capsys):
    (desk.folder / "d/bundle").rename(desk.folder / "elsewhere")
    for words in (("sign", *desk.key("officer")), ("copy", "--to", desk.folder / "s")):
        assert desk.watchlist(*words) == ConfigurationError.exit_code
        assert "no repository" in capsys.readouterr().err


def test_a_lost_officer_is_replaced_with_the_root_holders_consent(desk, capsys):
    for name in ("officer", "custodian"):
        desk.watchlist("sign", *desk.key(name), "--yes")
    desk.watchlist("publish", *desk.key("publishing"))
    options = ("--role", "officer", "--holder", HOLDERS["officer"], "--name", "officer2")
    desk.type("signing-key", "create", *options, "--out", desk.folder / "k", *desk.secret)
    root = ("--root", desk.folder / "root")
    assert desk.type("root", "rotate", *root, "--officer", desk.pub("officer2")) == 0
    desk.sign_root("root2")
    desk.sign_root("root3")
    assert desk.type("root", "adopt", *root, "--deployment", desk.folder / "d") == 0
    desk.stage(b"second")
    assert desk.watchlist("sign", *desk.key("officer"), "--yes") == ConfigurationError.exit_code
    for name in ("officer2", "custodian"):
        assert desk.watchlist("sign", *desk.key(name), "--yes") == 0
    assert desk.watchlist("publish", *desk.key("publishing")) == 0
    assert desk.taken() == bundle(b"second")
    assert desk.type("root", "show", *root) == 0
    assert "root 2, until" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "7", "7w", "0d", "367d", "-1d", "1e3d", "٣d"])
def test_a_duration_that_is_none_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="no duration"):
        duration_s(text)


def test_durations_are_minutes_hours_and_days():
    assert [duration_s(text) for text in ("90m", "12h", "366d")] == [5400, 43_200, 31_622_400]


def test_the_benchmark_goes_through_every_step(tmp_path):
    taken = measure(tmp_path, b"x" * 26_000)
    assert list(taken)[1:] == [
        *("stage", "sign as officer", "sign as custodian", "publish", "verify"),
        "copy and read back",
    ]
    assert (tmp_path / "stick/metadata/timestamp.json").is_file()
