"""The live bench's programs: how they end, what they note, what the kernel says of them."""

import mmap
import os
import socket
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest

from device.errors import BrokerError, PasserbyError, StorageError
from device.temperature import Thermometer
from tests.simulators.board import folder
from tools.lab.bench.live import children, estate, said, watch
from tools.lab.bench.live.fake import sitecustomize as pencil
from tools.lab.bench.live.notes import Processed, read_notes
from tools.lab.bench.live.watch import Watch, glance, waited_s
from tools.lab.bench.live.workloads import Start, Starts

# --- The pencil -----------------------------------------------------------------------------------

LETTERS = """
import sys, time
from pathlib import Path
from device.alerts.outbox import Outbox, Sealed
from device.protocol.envelope import digest_of
import sqlite3
box = Outbox(lambda: sqlite3.connect(sys.argv[1], check_same_thread=False), 10**6, lambda: 5)
made = []
def seal(epoch, sequence):
    made.append(str((epoch, sequence)).encode())
    return Sealed("alert", 1, made[-1])
first, second = box.append(seal), box.append(seal)
box.append(lambda epoch, sequence: Sealed("record", 1, b"record"), numbered=False)
assert box.remove(digest_of(made[1])) == second
assert box.remove(digest_of(made[1])) is None
"""


def _with_pencil(program, folder, **variables):
    path = os.fspath(pencil.__file__.rpartition("/")[0])
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    line = [sys.executable, "-c", program, str(folder / "outbox.sqlite")]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


def test_letters_are_noted_when_they_are_kept_and_when_their_receipt_comes(tmp_path):
    done = _with_pencil(LETTERS, tmp_path, **{pencil.VARIABLE: str(tmp_path / "notes")})
    assert done.returncode == 0, done.stderr
    notes = read_notes(tmp_path / "notes")
    first, second = notes.letters
    assert (first.sequence, second.sequence) == (1, 2)
    assert first.receipted_ns is None
    assert second.queued_ns <= second.kept_ns <= second.receipted_ns
    assert [count for _, count in notes.waiting] == [1, 2, 3, 2]


def test_frames_are_noted_also_when_they_fail(tmp_path):
    program = """
import sys
from types import SimpleNamespace
from device.recognition import Recogniser
one = Recogniser.__new__(Recogniser)
try:
    one.process(SimpleNamespace(seconds=12.5), print)
except AttributeError:
    sys.exit(0)
sys.exit(1)
"""
    done = _with_pencil(program, tmp_path, **{pencil.VARIABLE: str(tmp_path / "notes")})
    assert done.returncode == 0, done.stderr
    (frame,) = read_notes(tmp_path / "notes").frames
    assert frame.taken_ns == 12_500_000_000
    assert frame.began_ns <= frame.ended_ns
    assert frame.worked_ns >= 0


def test_without_its_variable_nothing_is_wrapped(tmp_path):
    variables = {key: text for key, text in os.environ.items() if key != pencil.VARIABLE}
    assert pencil.VARIABLE not in variables
    done = _with_pencil(LETTERS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir() if "outbox" not in path.name] == []


def test_a_record_that_is_half_written_waits(tmp_path):
    record = pencil.RECORD.pack(pencil.FRAME, 1, 2, 3, 4)
    (tmp_path / "notes").write_bytes(record * 2 + record[:11])
    assert read_notes(tmp_path / "notes").frames == [Processed(1, 2, 3, 4)] * 2


def test_no_records_are_no_notes_and_strange_ones_are_refused(tmp_path):
    assert read_notes(tmp_path / "notes").frames == []
    (tmp_path / "notes").write_bytes(pencil.RECORD.pack(9, 1, 2, 3, 4))
    with pytest.raises(StorageError, match="no known kind"):
        read_notes(tmp_path / "notes")


# --- Children -------------------------------------------------------------------------------------


def _child(program, **more):
    return children.Child(children.Order("helper", [sys.executable, "-c", program], **more))


def test_a_child_that_dies_is_one_sentence_with_its_last_words():
    program = "import sys; sys.exit('There is no more paper.')"
    with _child(program) as child, pytest.raises(PasserbyError) as told:
        child.wait_for(lambda: False, "to write", 60)
    assert str(told.value) == "The bench's helper ended with code 1: There is no more paper."


