"""Locked memory: what the kernel says of it, and what is found when a whole process is searched."""

import hashlib
import os
import pickle
import re
import secrets
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from device.matching.protection import Session, Transformation
from device.matching.rotation import frame, gaussians
from device.memory import LockedBuffer, harden_process, overwrite, swap_is_on
from device.protocol.sealed import _derive, open_list
from tests.conftest import ROOT
from tests.simulators.sealed import DEPLOYMENT, DIMENSION, LIST, sealed, templates

PAGE = 4096


def flags_of(buffer):
    """The kernel's flags of the mapping that holds a buffer."""
    address = buffer.array.ctypes.data
    mapping = None
    with Path("/proc/self/smaps").open() as lines:
        for line in lines:
            if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
                mapping = int(found[1], 16) <= address < int(found[2], 16)
            elif mapping and line.startswith("VmFlags:"):
                return set(line.split()[1:])
    raise AssertionError("the buffer is in no mapping")


def test_a_buffer_is_locked_undumped_and_not_inherited():
    buffer = LockedBuffer(3 * PAGE)
    assert buffer.fault is None
    assert buffer.locked
    assert {"lo", "dd", "wf"} <= flags_of(buffer)
    assert buffer.array.ctypes.data % PAGE == 0


def test_a_wiped_buffer_is_zero_and_unlocked_and_its_views_stay():
    buffer = LockedBuffer(PAGE)
    view = buffer.array[:8].view(np.float32)
    view[:] = 7
    buffer.wipe()
    assert buffer.wiped
    assert not buffer.locked
    assert view.tolist() == [0, 0]
    assert "lo" not in flags_of(buffer)
    view[:] = 7
    buffer.wipe()
    assert buffer.wiped


def test_a_forgotten_buffer_is_wiped_too():
    buffer = LockedBuffer(PAGE)
    array = buffer.array
    array.fill(7)
    del buffer
    assert not array.any()


