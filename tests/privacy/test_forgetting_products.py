"""Linear algebra keeps the scores against a list as long as the proof's, unless it is overwritten.

The control to the length of the proof's list: a shorter one would not show it.
"""

import subprocess
import sys

import numpy as np
import pytest

from device.matching.products import products, rows_in, shape_of
from tests.conftest import ROOT
from tests.privacy.forgetting.memory import Memory
from tests.privacy.forgetting.needles import Form, Needles
from tests.privacy.forgetting.provision import LIST_SIZE
from tests.privacy.forgetting.reading import no_reading

DIMENSION = 256
CHILD = """
import device, sys
import numpy as np
from device.matching.products import leave_nothing, products, rows_in, shape_of
way, references, dimension = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(1)
blocks = np.zeros(shape_of(references, dimension), np.float32)
rows = rows_in(blocks, references)
rows[:] = rng.normal(size=rows.shape) / 16
probe = (rng.normal(size=(1, dimension)) / 16).astype(np.float32)
if way == "at once":
    found = probe @ rows.T
else:
    found = np.zeros((1, blocks.shape[0] * dimension), np.float32)
    products(blocks, probe, found)
    leave_nothing(blocks)
found.fill(0)
print("done", flush=True)
sys.stdin.read()
"""


def scores():
    rng = np.random.default_rng(1)
    blocks = np.zeros(shape_of(LIST_SIZE, DIMENSION), np.float32)
    rows = rows_in(blocks, LIST_SIZE)
    rows[:] = rng.normal(size=rows.shape) / 16
    probe = (rng.normal(size=(1, DIMENSION)) / 16).astype(np.float32)
    found = np.zeros((1, blocks.shape[0] * DIMENSION), np.float32)
    products(blocks, probe, found)
    return found[0, :LIST_SIZE]


@pytest.mark.skipif(no_reading() is not None, reason=f"SKIPPED: {no_reading()}")
@pytest.mark.parametrize(("way", "stays"), [("at once", True), ("in blocks", False)])
def test_scores_stay_unless_they_are_made_in_blocks_and_overwritten(way, stays):
    line = [sys.executable, "-c", CHILD, way, str(LIST_SIZE), str(DIMENSION)]
    with subprocess.Popen(
        line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "done\n"
        needles = Needles([Form("a stranger", "scores, float32", scores().tobytes(), 32)])
        finds = Memory(child.pid).search(needles).finds
        child.stdin.close()
    assert bool(finds) == stays
