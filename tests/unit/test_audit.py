"""The audit log is a chain that no cut, no crash and no second writer breaks; the ledger counts."""

import base64
import errno
import hashlib
import json
import multiprocessing
import os
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.audit import AuditLog, Ledger
from device.errors import StorageError

NOON_NS = 1_800_000_000_000_000_000
SECOND_NS = 1_000_000_000
FIRST = "0" * 64
SIGNER = Ed25519PrivateKey.from_private_bytes(b"7" * 32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


def entry_of(line):
    """What a whole line says, or None for one that was cut."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def assert_chained(path):
    """Every whole line names everything since the whole line before it. Returns the lines."""
    content = path.read_bytes()
    assert content.endswith(b"\n")
    lines = content[:-1].split(b"\n")
    between, number = [], 0
    for line in lines:
        entry = entry_of(line)
        if entry is not None:
            number += 1
            before = hashlib.sha256(b"\n".join(between)).hexdigest() if between else FIRST
            assert (entry["number"], entry["previous"]) == (number, before)
            between = []
        between.append(line)
    return lines


def events(path):
    return [entry["event"] for entry in map(entry_of, assert_chained(path)) if entry]


def search(purpose="p", file="f.jpg"):
    return {"purpose": purpose, "case": "c", "watchlist": "list-1", "file": file}


def alert(number):
    return {"alert": f"a-{number}", "reference": "r-1"}


def full_disk(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_many(path, writer, lines):
    log = AuditLog(path)
    for number in range(lines):
        log.write(NOON_NS + number, "search", search(str(writer), str(number)))


def test_the_first_line_starts_the_chain(path):
    AuditLog(path).write(NOON_NS, "start", {"watchlist": "list-1"})
    (line,) = assert_chained(path)
    assert json.loads(line) == {
        "at": "2027-01-15T08:00:00.000Z",
        "details": {"watchlist": "list-1"},
        "event": "start",
        "number": 1,
        "previous": FIRST,
    }


def test_every_line_carries_the_hash_of_the_line_before(path):
    log = AuditLog(path)
    for number in range(5):
        log.write(NOON_NS + number * SECOND_NS, "alert", alert(number))
    lines = [json.loads(line) for line in assert_chained(path)]
    assert [line["details"]["alert"] for line in lines] == [f"a-{n}" for n in range(5)]


def test_a_new_process_goes_on_with_the_chain(path):
    AuditLog(path).write(NOON_NS, "start", {})
    AuditLog(path).write(NOON_NS, "start", {})
    assert len(assert_chained(path)) == 2


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_line_cut_by_a_power_failure_is_ended_and_the_chain_goes_on(path, kept):
    log = AuditLog(path)
    log.write(NOON_NS, "start", {})
    head = path.with_suffix(".head").read_bytes()
    log.write(NOON_NS, "alert", alert(1))
    whole, cut = path.read_bytes()[:-1].split(b"\n")
    path.write_bytes(whole + b"\n" + cut[:kept])
    path.with_suffix(".head").write_bytes(head)
    AuditLog(path).write(NOON_NS, "start", {})
    AuditLog(path).write(NOON_NS, "stop", {})
    lines = assert_chained(path)
    assert lines[:2] == [whole, cut[:kept]]
    assert events(path) == ["start", "line cut short", "start", "stop"]
    assert json.loads(lines[2])["details"] == {"bytes": len(cut[:kept]) + 1}


def test_a_log_that_is_only_a_cut_line_goes_on(path):
    path.write_bytes(b'{"at":"2027')
    AuditLog(path).write(NOON_NS, "start", {})
    assert len(assert_chained(path)) == 3
    assert events(path) == ["line cut short", "start"]


def test_a_line_without_its_line_break_counts_as_written(path):
    AuditLog(path).write(NOON_NS, "start", {})
    path.write_bytes(path.read_bytes()[:-1])
    AuditLog(path).write(NOON_NS, "stop", {})
    assert events(path) == ["start", "stop"]


@pytest.mark.parametrize("length", [1_000, 65_536, 100_000])
def test_a_text_of_any_length_is_cut_and_the_chain_holds(path, length):
    log = AuditLog(path)
    log.write(NOON_NS, "search", search("\x01" * length))
    log.write(NOON_NS, "search", search("short"))
    log.write(NOON_NS, "search", search("short"))
    first, *_ = assert_chained(path)
    assert len(json.loads(first)["details"]["purpose"]) == 300
    assert events(path) == ["search"] * 3


@pytest.mark.parametrize("length", [10, 65_536, 200_000])
def test_the_chain_goes_on_over_an_unfinished_line_of_any_length(path, length):
    log = AuditLog(path)
    log.write(NOON_NS, "start", {})
    with path.open("ab") as file:
        file.write(b'{"at":"' + b"x" * length)
    log.write(NOON_NS, "stop", {})
    assert events(path) == ["start", "line cut short", "stop"]


def test_a_log_of_an_older_version_is_refused_with_what_to_do(path):
    path.write_text(
        '{"at":"2026-01-01T00:00:00.000Z","event":"start","previous":"' + FIRST + '"}\n'
    )
    with pytest.raises(StorageError, match="written by an older Passerby: keep it, move it"):
        AuditLog(path).write(NOON_NS, "start", {})


def test_a_line_break_in_the_details_makes_no_second_line(path):
    AuditLog(path).write(NOON_NS, "search", search('a\n{"event":"stop"}'))
    AuditLog(path).write(NOON_NS, "search", search("b"))
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
    told = [line["details"] for line in lines]
    for writer in ("0", "1"):
        numbers = [details["file"] for details in told if details["purpose"] == writer]
        assert numbers == [str(number) for number in range(20)]


def test_only_the_owner_may_read_the_log(path):
    AuditLog(path).write(NOON_NS, "start", {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_line_is_on_the_disk_before_its_head_and_before_the_work_goes_on(path, monkeypatch):
    AuditLog(path).write(NOON_NS, "start", {})
    head = path.with_suffix(".head")
    old = head.read_bytes()
    synced = []
    monkeypatch.setattr(
        "device.audit.log.os.fsync",
        lambda _: synced.append((path.read_bytes(), head.read_bytes())),
    )
    AuditLog(path).write(NOON_NS, "stop", {})
    assert synced[0] == (path.read_bytes(), old)
    assert synced[0][0].count(b"\n") == 2
    assert synced[-1] == (path.read_bytes(), head.read_bytes())
    assert b'"number":2' in synced[-1][1]


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
            AuditLog(path).write(NOON_NS, "alert", alert(1))
    AuditLog(path).write(NOON_NS, "stop", {})
    assert events(path) == ["start", "stop"]


def test_a_head_that_could_not_be_written_is_written_before_the_next_line(path, monkeypatch):
    log = AuditLog(path)
    log.write(NOON_NS, "start", {})

    def no_head(*_, **__):
        raise StorageError("No space left.")

    with monkeypatch.context() as broken:
        broken.setattr("device.audit.log.write_atomically", no_head)
        for _ in range(3):
            with pytest.raises(StorageError, match="nothing is compared without it"):
                log.write(NOON_NS, "alert", alert(1))
    # At most one line ahead of its head, however often it was tried.
    assert events(path) == ["start", "alert"]
    log.write(NOON_NS, "alert", alert(1))
    assert events(path) == ["start", "alert"]
    log.write(NOON_NS, "alert", alert(2))
    assert events(path) == ["start", "alert", "alert"]


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
        late=6,
    )
    frames, faces, destroyed, attacks, alerts, faults, late = (
        " ".join(line.split()) for line in ledger.lines()
    )
    assert frames == "frames processed 12,345"
    assert faces == "faces seen 67 in 890 appearances, 78 of them compared"
    assert destroyed == "faces destroyed 889 of 890 appearances"
    assert attacks == "judged attacks 3"
    assert alerts == "alerts 4"
    assert faults == "faulty frames 5"
    assert late == "too old, unread 6"


def test_the_ledger_holds_counts_only():
    assert all(isinstance(getattr(Ledger(), name), int) for name in Ledger.__slots__)


def test_a_program_without_keys_adds_nothing_to_a_signed_log(path):
    AuditLog(path, SIGNER).write(NOON_NS, "start", {})
    before = path.read_bytes()
    with pytest.raises(StorageError, match="signed with this device's keys"):
        AuditLog(path).write(NOON_NS, "stop", {})
    assert path.read_bytes() == before


def test_every_line_is_signed_with_the_devices_key(path):
    log = AuditLog(path, SIGNER)
    log.write(NOON_NS, "start", {})
    log.write(NOON_NS, "alert", alert(1))
    for content in assert_chained(path):
        line = json.loads(content)
        signature = base64.b64decode(line.pop("signature"))
        bare = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        SIGNER.public_key().verify(signature, b"passerby audit line 1\n" + bare.encode())


def test_a_checkpoint_is_a_line_whose_hash_the_desk_can_hold(path):
    log = AuditLog(path, SIGNER)
    log.write(NOON_NS, "start", {})
    held = log.checkpoint(NOON_NS)
    assert hashlib.sha256(path.read_bytes().splitlines()[-1]).hexdigest() == held
    assert events(path) == ["start", "checkpoint"]
    assert AuditLog(path.with_name("other.jsonl")).checkpoint(NOON_NS) is None
