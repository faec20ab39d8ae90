"""The search for what should be forgotten finds it, wherever a process holds it."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import absent

from .forgetting import holder, memory
from .forgetting.disk import search_file
from .forgetting.memory import Memory, UnreadableError, core_image, may_read, standing_still
from .forgetting.needles import Form, Needles

READABLE = list(holder.PLACES)[:-2]  # the last two are special


def canary(seed, length=400):
    return random.Random(seed).randbytes(length)


def needles(*contents, **more):
    return Needles(
        Form(f"canary {number}", "row", content, **more) for number, content in enumerate(contents)
    )


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Holder:
    """The parent's side of holder.py."""

    def __init__(self, folder):
        reading, self.content = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-S", holder.__file__, folder, str(reading)],
            pass_fds=[reading],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        os.close(reading)
        self.pid = self.process.pid
        assert self._answer() == "ready\n"

    def plant(self, place, content, offset=0):
        os.write(self.content, content)
        self.process.stdin.write(f"{place} {offset} {len(content)}\n")
        self.process.stdin.flush()
        return int(self._answer())

    def _answer(self):
        """The next line, after which it waits for orders and writes nothing more."""
        line = self.process.stdout.readline()
        while state(self.pid) != "S":
            time.sleep(0.0002)
        return line

    def readable(self):
        """Skip where nobody may look into it."""
        reason = may_read(self.pid)
        if reason is not None:
            absent(reason)

    def end(self):
        os.close(self.content)
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def held(tmp_path):
    """A process that holds what it is given."""
    process = Holder(tmp_path)
    try:
        process.readable()
        yield process
    finally:
        process.end()


@pytest.mark.parametrize("place", READABLE)
def test_a_planted_canary_is_found(held, place):
    content = canary(place, 180)
    at = held.plant(place, content)
    held.readable()
    searched = Memory(held.pid).search(needles(content))
    (find,) = searched.finds
    assert at <= find.at <= at + 32  # a freed block's first bytes are the allocator's
    assert find.at + find.length == at + 180
    assert not searched.unreadable


@pytest.mark.parametrize("place", READABLE)
def test_what_was_written_since_is_found_among_the_changed_pages(held, place):
    content, forms = canary(place, 180), needles(canary(place, 180))
    process = Memory(held.pid)
    before = process.search(forms)
    assert not before.finds
    at = held.plant(place, content)
    held.readable()
    after = process.search(forms, only_changed=True)
    (find,) = after.finds
    assert find.at + find.length == at + 180
    assert after.bytes_searched < before.bytes_searched / 4
    assert after.bytes_read < before.bytes_read
    assert not process.search(forms, only_changed=True).finds
    assert len(process.search(forms).finds) == 1


@pytest.mark.parametrize("offset", [1, 4096 - 8, 4096 - 15, 8192 - 1, 12287])
def test_sixteen_bytes_are_found_at_odd_places_and_across_pages(held, offset):
    content = canary(1)
    at = held.plant("anonymous mapping", content[33:49], offset)
    process = Memory(held.pid)
    (find,) = process.search(needles(content)).finds
    assert (find.at, find.length) == (at, 16)


def test_a_canary_that_ends_in_an_unchanged_page_is_found_whole(held):
    content = canary(1, 40)
    forms = needles(content, least=33)
    at = held.plant("anonymous mapping", content[12:], 4096)
    process = Memory(held.pid)
    assert not process.search(forms).finds
    held.plant("the same place", content[:12], 4096 - 12)
    (find,) = process.search(forms, only_changed=True).finds
    assert (find.at, find.length) == (at - 12, 40)


def test_another_process_s_canary_is_not_found(held):
    held.plant("heap", canary(1))
    assert not Memory(held.pid).search(needles(canary(2))).finds


def test_a_find_tells_where_it_is(held):
    content = canary(1)
    held.plant("memfd", content)
    (find,) = Memory(held.pid).search(needles(content)).finds
    assert "/memfd:frames (deleted)" in find.where


def test_what_cannot_be_read_is_counted_and_named(held):
    content = canary(1)
    held.plant("beyond the end", content)
    searched = Memory(held.pid).search(needles(content))
    ((name, size),) = searched.unreadable
    assert "/memfd:short" in name
    assert size == 3 * 4096
    assert len(searched.finds) == 1


def test_the_process_runs_on_afterwards_unless_it_stood_before(held):
    process = Memory(held.pid)
    process.search(needles(canary(1)))
    assert held.plant("heap", canary(2))
    with standing_still(held.pid):
        process.search(needles(canary(1)))
        assert state(held.pid) == "T"
    assert held.plant("heap", canary(3))


def test_a_process_that_ended_is_a_sentence_and_never_a_clean_search(held):
    process = Memory(held.pid)
    held.process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, held.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(UnreadableError, match="start it again"):
        process.search(needles(canary(1)))
    held.process.wait()
    with pytest.raises(UnreadableError, match="start it again"):
        process.search(needles(canary(1)))
    with pytest.raises(UnreadableError, match="start it again"):
        Memory(held.pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_without_the_right_to_look_there_is_a_sentence(held):
    try:
        os.seteuid(65534)
    except OSError:
        absent("this user namespace has nobody but root")
    try:
        reason = may_read(held.pid)
    finally:
        os.seteuid(0)
    assert f"process {held.pid} cannot be read (Permission denied): run this as root" in reason


@pytest.mark.parametrize("with_gdb", [True, False])
@pytest.mark.parametrize(
    "place",
    ["heap", "small freed block", "locked memory", "memfd", "mapped file", "undumpable process"],
)
def test_a_core_image_holds_it_too(held, tmp_path, monkeypatch, place, with_gdb):
    if not with_gdb:
        monkeypatch.setattr(memory.shutil, "which", lambda name: None)
    elif memory.shutil.which("gdb") is None:
        absent("gdb is not installed")
    content = canary(1)
    held.plant(place, content)
    held.readable()
    note = core_image(held.pid, tmp_path / "core")
    assert ("gdb, with every mapping" in note) == with_gdb
    (find,) = search_file(tmp_path / "core", needles(content))
    assert find.length >= 300
    assert held.plant("heap", canary(2))
