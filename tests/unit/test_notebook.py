"""The notebook notices that nothing can be written, tries again, and writes no more than needed."""

import json
import time

import msgspec
import pytest

from device.notebook import Notebook
from device.protocol.status import StatusData
from device.statusfile import NAME, read_status

COMPARING = StatusData(link="online", state="comparing")
STARTING = StatusData(link="online", state="starting")


class Clock:
    """A monotonic clock that stands until a test moves it."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def notebook(state, clock):
    return Notebook(state, clock)


def break_storage(state):
    """Put a file in the folder's place: nothing below it can be written, not even by root."""
    if state.exists():
        state.rename(state.with_name("away"))
    state.write_text("not a folder")


def mend_storage(state):
    state.unlink()


def events(state):
    lines = (state / "audit.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["event"] for line in lines]


def test_a_note_is_a_line_of_the_audit_log(notebook, state):
    notebook.note("start", watchlist="list-1")
    (line,) = (state / "audit.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["watchlist"] == "list-1"
    assert notebook.fault is None


def test_a_folder_that_cannot_be_written_is_a_fault_in_a_sentence(notebook, state):
    break_storage(state)
    notebook.note("start")
    assert str(state) in notebook.fault
    assert "nothing is compared without it" in notebook.fault


def test_a_status_that_cannot_be_written_is_a_fault_too(notebook, state):
    break_storage(state)
    notebook.show(COMPARING, "frames arrive", "connected")
    assert str(state / NAME) in notebook.fault


def test_the_fault_is_logged_once_not_at_every_attempt(notebook, state, clock, caplog):
    break_storage(state)
    notebook.note("start")
    for _ in range(3):
        clock.seconds += 60
        notebook.show(COMPARING, "frames arrive", "connected")
    assert len(caplog.records) == 1


def test_nothing_is_tried_again_before_it_is_due(notebook, state, clock):
    break_storage(state)
    notebook.note("start")
    mend_storage(state)
    clock.seconds += 4.9
    notebook.show(COMPARING, "frames arrive", "connected")
    assert notebook.fault is not None
    assert not state.exists()


def test_when_due_it_tries_again_and_says_that_it_works(notebook, state, clock):
    break_storage(state)
    notebook.note("start")
    mend_storage(state)
    clock.seconds += 5.0
    notebook.show(COMPARING, "frames arrive", "connected")
    assert notebook.fault is None
    assert events(state) == ["storage works again"]


def test_a_retry_that_fails_waits_again(notebook, state, clock):
    break_storage(state)
    notebook.note("start")
    clock.seconds += 5.0
    notebook.show(COMPARING, "frames arrive", "connected")
    assert notebook.fault is not None
    mend_storage(state)
    clock.seconds += 4.9
    notebook.show(COMPARING, "frames arrive", "connected")
    assert notebook.fault is not None
    clock.seconds += 0.1
    notebook.show(COMPARING, "frames arrive", "connected")
    assert notebook.fault is None


def test_the_fault_ends_only_when_both_files_can_be_written(notebook, state, clock):
    (state / NAME).mkdir(parents=True)
    notebook.show(COMPARING, "frames arrive", "connected")
    for _ in range(5):
        clock.seconds += 10
        notebook.show(COMPARING, "frames arrive", "connected")
        assert notebook.fault is not None
    assert (state / "audit.jsonl").read_text("utf-8") == ""
    (state / NAME).rmdir()
    clock.seconds += 10
    notebook.show(COMPARING, "frames arrive", "connected")
    assert notebook.fault is None
    assert events(state) == ["storage works again"]


def test_the_status_is_not_written_again_while_nothing_changes(notebook, state, clock):
    notebook.show(COMPARING, "frames arrive", "connected")
    (state / NAME).unlink()
    clock.seconds += 29.9
    notebook.show(COMPARING, "frames arrive", "connected")
    assert not (state / NAME).exists()


@pytest.mark.parametrize(
    ("status", "camera", "broker"),
    [
        (STARTING, "frames arrive", "connected"),
        (COMPARING, "no frames", "connected"),
        (COMPARING, "frames arrive", "lost"),
    ],
)
def test_a_change_is_written_at_once(notebook, state, status, camera, broker):
    notebook.show(COMPARING, "frames arrive", "connected")
    notebook.show(status, camera, broker)
    local = read_status(state)
    assert (local.status, local.camera, local.broker) == (status, camera, broker)


def test_an_unchanged_status_is_written_when_due_so_that_its_age_tells(notebook, state, clock):
    notebook.show(COMPARING, "frames arrive", "connected")
    (state / NAME).unlink()
    clock.seconds += 30.0
    notebook.show(COMPARING, "frames arrive", "connected")
    assert read_status(state).status == COMPARING


def test_the_status_says_when_it_was_written_and_by_which_process(notebook, state):
    notebook.show(COMPARING, "frames arrive", "connected")
    local = read_status(state)
    assert local.running(time.time_ns())
    assert local.at.endswith("Z")


def test_during_a_fault_no_status_is_attempted(notebook, state):
    notebook.show(COMPARING, "frames arrive", "connected")
    before = (state / NAME).read_bytes()
    break_storage(state)
    notebook.note("alert")
    fault = notebook.fault
    notebook.show(STARTING, "frames arrive", "connected")
    assert notebook.fault == fault
    assert (state.with_name("away") / NAME).read_bytes() == before


def test_a_status_that_failed_is_written_as_soon_as_storage_works_again(notebook, state, clock):
    break_storage(state)
    notebook.show(COMPARING, "frames arrive", "connected")
    mend_storage(state)
    clock.seconds += 5.0
    notebook.show(COMPARING, "frames arrive", "connected")
    assert read_status(state).status == COMPARING


def test_the_status_file_holds_the_status_and_no_counts(notebook, state):
    notebook.show(COMPARING, "frames arrive", "connected")
    written = msgspec.json.decode((state / NAME).read_bytes())
    assert set(written) == {"at", "process", "camera", "broker", "status"}
    assert set(written["status"]) == set(StatusData.__struct_fields__)


def test_a_file_that_cannot_be_erased_stays_a_fault_until_it_is_gone(tmp_path, monkeypatch):
    clock = [0.0]
    notebook = Notebook(tmp_path / "state", now_s=lambda: clock[0])
    victim = tmp_path / "list.bin"
    victim.mkdir()  # a folder cannot be unlinked, whoever asks
    notebook.erase(victim)
    for _ in range(3):
        clock[0] += 10
        notebook.show(COMPARING, "camera", "broker")
        assert "must be erased" in notebook.fault
    victim.rmdir()
    clock[0] += 10
    notebook.show(COMPARING, "camera", "broker")
    assert notebook.fault is None
