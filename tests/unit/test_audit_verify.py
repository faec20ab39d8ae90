"""The verifier finds every edit, cut, insertion and reorder, and takes no crash for one."""

import hashlib

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.audit import AuditLog
from device.audit.head import encode_head
from device.audit.line import Line, decode, encode, signed
from device.audit.reading import Snapshot
from device.audit.verify import verify
from device.errors import StorageError
from device.files import write_atomically

NOON_NS = 1_800_000_000_000_000_000
SECOND_NS = 1_000_000_000
OURS = Ed25519PrivateKey.from_private_bytes(b"7" * 32)
FOREIGN = Ed25519PrivateKey.from_private_bytes(b"8" * 32)
DAYS = {}
COUNTS = dict.fromkeys(
    ("frames", "faces", "appearances", "compared", "destroyed", "attacks", "faults"), 3
)


class Log:
    """A signed log in a folder, in the hands of whoever wants to change it."""

    def __init__(self, folder, signer=OURS):
        self.path = folder / "audit.jsonl"
        self.head = folder / "audit.head"
        self.log = AuditLog(self.path, signer)
        self.now_ns = NOON_NS

    def write(self, event, **details):
        self.now_ns += SECOND_NS
        return self.log.write(self.now_ns, event, details)

    def day(self):
        """Seven lines: a start, a checkpoint, two alerts and their count, a stop, a checkpoint."""
        known = DAYS.get(self.log._signer)
        if known is None:
            self._write_a_day()
            DAYS[self.log._signer] = (self.path.read_bytes(), self.head.read_bytes())
        else:  # every line waits for the disk three times
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_bytes(known[0])
            self.head.write_bytes(known[1])
            self.now_ns += 6 * SECOND_NS
        return self

    def _write_a_day(self):
        self.write("start", watchlist="list-1", version=1)
        self.log.checkpoint(self.now_ns)
        self.write("alert", alert="a-1", reference="r-1")
        self.write("alert", alert="a-2", reference="r-2")
        counts = COUNTS | {"attacks": 0, "alerts": 2}
        self.write("searched", purpose="p", watchlist="list-1", version=1, **counts)
        self.write("stop")
        self.log.checkpoint(self.now_ns)

    @property
    def lines(self):
        return self.path.read_bytes().splitlines()

    @lines.setter
    def lines(self, lines):
        self.path.write_bytes(b"".join(line + b"\n" for line in lines))

    def report(self, anchors=(), key=OURS, **options):
        public = None if key is None else key.public_key()
        return verify(Snapshot.of(self.path), public, anchors, **options)

    def found(self, **options):
        return [(one.line, one.text) for one in self.report(**options).findings]

    def at(self, line):
        """What was found at a line, in one text."""
        return " ".join(text for number, text in self.found() if number == line)


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path).day()


def rechained(lines, signer=None):
    """Make the chain whole again after a change, as somebody does without our key."""
    before, result = "0" * 64, []
    for number, content in enumerate(lines, start=1):
        line = msgspec.structs.replace(decode(content, Line), number=number, previous=before)
        if signer is not None:
            line = signed(msgspec.structs.replace(line, signature=None), signer)
        result.append(encode(line))
        before = hashlib.sha256(result[-1]).hexdigest()
    return result


def test_a_log_that_nobody_touched_is_whole(log):
    report = log.report()
    assert report.ok
    assert report.findings == report.notes == []
    assert (report.lines, report.first, report.last) == (7, 1, 7)
    assert report.signed


def test_a_log_that_was_never_written_is_whole_and_empty(tmp_path):
    report = Log(tmp_path).report()
    assert report.ok
    assert report.lines == 0


@pytest.mark.parametrize("number", range(1, 8))
def test_an_edited_line_is_found_where_it_is(log, number):
    lines = log.lines
    lines[number - 1] = lines[number - 1].replace(b"2027-01-15", b"2027-01-14")
    log.lines = lines
    assert (number, "It is not as this device signed it: edited, or written by another.") in (
        log.found()
    )


@pytest.mark.parametrize("number", range(2, 7))
def test_an_edited_line_is_found_without_any_key_by_the_next_one(log, number):
    lines = log.lines
    lines[number - 1] = lines[number - 1].replace(b"2027-01-15", b"2027-01-14")
    log.lines = lines
    ((line, text),) = log.found(key=None)
    assert line == number + 1
    assert "does not continue what stands before it" in text


@pytest.mark.parametrize("number", range(2, 7))
def test_a_removed_line_is_found_where_it_was(log, number):
    lines = log.lines
    del lines[number - 1]
    log.lines = lines
    assert f"Number {number + 1} follows {number - 1}" in log.at(number)


def test_missing_lines_at_the_front_are_found(log):
    log.lines = log.lines[2:]
    assert (1, "It begins with number 3: lines are missing at the front.") in log.found()


