"""`passerby update`: one summary or one sentence, and a line in the audit log."""

import json
import os
import pwd
import time

import pytest

from device.cli.main import main
from device.errors import StorageError
from tests.simulators import repository
from tests.simulators.repository import DAY_NS, Repository, an_authorisation, contents

CONFIGURATION = """
[device]
site = "site-1"
id = "{device}"
state_directory = "state"

[camera]
kind = "picamera2"

[watchlist]
root = "{root}"
"""


@pytest.fixture
def now(monkeypatch):
    """The command has the machine's own clock, so here the machine's clock shows NOW."""
    monkeypatch.setattr(time, "time_ns", lambda: repository.NOW_NS)


@pytest.fixture
def desk(tmp_path, now):
    desk = Repository(tmp_path / "desk")
    (tmp_path / "root.json").write_bytes(desk.pinned)
    configure(tmp_path)
    return desk


def configure(folder, device="device-1", root="root.json"):
    (folder / "device.toml").write_text(CONFIGURATION.format(device=device, root=root))


def update(folder, *arguments):
    return main(["update", "--config", str(folder / "device.toml"), *map(str, arguments)])


def log(folder):
    lines = (folder / "state/audit.jsonl").read_bytes().splitlines()
    return [json.loads(line) for line in lines]


def events(folder):
    return [line["event"] for line in log(folder)]


def test_a_stick_is_installed_with_a_summary_that_says_no_objective(desk, tmp_path, capsys):
    assert update(tmp_path, "--from", desk.folder) == 0
    out, err = capsys.readouterr()
    assert "installed   bundle 1, root 1" in out
    assert "until 2031-05-13T12:00:00.000Z" in out
    assert "list-1, version 1" in out
    assert "silent" in out
    assert "omz-0095" in out
    assert an_authorisation().objective not in out
    assert err == ""
    assert events(tmp_path) == ["bundle installed"]
    text = (tmp_path / "state/audit.jsonl").read_text()
    assert an_authorisation().deployment in text


def test_the_same_stick_again_is_quietly_fine(desk, tmp_path, capsys):
    assert update(tmp_path, "--from", desk.folder) == 0
    first = capsys.readouterr().out
    assert update(tmp_path, "--from", desk.folder) == 0
    assert capsys.readouterr().out == first


def test_an_archive_is_installed(desk, tmp_path, capsys):
    from device.bundles import pack  # noqa: PLC0415

    (tmp_path / "bundle.tar").write_bytes(pack(desk.folder))
    assert update(tmp_path, "--archive", tmp_path / "bundle.tar") == 0
    assert "bundle 1" in capsys.readouterr().out


def test_a_refusal_is_one_sentence_and_one_line_in_the_log(desk, tmp_path, capsys):
    desk.publish()
    desk.save("targets", by=desk.signers["targets"][:1])
    assert update(tmp_path, "--from", desk.folder) == 11
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "only one of the two signatures" in err
    assert events(tmp_path) == ["bundle refused"]
    assert "only one of the two" in (tmp_path / "state/audit.jsonl").read_text()


def test_an_expired_stick_is_refused_by_this_machines_clock(desk, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: repository.NOW_NS + 8 * DAY_NS)
    assert update(tmp_path, "--from", desk.folder) == 11
    assert "expired on 2031-05-13T12:00:00Z" in capsys.readouterr().err


def test_a_stick_for_another_device_is_refused(desk, tmp_path, capsys):
    configure(tmp_path, device="device-2")
    assert update(tmp_path, "--from", desk.folder) == 11
    assert "not for this device" in capsys.readouterr().err


def test_a_device_without_a_root_of_trust_takes_nothing(desk, tmp_path, capsys):
    configure(tmp_path, root="")
    assert update(tmp_path, "--from", desk.folder) == 2
    assert "watchlist.root" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("option", ["--from", "--archive"])
def test_what_is_not_there_is_named_and_nothing_is_written(desk, tmp_path, capsys, option):
    assert update(tmp_path, option, tmp_path / "nothing") == 2
    assert "nothing" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_an_installation_that_cannot_be_logged_says_so(desk, tmp_path, capsys):
    (tmp_path / "state/audit.jsonl").mkdir(parents=True)
    assert update(tmp_path, "--from", desk.folder) == 9
    assert "not in the log" in capsys.readouterr().err


def test_the_objective_and_people_stay_out_of_the_log(desk, tmp_path):
    authorisation = an_authorisation(version=2)
    desk.publish(contents(authorisation))
    update(tmp_path, "--from", desk.folder)
    text = (tmp_path / "state/audit.jsonl").read_text()
    for secret in (authorisation.objective, authorisation.officer, authorisation.place):
        assert secret not in text


def test_exactly_one_source_is_asked_for(desk, tmp_path):
    for arguments in ([], ["--from", desk.folder, "--archive", "x"]):
        with pytest.raises(SystemExit):
            update(tmp_path, *arguments)


# --- who may ---


def test_another_user_than_the_services_is_refused_before_anything_is_written(
    desk, tmp_path, capsys, monkeypatch
):
    state = tmp_path / "state"
    state.mkdir()
    owner = state.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert update(tmp_path, "--from", desk.folder) == StorageError.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert f"`sudo -u {pwd.getpwuid(owner).pw_name} passerby update …`" in err
    assert err.count("\n") == 1
    assert list(state.iterdir()) == []


def test_the_services_own_user_may(desk, tmp_path):
    (tmp_path / "state").mkdir()
    assert update(tmp_path, "--from", desk.folder) == 0
