"""The notebook notices that nothing can be written, tries again, and writes no more than needed."""

import hashlib
import json
import time

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.notebook import Notebook
from device.protocol.status import StatusData
from device.statusfile import NAME, read_status

SIGNER = Ed25519PrivateKey.from_private_bytes(b"7" * 32)
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
    assert json.loads(line)["details"] == {"watchlist": "list-1"}
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
    assert events(state) == ["start", "storage works again"]


def test_what_could_not_be_written_is_written_first_once_and_in_its_order(notebook, state, clock):
    notebook.note("start")
    break_storage(state)
    for number in range(3):
        notebook.note("alert", alert=f"a-{number}", reference="r-1")
    mend_storage(state)
    state.with_name("away").rename(state)
    notebook.note("stop")
    clock.seconds += 5.0
    notebook.show(COMPARING, "frames arrive", "connected")
    assert events(state) == ["start", "alert", "alert", "alert", "stop", "storage works again"]
    lines = map(json.loads, (state / "audit.jsonl").read_text("utf-8").splitlines())
    assert [line["details"].get("alert") for line in lines][1:4] == ["a-0", "a-1", "a-2"]


def test_more_lines_than_can_be_kept_in_memory_are_counted(notebook, state, clock, monkeypatch):
    monkeypatch.setattr("device.notebook._MOST_UNWRITTEN", 3)
    break_storage(state)
    for _ in range(5):
        notebook.note("presentation attack judged")
    mend_storage(state)
    clock.seconds += 5.0
    notebook.show(COMPARING, "frames arrive", "connected")
    last = json.loads((state / "audit.jsonl").read_text("utf-8").splitlines()[-1])
    assert events(state).count("presentation attack judged") == 3
    assert last["details"] == {"unwritten": 2}


def test_a_start_and_a_stop_have_a_checkpoint_and_every_hour_between_them(state, clock):
    notebook = Notebook(state, clock, SIGNER)
    for _ in range(2):
        notebook.note("start")
        for _ in range(7):
            clock.seconds += 1800
            notebook.show(COMPARING, "frames arrive", "connected")
        notebook.note("stop")
        for _ in range(3):
            clock.seconds += 7200
            notebook.show(COMPARING, "frames arrive", "connected")
    day = ["start", "checkpoint", *["checkpoint"] * 3, "stop", "checkpoint"]
    assert events(state) == day * 2
    newest = (state / "audit.jsonl").read_bytes().splitlines()[-1]
    assert notebook.anchor == hashlib.sha256(newest).hexdigest()


def test_without_a_key_there_is_no_checkpoint(notebook, state):
    notebook.note("start")
    assert notebook.checkpoint() is None
    assert notebook.anchor is None
    assert events(state) == ["start"]


def test_a_checkpoint_that_cannot_be_written_is_a_fault(state, clock):
    notebook = Notebook(state, clock, SIGNER)
    break_storage(state)
    assert notebook.checkpoint() is None
    assert "nothing is compared without it" in notebook.fault


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
    notebook.note("alert", alert="a", reference="r")
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
