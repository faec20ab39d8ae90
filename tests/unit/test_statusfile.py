"""`status.json`: written whole, read back, and refused in a sentence when it is damaged."""

import os
import stat
import subprocess
import sys
import time

import msgspec
import pytest

from device.cli.status import _lines
from device.errors import StorageError
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.identifiers import utc_ns, utc_text
from device.protocol.status import Pace, StatusData
from device.statusfile import NAME, LocalStatus, read_status, write_status

NOW_NS = utc_ns("2026-11-22T08:00:10.000Z")
STATUS = StatusData(
    link="online",
    state="not comparing",
    reasons=["The camera has given no frame."],
    demonstration=True,
    models=[ModelHash("embedder", "omz-0095", "ab" * 32)],
    watchlist=ListVersion("0190a1b2-0000-7000-8000-000000000000", 3),
)


def local(process):
    return LocalStatus("2026-11-22T08:00:00.000Z", process, "frames arrive", "connected", STATUS)


@pytest.fixture
def dead_process():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def lines_of(status, process):
    at = utc_text(time.time_ns())
    return _lines(LocalStatus(at, process, "frames arrive", "connected", status))


def test_the_command_says_the_step_while_it_runs_and_not_after(dead_process):
    status = msgspec.structs.replace(STATUS, pace=Pace(2, 4, "Less is done."))
    said = "pace       step 2 of 4. Less is done."
    assert said in lines_of(status, os.getpid())
    assert said not in lines_of(status, dead_process)
    stopped = msgspec.structs.replace(status, state="stopped")
    assert not any(line.startswith("pace") for line in lines_of(stopped, os.getpid()))
    assert not any(line.startswith("pace") for line in lines_of(STATUS, os.getpid()))


def test_what_was_written_is_read_back(tmp_path):
    write_status(tmp_path, local(1))
    assert read_status(tmp_path) == local(1)


def test_a_new_status_replaces_the_old_and_leaves_nothing_beside_it(tmp_path):
    write_status(tmp_path, local(1))
    write_status(tmp_path, local(2))
    assert read_status(tmp_path).process == 2
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_every_user_of_the_device_may_read_the_status(tmp_path):
    write_status(tmp_path, local(1))
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o644


def test_it_runs_while_its_process_lives():
    assert local(os.getpid()).running(NOW_NS)


def test_it_does_not_run_when_its_process_has_ended(dead_process):
    assert not local(dead_process).running(NOW_NS)


def test_an_old_status_does_not_run_though_a_process_has_its_number():
    assert not local(os.getpid()).running(NOW_NS + 120_000_000_000)


def test_it_runs_when_its_process_belongs_to_another_user(monkeypatch):
    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr("device.statusfile.os.kill", forbidden)
    assert local(1).running(NOW_NS)


def test_no_status_yet_is_a_sentence_with_the_folder(tmp_path):
    with pytest.raises(StorageError, match="has not run here yet") as caught:
        read_status(tmp_path / "state")
    assert str(tmp_path / "state") in str(caught.value)


WHOLE = msgspec.json.encode(local(1))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WHOLE[: len(WHOLE) // 2],
        b"\xff\xfe" + WHOLE,
        b"null",
        WHOLE.replace(b'"process":1', b'"process":"1"'),
        WHOLE.replace(b'"process":1', b'"process":1,"score":0.9'),
        WHOLE.replace(b'"not comparing"', b'"asleep"'),
        WHOLE.replace(b"The camera", b"\xff\xff"),
    ],
)
def test_a_damaged_status_is_a_sentence_with_its_name(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(StorageError, match=r"cannot be read .*; restart the appliance") as caught:
        read_status(tmp_path)
    assert str(tmp_path / NAME) in str(caught.value)


@pytest.mark.parametrize("number", [b"0", b"-1", b"1" * 30])
def test_a_status_with_an_impossible_process_is_a_sentence(tmp_path, number):
    (tmp_path / NAME).write_bytes(WHOLE.replace(b'"process":1', b'"process":' + number))
    with pytest.raises(StorageError, match="cannot be read"):
        read_status(tmp_path)


def test_a_folder_in_the_place_of_the_status_is_a_sentence(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        read_status(tmp_path)


def test_a_status_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "state").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot be written"):
        write_status(tmp_path / "state", local(1))