@pytest.mark.parametrize("kept", range(7))
def test_a_missing_end_is_found_with_its_numbers(log, kept):
    log.lines = log.lines[:kept]
    (text,) = [text for _, text in log.found() if "missing at its end" in text]
    assert f"ends with number {kept}, and its head names number 7" in text


def test_a_log_that_was_deleted_and_its_head_not_is_found(log):
    log.path.unlink()
    assert not log.report().ok


@pytest.mark.parametrize("kept", range(1, 8))
def test_a_head_that_is_gone_is_found_and_a_missing_end_with_it(log, kept):
    log.lines = log.lines[:kept]
    log.head.unlink()
    assert any("Its head is missing" in text for _, text in log.found())


def test_an_old_head_does_not_hide_anything(log):
    old = log.head.read_bytes()
    log.write("start")
    log.write("stop")
    log.head.write_bytes(old)
    assert any("head is of another time" in text for _, text in log.found())


def test_a_head_that_another_key_signed_is_found(log):
    last = hashlib.sha256(log.lines[3]).hexdigest()
    log.lines = log.lines[:4]
    log.head.write_bytes(encode_head(4, last, FOREIGN))
    assert any("not signed by this device" in text for _, text in log.found())


@pytest.mark.parametrize("number", range(1, 8))
def test_an_inserted_copy_of_a_line_is_found(log, number):
    lines = log.lines
    lines.insert(number, lines[number - 1])
    log.lines = lines
    assert f"Out of order, repeated or inserted: number {number}" in log.at(number + 1)


def test_a_line_that_somebody_added_at_the_end_is_found(log):
    last = log.lines[-1]
    previous = hashlib.sha256(last).hexdigest()
    line = Line("2027-01-15T09:00:00.000Z", {}, "stop", 8, previous)
    for forged in (line, signed(line, FOREIGN)):
        log.lines = [*log.lines[:7], encode(forged)]
        assert any(line == 8 and "edited, or written by another" in t for line, t in log.found())


def test_a_line_that_somebody_added_is_not_taken_over_by_the_device(log):
    previous = hashlib.sha256(log.lines[-1]).hexdigest()
    forged = encode(Line("2027-01-15T09:00:00.000Z", {}, "stop", 8, previous))
    log.lines = [*log.lines, forged]
    log.write("start")
    assert "The device itself found its log damaged" in log.at(9)


@pytest.mark.parametrize("number", range(1, 7))
def test_exchanged_lines_are_found(log, number):
    lines = log.lines
    lines[number - 1], lines[number] = lines[number], lines[number - 1]
    log.lines = lines
    assert {line for line, _ in log.found()} & {number, number + 1}


@pytest.mark.parametrize("signer", [None, FOREIGN], ids=["unsigned", "another key"])
def test_a_forgery_with_a_whole_chain_is_found(log, signer):
    lines = log.lines
    del lines[2]
    log.lines = rechained(lines, signer)
    newest = hashlib.sha256(log.lines[-1]).hexdigest()
    log.head.write_bytes(encode_head(6, newest, signer))
    assert {line for line, _ in log.found()} >= {3, 4, 5, 6}
    # What nobody can see without the key, and the reason why the command asks for one.
    assert [text for _, text in log.found(key=None)] == [
        "This run has 1 lines of alerts, and its searches counted 2."
    ]


def test_a_checkpoint_of_another_log_of_this_device_is_found(log, tmp_path):
    other = Log(tmp_path / "other")
    other.write("start")
    other.log.checkpoint(other.now_ns)
    lines = log.lines
    lines[1] = other.lines[1]
    log.lines = lines
    assert {line for line, _ in log.found()} == {2, 3}


def test_a_whole_log_of_another_time_is_found_by_the_anchor_alone(log, tmp_path):
    held = log.log.checkpoint(log.now_ns)
    old = Log(tmp_path / "old").day()
    log.path.write_bytes(old.path.read_bytes())
    log.head.write_bytes(old.head.read_bytes())
    assert log.report().ok
    assert any(held in text for _, text in log.found(anchors=[held]))


def test_an_anchor_that_occurs_is_no_finding(log):
    held = log.log.checkpoint(log.now_ns)
    log.write("start")
    log.write("stop")
    assert log.report(anchors=[held]).ok


def test_the_report_names_the_newest_checkpoint(log):
    assert log.report().checkpoint == hashlib.sha256(log.lines[-1]).hexdigest()


def test_a_line_for_which_the_log_has_no_word_is_found_although_it_is_signed(log):
    previous = hashlib.sha256(log.lines[-1]).hexdigest()
    template = {"alert": "a", "reference": "r", "template": "AAAA"}
    line = signed(Line("2027-01-15T09:00:00.000Z", template, "alert", 8, previous), OURS)
    log.lines = [*log.lines, encode(line)]
    assert 'The event "alert" has no "template".' in log.at(8)
    long = {"alert": "a" * 344, "reference": "r"}
    line = signed(Line("2027-01-15T09:00:00.000Z", long, "alert", 8, previous), OURS)
    log.lines = [*log.lines[:7], encode(line)]
    assert '"alert" of the event "alert" is no name.' in log.at(8)


