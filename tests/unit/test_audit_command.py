"""`passerby audit`: verify, show, export, checkpoint, as a technician and an auditor use them."""

import hashlib
import json
import os
import pwd
import stat
from pathlib import Path

import msgspec
import pytest

from device.audit.ending import Ending, signed_ending
from device.audit.line import decode, encode, hash_of
from device.cli.main import main
from device.errors import StorageError
from device.identity import own_keys
from device.protocol.keys import encode_keys
from tests.unit.test_audit_verify import FOREIGN, NOON_NS, SECOND_NS, Log

CONFIG = """
[device]
site = "north"
id = "d1"
state_directory = "{state}"
demonstration = true

[camera]
kind = "stills"

[watchlist]
path = "list.bin"
"""


class Bench:
    """A device's state directory and its configuration, and what the command says of it."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self.state = folder / "state"
        self.capsys = capsys
        self.config = folder / "device.toml"
        self.config.write_text(CONFIG.format(state=self.state))
        keys = own_keys(self.state)
        self.key = folder / "device.pub"
        self.key.write_bytes(encode_keys(keys.public))
        self.log = Log(self.state, keys.signer).day()

    def run(self, action, *arguments, config=True):
        where = ("--config", str(self.config)) if config else ()
        code = main(["audit", action, *where, *map(str, arguments)])
        said = self.capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    def verify(self, path, *arguments):
        return self.run("verify", "--log", path, *arguments, config=False)


@pytest.fixture
def bench(tmp_path, capsys):
    return Bench(tmp_path, capsys)


def test_a_whole_log_is_said_to_be_whole_with_its_totals(bench):
    code, out, _ = bench.run("verify")
    assert code == 0
    assert "7 lines, 1 to 7" in out
    assert "Nothing is missing, added, changed or moved, and the counts add up." in out
    assert "starts               1" in out
    assert 'searches for "p": 0 files; 3 frames, 3 faces, 3 compared, 2 alerts' in out


def test_a_changed_log_is_said_to_be_changed_with_the_line_and_exit_1(bench):
    lines = bench.log.lines
    del lines[3]
    bench.log.lines = lines
    code, out, _ = bench.run("verify")
    assert code == 1
    assert "FOUND  line 4: Number 5 follows 3" in out
    assert "This log was changed, or does not add up." in out
    assert "add up.\nNothing" not in out


def test_the_report_is_there_as_json(bench):
    code, out, _ = bench.run("verify", "--json")
    report = json.loads(out)
    assert (code, report["ok"], report["signed"], report["lines"]) == (0, True, True, 7)
    assert report["totals"]["alerts"] == 2
    assert report["checkpoint"] == hashlib.sha256(bench.log.lines[-1]).hexdigest()


def test_a_copy_is_verified_with_the_devices_public_keys(bench, tmp_path):
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(bench.log.path.read_bytes())
    copy.with_suffix(".head").write_bytes(bench.log.head.read_bytes())
    assert bench.verify(copy, "--key", bench.key)[0] == 0
    other = tmp_path / "other.pub"
    other.write_bytes(encode_keys(own_keys(tmp_path / "other").public))
    assert bench.verify(copy, "--key", other)[0] == 1


def test_a_copy_without_a_key_is_refused_unless_that_is_asked_for(bench):
    code, _, err = bench.verify(bench.log.path)
    assert code == 2
    assert "--log needs --key" in err
    code, out, _ = bench.verify(bench.log.path, "--unsigned")
    assert code == 0
    assert "No key was given: anybody could have made all of it." in out


def test_an_anchor_that_does_not_occur_is_found(bench):
    _, held, _ = bench.run("checkpoint")
    assert bench.run("verify", "--anchor", held.strip())[0] == 0
    code, out, _ = bench.run("verify", "--anchor", "a" * 64)
    assert code == 1
    assert "was replaced by an older or another one" in out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--anchor", "abc"), 2, "64 hexadecimal digits"),
        (("--key", "none.pub"), 2, "none.pub"),
    ],
)
def test_arguments_that_cannot_be_used_are_said_in_a_sentence(bench, arguments, code, text):
    said = bench.run("verify", *arguments)
    assert said[0] == code
    assert text in said[2]


def test_a_log_that_is_not_there_is_said_in_a_sentence(bench, tmp_path):
    code, _, err = bench.verify(tmp_path / "none.jsonl", "--key", bench.key)
    assert code == 9
    assert "does not exist" in err


def test_verifying_makes_no_identity(bench):
    (bench.state / "identity.key").unlink()
    code, _, err = bench.run("verify")
    assert code == 2
    assert "no keys yet" in err
    assert not (bench.state / "identity.key").exists()


def test_show_prints_the_newest_lines_for_people(bench):
    code, out, _ = bench.run("show", "--last", "3")
    assert code == 0
    first, second, _ = out.splitlines()
    assert "5  2027-01-15T08:00:04.000Z  searched" in first
    assert "purpose: p" in first
    assert second.endswith("  stop")


# --- Export ---------------------------------------------------------------------------------------


@pytest.fixture
def exported(bench, tmp_path):
    out = tmp_path / "for-the-auditor.jsonl"
    assert bench.run("export", "--out", out)[0] == 0
    return out


def test_an_export_holds_all_lines_and_notes_itself_in_the_log_first(bench, exported):
    lines = exported.read_bytes().splitlines()
    assert lines[:-1] == bench.log.lines
    assert [json.loads(line)["event"] for line in lines[-3:-1]] == ["export", "checkpoint"]
    assert json.loads(lines[-1])["kind"] == "passerby audit export 1"


def test_an_auditor_verifies_an_export_with_the_public_key_alone(bench, exported):
    code, out, _ = bench.verify(exported, "--key", bench.key)
    assert code == 0
    assert "9 lines, 1 to 9" in out


def test_only_its_owner_may_read_an_export(exported):
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600


def test_an_export_of_a_period_is_whole_lines_without_gaps(bench, tmp_path):
    out = tmp_path / "part.jsonl"
    period = ("--from", "2027-01-15T08:00:02Z", "--to", "2027-01-15T08:00:04Z")
    assert bench.run("export", "--out", out, *period)[0] == 0
    assert out.read_bytes().splitlines()[:-1] == bench.log.lines[2:4]
    code, text, _ = bench.verify(out, "--key", bench.key)
    assert code == 0
    assert "2 lines, 3 to 4" in text


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [*lines[:-2], lines[-1]],
        lambda lines: lines[:-1],
        lambda lines: [*lines[:3], *lines[4:]],
        lambda lines: [*lines, lines[0]],
        lambda lines: [lines[0].replace(b"08:00:01", b"08:00:00"), *lines[1:]],
        lambda lines: [*lines[:-1], lines[-1].replace(b'"first":1', b'"first":2')],
        lambda lines: [*lines[:-1], b'{"at":"2027', lines[-1]],
        lambda _: [],
    ],
    ids=["front", "end", "ending", "middle", "added", "edited", "ending edited", "torn", "empty"],
)
def test_a_changed_export_is_found(bench, exported, change):
    lines = change(exported.read_bytes().splitlines())
    exported.write_bytes(b"".join(line + b"\n" for line in lines))
    assert bench.verify(exported, "--key", bench.key)[0] == 1


def test_an_export_that_somebody_cut_and_ended_anew_is_found(bench, exported):
    *lines, last = exported.read_bytes().splitlines()
    ending = msgspec.structs.replace(
        decode(last, Ending), last=4, hash=hash_of(lines[3]), signature=None
    )
    for forged in (ending, signed_ending(ending, FOREIGN)):
        exported.write_bytes(b"\n".join([*lines[:4], encode(forged), b""]))
        code, out, _ = bench.verify(exported, "--key", bench.key)
        assert code == 1
        assert "The end of this export is not signed by this device." in out


def test_an_export_cannot_take_the_place_of_the_devices_log(bench, exported):
    bench.log.path.write_bytes(exported.read_bytes())
    assert bench.run("verify")[0] == 1


def test_an_export_never_replaces_a_file(bench, exported):
    before = exported.read_bytes()
    code, _, err = bench.run("export", "--out", exported)
    assert code == 9
    assert "never replaces a file" in err
    assert exported.read_bytes() == before


def test_an_export_that_cannot_be_written_leaves_nothing(bench, tmp_path, monkeypatch):
    out = tmp_path / "full.jsonl"
    real = os.fsync

    def full(handle):
        if Path(f"/proc/self/fd/{handle}").readlink() == out:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = bench.run("export", "--out", out)
    assert code == StorageError.exit_code
    assert "No space left on device" in err
    assert not out.exists()


@pytest.mark.parametrize("day", ["yesterday", "2027-13-01", "0"])
def test_a_time_that_is_none_is_said_in_a_sentence(bench, tmp_path, day):
    code, _, err = bench.run("export", "--out", tmp_path / "x", "--from", day)
    assert code == 2
    assert "--from must be a day or a time" in err


def test_a_period_without_lines_is_said_and_exports_nothing(bench, tmp_path):
    out = tmp_path / "x"
    code, _, err = bench.run("export", "--out", out, "--to", "2000-01-01")
    assert code == 9
    assert "no line of that period" in err
    assert not out.exists()


def test_an_unfinished_line_in_the_middle_is_exported_as_it_is(bench, tmp_path):
    with bench.log.path.open("ab") as file:
        file.write(bench.log.lines[0][:40])
    bench.log.now_ns = NOON_NS + 100 * SECOND_NS
    bench.log.write("start")
    bench.log.write("stop")
    out = tmp_path / "x"
    assert bench.run("export", "--out", out)[0] == 0
    assert bench.verify(out, "--key", bench.key)[0] == 0


# --- what others wrote, and who may write ---

FORGED = "a.png)\r\n\x1b[2K      1  2026-01-01T00:00:00.000Z  stop\u2028\u202e\x9b"


def test_a_files_name_forges_no_line_and_moves_no_cursor(bench):
    bench.log.write("search", purpose=FORGED, case="1", watchlist="l", file=FORGED)
    for arguments in (("show", "--last", 1), ("verify",)):
        _, out, _ = bench.run(*arguments)
        assert all(one.isprintable() for one in out.replace("\n", ""))
    _, out, _ = bench.run("show", "--last", 1)
    assert len(out.splitlines()) == 1
    assert r"a.png)\r\n\x1b[2K" in out
    assert r"\u2028\u202e\x9b" in out


@pytest.mark.parametrize("last", ["0", "-1", "1000001", "99999999999999999999"])
def test_a_number_of_lines_that_cannot_be_is_a_sentence(bench, last):
    code, out, err = bench.run("show", "--last", last)
    assert (code, out) == (2, "")
    assert "--last must be 1 to 1,000,000." in err


@pytest.mark.parametrize("action", ["export", "checkpoint"])
def test_another_user_than_the_services_writes_nothing_into_the_log(bench, monkeypatch, action):
    before = {path: path.read_bytes() for path in bench.state.iterdir()}
    owner = bench.state.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    out = ("--out", bench.folder / "x") if action == "export" else ()
    code, _, err = bench.run(action, *out)
    assert code == StorageError.exit_code
    assert f"sudo -u {pwd.getpwuid(owner).pw_name} passerby audit {action} …`" in err
    assert {path: path.read_bytes() for path in bench.state.iterdir()} == before


@pytest.mark.parametrize("arguments", [("show",), ("verify",)])
def test_another_user_may_read_the_log(bench, monkeypatch, arguments):
    monkeypatch.setattr(os, "geteuid", lambda: bench.state.stat().st_uid + 1)
    assert bench.run(*arguments)[0] == 0
