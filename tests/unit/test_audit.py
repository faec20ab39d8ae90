"""The audit log is a chain that no cut, no crash and no second writer breaks; the ledger counts."""

import errno
import hashlib
import json
import multiprocessing
import os
import stat

import pytest

from device.audit import AuditLog, Ledger
from device.errors import StorageError

NOON_NS = 1_800_000_000_000_000_000
SECOND_NS = 1_000_000_000
FIRST = "0" * 64


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


def previous_of(line):
    """The hash that a line names, or None for a line that was cut."""
    try:
        return json.loads(line)["previous"]
    except json.JSONDecodeError:
        return None


def assert_chained(path):
    """Every whole line names the hash of the line before. Returns the lines."""
    content = path.read_bytes()
    assert content.endswith(b"\n")
    lines = content[:-1].split(b"\n")
    expected = FIRST
    for line in lines:
        named = previous_of(line)
        assert named in {expected, None}
        expected = hashlib.sha256(line).hexdigest()
    return lines


def full_disk(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_many(path, writer, lines):
    log = AuditLog(path)
    for number in range(lines):
        log.write(NOON_NS + number, "search", {"writer": str(writer), "number": str(number)})


def test_the_first_line_starts_the_chain(path):
    AuditLog(path).write(NOON_NS, "start", {"watchlist": "list-1"})
    (line,) = assert_chained(path)
    assert json.loads(line) == {
        "at": "2027-01-15T08:00:00.000Z",
        "event": "start",
        "watchlist": "list-1",
        "previous": FIRST,
    }


def test_every_line_carries_the_hash_of_the_line_before(path):
    log = AuditLog(path)
    for number in range(5):
        log.write(NOON_NS + number * SECOND_NS, "alert", {"number": str(number)})
    assert [json.loads(line)["number"] for line in assert_chained(path)] == list("01234")


def test_a_new_process_goes_on_with_the_chain(path):
    AuditLog(path).write(NOON_NS, "start", {})
    AuditLog(path).write(NOON_NS, "start", {})
    assert len(assert_chained(path)) == 2


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_line_cut_by_a_power_failure_is_ended_and_the_chain_goes_on(path, kept):
    log = AuditLog(path)
    log.write(NOON_NS, "start", {})
    log.write(NOON_NS, "alert", {})
    whole, cut = path.read_bytes()[:-1].split(b"\n")
    path.write_bytes(whole + b"\n" + cut[:kept])
    AuditLog(path).write(NOON_NS, "start", {})
    AuditLog(path).write(NOON_NS, "stop", {})
    lines = assert_chained(path)
    assert lines[:2] == [whole, cut[:kept]]
    assert [json.loads(line)["event"] for line in lines[2:]] == ["start", "stop"]


def test_a_log_that_is_only_a_cut_line_goes_on(path):
    path.write_bytes(b'{"at":"2027')
    AuditLog(path).write(NOON_NS, "start", {})
    assert len(assert_chained(path)) == 2


@pytest.mark.parametrize("length", [1_000, 65_536, 100_000])
def test_the_chain_holds_over_lines_of_any_length(path, length):
    log = AuditLog(path)
    log.write(NOON_NS, "search", {"purpose": "x" * length})
    log.write(NOON_NS, "search", {"purpose": "short"})
    log.write(NOON_NS, "search", {"purpose": "short"})
    assert len(assert_chained(path)) == 3


def test_a_line_break_in_the_details_makes_no_second_line(path):
    AuditLog(path).write(NOON_NS, "search", {"purpose": 'a\n{"event":"stop"}'})
    AuditLog(path).write(NOON_NS, "search", {"purpose": "b"})
    assert len(assert_chained(path)) == 2


def test_processes_that_write_at_once_keep_one_chain(path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(path, w, 20)) for w in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    lines = [json.loads(line) for line in assert_chained(path)]
    for writer in ("0", "1"):
        numbers = [line["number"] for line in lines if line["writer"] == writer]
        assert numbers == [str(number) for number in range(20)]


def test_only_the_owner_may_read_the_log(path):
    AuditLog(path).write(NOON_NS, "start", {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_line_is_on_the_disk_before_the_work_goes_on(path, monkeypatch):
    synced = []
    monkeypatch.setattr("device.audit.log.os.fsync", lambda _: synced.append(path.read_bytes()))
    AuditLog(path).write(NOON_NS, "start", {})
    assert synced == [path.read_bytes()]
    assert synced[0].endswith(b"\n")


def test_a_log_that_cannot_be_written_is_said_in_a_sentence(tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    path = tmp_path / "state/audit.jsonl"
    with pytest.raises(StorageError, match="nothing is compared without it") as caught:
        AuditLog(path).write(NOON_NS, "start", {})
    assert str(path) in str(caught.value)


def test_a_full_disk_is_said_in_a_sentence(path, monkeypatch):
    monkeypatch.setattr("device.audit.log.os.fsync", full_disk)
    with pytest.raises(StorageError, match=r"No space left on device.*Free some space"):
        AuditLog(path).write(NOON_NS, "start", {})


def test_after_a_full_disk_the_chain_goes_on(path, monkeypatch):
    AuditLog(path).write(NOON_NS, "start", {})
    with monkeypatch.context() as broken:
        broken.setattr("device.audit.log.os.fsync", full_disk)
        with pytest.raises(StorageError):
            AuditLog(path).write(NOON_NS, "alert", {})
    AuditLog(path).write(NOON_NS, "stop", {})
    assert json.loads(assert_chained(path)[-1])["event"] == "stop"


def test_a_new_ledger_has_counted_nothing():
    assert all(" 0" in line for line in Ledger().lines())


def test_the_ledger_says_every_count_and_what_became_of_the_faces():
    ledger = Ledger(
        frames=12_345,
        faces=67,
        appearances=890,
        compared=78,
        destroyed=889,
        attacks=3,
        alerts=4,
        faults=5,
    )
    frames, faces, destroyed, attacks, alerts, faults = (
        " ".join(line.split()) for line in ledger.lines()
    )
    assert frames == "frames processed 12,345"
    assert faces == "faces seen 67 in 890 appearances, 78 of them compared"
    assert destroyed == "faces destroyed 889 of 890 appearances"
    assert attacks == "judged attacks 3"
    assert alerts == "alerts 4"
    assert faults == "faulty frames 5"


def test_the_ledger_holds_counts_only():
    assert all(isinstance(getattr(Ledger(), name), int) for name in Ledger.__slots__)