def test_what_was_put_before_the_first_line_is_found(log):
    log.lines = [log.lines[0][:40], *log.lines]
    assert "It does not begin a log" in log.at(2)
    assert log.at(1)


def test_a_removed_unfinished_line_is_found_by_the_line_that_tells_of_it(log):
    with log.path.open("ab") as file:
        file.write(log.lines[0][:50])
    log.write("start")
    log.write("stop")
    log.lines = [*log.lines[:7], *log.lines[8:]]
    assert "The unfinished line that it tells of is not before it." in log.at(8)


# --- What a crash leaves --------------------------------------------------------------------------


def test_an_unfinished_last_line_is_a_note(log):
    with log.path.open("ab") as file:
        file.write(log.lines[0][:50])
    report = log.report()
    assert report.ok
    assert [note.line for note in report.notes] == [8]


def test_an_unfinished_line_that_the_device_went_on_after_is_a_note_for_ever(log):
    with log.path.open("ab") as file:
        file.write(log.lines[0][:50] + b"\0" * 30)
    log.write("start")
    log.write("stop")
    report = log.report()
    assert report.ok
    assert "Unfinished" in report.notes[0].text


def test_an_unfinished_line_anywhere_else_is_a_finding(log):
    lines = log.lines
    lines.insert(3, lines[3][:50])
    log.lines = lines
    assert log.at(4)


def test_an_edit_inside_an_unfinished_line_is_found(log):
    with log.path.open("ab") as file:
        file.write(log.lines[0][:50])
    log.write("start")
    log.write("stop")
    log.path.write_bytes(log.path.read_bytes().replace(log.lines[7], b'{"at":"' + b"x" * 43))
    assert log.at(9)


def test_what_is_not_the_beginning_of_a_line_is_no_power_cut(log):
    with log.path.open("ab") as file:
        file.write(b"deleted")
    assert log.found() == [(8, "This is no line of a log, nor the beginning of one.")]
    log.write("start")
    assert log.at(8)


def test_a_newest_line_without_its_head_is_a_note(log):
    head = log.head.read_bytes()
    log.write("start")
    log.head.write_bytes(head)
    report = log.report()
    assert report.ok
    assert "does not name this line yet" in report.notes[0].text


def test_a_kill_between_the_very_first_line_and_its_head_is_a_note(tmp_path, monkeypatch):
    log = Log(tmp_path)
    heads = iter([True, False])

    def put(*arguments, **options):
        if not next(heads):
            raise StorageError("killed")
        write_atomically(*arguments, **options)

    monkeypatch.setattr("device.audit.log.write_atomically", put)
    with pytest.raises(StorageError):
        log.write("start")
    report = log.report()
    assert (report.ok, report.lines) == (True, 1)
    # So without any head it was no kill.
    log.head.unlink()
    assert not log.report().ok


def test_a_promised_line_that_is_cut_is_found_even_by_its_line_break(log):
    content = log.path.read_bytes()
    log.path.write_bytes(content[:-1])
    assert log.found() == [(7, "The line break after the newest line is missing.")]
    log.path.write_bytes(content[:-2])
    assert not log.report().ok


def test_after_a_cut_the_device_goes_on_and_the_log_says_so_for_ever(log):
    log.lines = log.lines[:4]
    log.write("start")
    log.write("stop")
    assert "names number 7: lines are missing at its end" in log.at(5)


def test_a_clock_that_was_set_back_is_a_note(log):
    log.now_ns -= 3600 * SECOND_NS
    log.write("start")
    report = log.report()
    assert report.ok
    assert any("set back" in note.text for note in report.notes)


# --- Size -----------------------------------------------------------------------------------------


def test_findings_are_counted_all_and_kept_a_hundred(log):
    log.path.write_bytes(b"x\n" * 5000)
    report = log.report()
    assert len(report.findings) == 100
    assert report.findings_in_all >= 100


def test_a_line_without_an_end_needs_no_memory(log):
    with log.path.open("ab") as file:
        for _ in range(100):
            file.write(b"x" * 65_000)
    pieces = list(Snapshot.of(log.path).pieces())
    assert max(len(piece.content) for piece in pieces) <= 65_537
    assert not log.report().ok


def test_what_is_written_while_it_is_verified_does_not_disturb(log):
    snapshot = Snapshot.of(log.path)
    log.write("start")
    assert verify(snapshot, OURS.public_key()).ok


def test_progress_is_told_in_bytes(log):
    told = []
    with log.path.open("ab") as file:
        file.write((b"y" * 60_000 + b"\n") * 200)
    verify(Snapshot.of(log.path), None, progress=lambda read, size: told.append((read, size)))
    assert told[0][1] == log.path.stat().st_size
    assert [read for read, _ in told] == sorted(read for read, _ in told)
