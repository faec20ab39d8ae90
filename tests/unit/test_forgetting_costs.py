"""The benchmark of what forgetting costs really takes each protection away."""

import os
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from device.errors import PasserbyError
from tests.conftest import ROOT
from tools.lab import forgetting

TAKEN_AWAY = """
import sys
from tools.lab import forgetting
from tools.lab.forgetting import VARIANTS, Network, _as_the_variant_says
from device.vision.inference import open_network
from pathlib import Path
import numpy as np
_as_the_variant_says(VARIANTS[sys.argv[1]])
network = open_network(Path("models/built-in/passerby-embedder.tflite"), 1)
network.run(np.full(network.input_shape[1:], 9, np.uint8))
network.wipe()
print(network.scratch_bytes is not None, network.wiped)
"""


def without(name):
    done = subprocess.run(
        [sys.executable, "-c", TAKEN_AWAY, name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_the_networks_memory_is_wiped_by_a_black_picture_or_not_at_all():
    assert without("everything, as it ships") == ["True", "True"]
    assert without("networks' memory overwritten by a black picture") == ["False", "True"]
    assert without("nothing of it") == ["True", "False"]


def test_each_protection_is_taken_away_once_and_all_of_them_once():
    full = forgetting.VARIANTS["everything, as it ships"]
    changed = [
        [one.name for one in fields(full) if getattr(variant, one.name) != getattr(full, one.name)]
        for variant in forgetting.VARIANTS.values()
    ]
    everything = ["freed", "locked", "scratch", "frames"]
    assert sorted(changed) == sorted(
        [[], everything, *([name] for name in [*everything, "scratch"])]
    )


@pytest.fixture(scope="module")
def views():
    return forgetting._views()


def test_one_variant_is_measured_in_a_process_of_its_own(views, tmp_path):
    kept = tmp_path / "views.npz"
    np.savez(kept, **views)
    name = "nothing of it"
    found = forgetting._in_a_process(name, forgetting.VARIANTS[name], kept)
    assert list(found) == ["nobody", "one face", "five faces"]
    assert found["five faces"] > found["one face"] > 10 * found["nobody"] > 0
    assert "GLIBC_TUNABLES" not in os.environ


def test_frames_in_which_nobody_is_compared_give_no_figures(views, tmp_path):
    still = tmp_path / "views.npz"
    np.savez(still, **{name: shown[:1] for name, shown in views.items()})
    with pytest.raises(PasserbyError, match="compared 0 faces of 60"):
        forgetting._in_a_process("nothing of it", forgetting.VARIANTS["nothing of it"], still)
