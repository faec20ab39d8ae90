"""Products of one probe with all rows: exact, the same wherever they lie, and nothing is left."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.matching import Gallery, scores_of
from device.matching.products import leave_nothing, products, rows_in, shape_of
from device.protocol.sealed import open_list
from tests.conftest import ROOT
from tests.simulators.sealed import DEPLOYMENT, KEY, LIST, SHA, plain, probes, sealed, templates
from tests.unit.test_memory import found_in

ROWS = templates(300, seed=5, dimension=256)
"""Many and long enough for linear algebra to compute in memory of its own."""


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 150), st.sampled_from([8, 31, 64]), st.integers(1, 3))
def test_products_are_those_of_each_row(references, dimension, count):
    rng = np.random.default_rng(references)
    blocks = np.zeros(shape_of(references, dimension), np.float32)
    rows = rows_in(blocks, references)
    assert rows.shape == (references, dimension)
    assert np.shares_memory(rows, blocks)
    rows[:] = rng.normal(size=rows.shape)
    seen = rng.normal(size=(count, dimension)).astype(np.float32)
    found = np.full((count, blocks.shape[0] * dimension), np.nan, np.float32)
    products(blocks, seen, found)
    leave_nothing(blocks)
    assert found[:, :references] == pytest.approx(seen @ rows.T, abs=1e-4)
    assert not found[:, references:].any()


def placed(array, offset):
    """Return a copy that begins so many bytes behind a cache line's edge."""
    room = np.zeros(array.nbytes + 128, np.uint8)
    start = -room.ctypes.data % 64 + offset
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[:] = array
    return copy


@pytest.mark.parametrize("dimension", [31, 64, 256])
def test_they_are_the_same_to_the_last_bit_wherever_they_lie(dimension):
    rng = np.random.default_rng(1)
    blocks = rng.normal(size=(2, dimension, dimension)).astype(np.float32)
    seen = rng.normal(size=(1, dimension)).astype(np.float32)
    different = set()
    for offset in (0, 4, 8, 12, 16, 20, 32, 36, 60):
        out = placed(np.zeros((1, 2 * dimension), np.float32), 60 - offset)
        products(placed(blocks, offset), placed(seen, offset ^ 16), out)
        different.add(out.tobytes())
    assert len(different) == 1


# The child compares one probe that comes through a pipe, overwrites probe and dead stack as the end
# of a frame does, and waits. What its parent looks for is nowhere in its code.
CHILD = """
import sys
import numpy as np
from device.matching import scores_of
from device.stack import DeadStack
from tests.unit.test_products import gallery_of
pipe = open(0, "rb", buffering=0)
gallery = gallery_of(*sys.argv[1:])
probe = np.zeros((1, 256), np.float32)
pipe.readinto(memoryview(probe).cast("B"))
scores = scores_of(gallery, probe)
print("compared", flush=True)
pipe.read(1)
scores.fill(0)
probe.fill(0)
DeadStack().wipe()
print("wiped", flush=True)
pipe.read(1)
"""


def gallery_of(kind, file):
    """Return the list: plain, or as it is opened from a file."""
    if kind == "plain":
        return plain(ROWS)
    found = open_list(Path(file).read_bytes(), KEY, watchlist=LIST, deployment=DEPLOYMENT)
    return Gallery.opened(found, SHA, 256)


def pieces(name, row):
    """Return some pieces of eight numbers of a row."""
    return {
        f"{name} {start}": row[start : start + 8].tobytes() for start in range(0, len(row) - 7, 40)
    }


# R13
@pytest.mark.parametrize("kind", ["plain", "opened"])
def test_behind_a_comparison_neither_probe_nor_cosines_nor_scores_are_left(kind, tmp_path):
    file = tmp_path / "list"
    file.write_bytes(sealed(ROWS).content)
    gallery, probe = gallery_of(kind, file), probes(ROWS, seed=11)[:1]
    looked_for = pieces("score", scores_of(gallery, probe)[0])
    looked_for |= pieces("cosine", gallery.cosines(probe)[0])
    looked_for |= pieces("probe", probe[0])
    if kind == "opened":
        turned = probe @ gallery._transformation.rotations[0]
        looked_for |= pieces("turned", turned[0])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, kind, str(file)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        child.stdin.write(probe.tobytes())
        child.stdin.flush()
        assert child.stdout.readline() == b"compared\n"
        before = found_in(child.pid, looked_for)
        child.stdin.write(b".")
        child.stdin.flush()
        assert child.stdout.readline() == b"wiped\n"
        after = found_in(child.pid, looked_for)
    finally:
        child.kill()
        child.communicate()
    # The search works: what the child still held it found.
    assert {name.split()[0] for name in before} >= {"probe", "score"}
    assert after == set()