def test_a_child_that_is_killed_says_by_which_signal():
    program, words = "import os; os.kill(os.getpid(), 9)", "was ended by signal 9: it said nothing"
    with _child(program) as child, pytest.raises(PasserbyError, match=words):
        child.wait_for(lambda: False, "to live", 60)


def test_what_does_not_come_about_is_one_sentence():
    program, words = "import time; time.sleep(600)", "to think took over 0 s"
    with _child(program) as child, pytest.raises(PasserbyError, match=words):
        child.wait_for(lambda: False, "to think", 0.05)
    assert child._process.returncode == -15


def test_a_child_that_does_not_listen_is_ended_all_the_same(monkeypatch):
    monkeypatch.setattr(children, "_STOP_S", 0.2)
    program = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(1, flush=True)
time.sleep(600)
"""
    lines = []
    child = _child(program, on_line=lambda at_ns, line: lines.append((at_ns, line)))
    child.wait_for(lambda: bool(lines), "to begin", 60)
    assert child.stop() == -9
    assert child.stop() == -9
    assert lines[0][1] == "1"
    assert lines[0][0] >= child.started_ns


def test_an_interruption_while_it_is_ended_ends_it(monkeypatch):
    child = _child("import time; time.sleep(600)")

    wait = child._process.wait

    def interrupted(timeout=None):
        if timeout is not None:
            raise KeyboardInterrupt
        return wait()

    monkeypatch.setattr(child._process, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        child.stop()
    assert child._process.poll() is not None


def test_a_port_that_is_taken_is_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=f"Port {port} of this machine is taken"):
            estate.start_broker(None, tmp_path, port)


def test_the_configuration_is_toml(tmp_path):
    tables = {"a": {"text": 'say "x" \\ é', "number": 1.5, "no": None, "yes": True, "all": ["x"]}}
    estate.write_toml(tmp_path / "one.toml", tables)
    read = tomllib.loads((tmp_path / "one.toml").read_text("utf-8"))
    assert read == {"a": {"text": 'say "x" \\ é', "number": 1.5, "yes": True, "all": ["x"]}}


# --- What the kernel says -------------------------------------------------------------------------


def test_a_glance_at_this_process_is_plausible():
    # A mapping of its own: an allocator may keep what is freed.
    with mmap.mmap(-1, 30_000_000) as block:
        block.write(b"x" * len(block))
        before = glance(os.getpid())
    after = glance(os.getpid())
    assert before.rss_mb - after.rss_mb == pytest.approx(30, abs=8)
    assert before.most_mb >= before.rss_mb - 1
    assert before.threads >= 1
    assert before.descriptors >= 3
    assert after.cpu_s >= before.cpu_s > 0


def test_the_cameras_buffers_are_told_apart():
    import mmap  # noqa: PLC0415

    memory = os.memfd_create("test")
    os.ftruncate(memory, 20_000_000)
    before = glance(os.getpid())
    with mmap.mmap(memory, 20_000_000) as shared:
        np.frombuffer(shared, np.uint8).fill(1)
        after = glance(os.getpid())
    os.close(memory)
    assert after.shared_mb - before.shared_mb == pytest.approx(20, abs=1)
    assert after.own_mb - before.own_mb == pytest.approx(0, abs=8)


def test_a_watch_ends_with_what_it_watches():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with Watch(process.pid, every_s=0.01) as watch:
        while len(watch.glances) < 3:
            time.sleep(0.01)
        process.communicate(b"\n")
        watch._thread.join(30)
        assert not watch._thread.is_alive()
    with pytest.raises((FileNotFoundError, ProcessLookupError)):
        glance(process.pid)


def test_waiting_for_a_core_is_told_where_the_kernel_tells_it():
    assert 0 <= waited_s(os.getpid()) < 3600
    assert waited_s(2**22 + 1) == 0


def test_starts_can_be_said():
    start = Start(1.2, 1.3, 0.8, 0.1)
    found = Starts(500, start, [start] * 3, 1.2, 1.3, 1.3, 1.3, 0.8, 1.2, 0.5)
    words = "\n".join(said.lines(found))
    assert "list of 500; 3 starts after a first one" in words
    assert "took of the cores: median 1.20 s" in words


def test_a_temperature_is_read_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "_THERMOMETER", Thermometer(folder(tmp_path, 48.312)))
    assert glance(os.getpid()).celsius == pytest.approx(48.312)
    folder(tmp_path, None)
    assert glance(os.getpid()).celsius is None