def test_a_child_process_finds_zeros():
    buffer = LockedBuffer(PAGE)
    buffer.array.fill(7)
    child = os.fork()
    if child == 0:
        os._exit(int(buffer.array.any()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert buffer.array.all()


@pytest.mark.parametrize("size", [0, -1])
def test_a_buffer_without_a_size_is_refused(size):
    with pytest.raises(ValueError, match="needs a size"):
        LockedBuffer(size)


def test_a_buffer_can_be_neither_stored_nor_printed():
    buffer = LockedBuffer(PAGE)
    with pytest.raises(TypeError, match="must not be stored"):
        pickle.dumps(buffer)
    assert repr(buffer) == "<LockedBuffer of 4096 bytes>"


LIMITED = """
import os, resource
from device.memory import LockedBuffer
resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
small, large = LockedBuffer(4096), LockedBuffer(1 << 20)
print(small.locked, small.fault)
print(large.locked, large.fault)
large.array.fill(1)
large.wipe()
print(large.wiped)
"""


def test_without_privileges_it_locks_up_to_the_limit_and_then_says_what_to_do():
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    small, large, wiped = done.stdout.splitlines()
    assert small == "True None"
    assert large.startswith("False 1024 kB of the watchlist cannot be locked in memory")
    assert large.endswith("set LimitMEMLOCK=infinity in the service, or turn swap off.")
    assert wiped == "True"


HARDENED = """
import ctypes, resource
from device.memory import harden_process
print(harden_process())
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_a_hardened_process_dumps_no_core_and_is_not_dumpable():
    done = subprocess.run(
        [sys.executable, "-c", HARDENED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["None", "(0, 0) 0"]


def test_a_refused_hardening_says_what_to_do(monkeypatch):
    def refuse(*_):
        raise ValueError("not allowed")

    monkeypatch.setattr("resource.setrlimit", refuse)
    assert "LimitCORE=0" in harden_process()


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("Filename\tType\tSize\tUsed\tPriority\n", False),
        ("Filename\tType\n/var/swap\tfile\t102396\t0\t-2\n", True),
        ("Filename\tType\n/dev/zram0\tpartition\t1\t0\t100\n", True),
    ],
)
def test_swap_is_told_from_the_kernels_list(text, on):
    assert swap_is_on(text) is on


def test_what_can_be_overwritten_is_and_the_rest_is_left():
    key = bytearray(b"k" * 32)
    overwrite(memoryview(key))
    assert key == bytes(32)
    fixed = b"k" * 32
    overwrite(fixed)
    assert fixed == b"k" * 32


# The child opens a list, compares, and waits; the parent searches its whole memory. The key comes
# without a buffer of Python's in between, as it comes out of an unwrapped message.
CHILD = """
import sys
import numpy as np
from pathlib import Path
from device.matching import Gallery, scores_of
from device.memory import overwrite
from device.protocol.sealed import open_list
from tests.simulators.sealed import DEPLOYMENT, LIST, SHA, DIMENSION
pipe = open(0, "rb", buffering=0)
key = bytearray(32)
pipe.readinto(key)
opened = open_list(Path(sys.argv[1]).read_bytes(), key, watchlist=LIST, deployment=DEPLOYMENT)
overwrite(key)
gallery = Gallery.opened(opened, SHA, DIMENSION)
probe = np.zeros((1, DIMENSION), np.float32)
probe[0, 0] = 1
scores_of(gallery, probe)
print("open", flush=True)
pipe.read(1)
gallery.wipe()
print("wiped", flush=True)
pipe.read(1)
"""


def found_in(pid, patterns):
    """How many of the patterns are anywhere in a process's writable or private memory."""
    found = set()
    process = Path("/proc") / str(pid)
    with (process / "maps").open() as maps, (process / "mem").open("rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except OSError:
                continue
            found |= {name for name, pattern in patterns.items() if pattern in content}
    return found


def test_after_wiping_no_template_and_no_key_is_left_in_the_process(tmp_path):
    key = secrets.token_bytes(32)
    plain = templates(70, seed=5)
    made = sealed(plain, key)
    file = tmp_path / "list"
    file.write_bytes(made.content)
    rows = dict(zip(made.template_sha256, stored_rows(made.content, key), strict=True))
    salt = made.content[16:48]
    keys = {
        "key": key,
        "content key": bytes(_derive(key, salt, "content", LIST, DEPLOYMENT)),
        "seed": bytes(_derive(key, salt, "transformation", LIST, DEPLOYMENT)),
    }
    transformation = Transformation(keys["seed"], DIMENSION, len(plain))
    rotations = transformation.rotations
    turns = {f"rotation {k}": each[3, 8:24].tobytes() for k, each in enumerate(rotations)}
    wide = frame(gaussians(keys["seed"], 0, rotations[0].T.shape))
    worked = {"rotation 0 as float64": wide.T[3, 8:16].tobytes(), "f2": wide[8, :8].tobytes()}
    # Linear algebra copies columns next to each other when it multiplies matrices.
    worked |= {f"column {k}": each[3:7, 9].tobytes() for k, each in enumerate(rotations)}
    stored = np.stack(list(rows.values()))
    worked |= {f"stored column {k}": stored[:4, k].tobytes() for k in range(0, DIMENSION, 8)}
    patterns = keys | turns | worked
    patterns |= {f"row {name}": row[40:80].tobytes() for name, row in rows.items()}
    session = session_of(made.content, key)
    opened = {f"opened row {k}": row[8:24].tobytes() for k, row in enumerate(session.rows)}
    opened["opened rotation"] = session.rotations[0].T[3, 8:24].tobytes()
    opened["opened offsets"] = session.offsets[8:24].tobytes()
    patterns |= opened
    patterns["a column of the opened rotation"] = session.rotations[0][3, 8:12].tobytes()
    patterns |= {f"template {n}": row[:8].tobytes() for n, row in enumerate(plain)}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(file)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        child.stdin.write(key)
        child.stdin.flush()
        assert child.stdout.readline() == b"open\n"
        before = found_in(child.pid, patterns)
        child.stdin.write(b".")
        child.stdin.flush()
        assert child.stdout.readline() == b"wiped\n"
        after = found_in(child.pid, patterns)
    finally:
        child.kill()
        child.communicate()
    # The search works: while the list is open it is found in the form in which it is compared, and
    # even then no stored row and no rotation of those, no plain template and no key.
    assert before == set(opened)
    assert after == set()


def session_of(content, key):
    opened = open_list(content, key, watchlist=LIST, deployment=DEPLOYMENT)
    return Session(opened.seed.array.data, DIMENSION, opened.rows)


def stored_rows(content, key):
    opened = open_list(content, key, watchlist=LIST, deployment=DEPLOYMENT)
    rows = opened.rows.copy()
    opened.wipe()
    return rows


def test_the_rows_of_the_search_are_those_of_the_device():
    key = secrets.token_bytes(32)
    made = sealed(templates(3, seed=6), key)
    digests = [hashlib.sha256(row.tobytes()).hexdigest() for row in stored_rows(made.content, key)]
    assert digests == list(made.template_sha256.values())
