"""What a benchmark is made of: each part measures one thing and returns what goes on record."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from device.errors import ModelError, PasserbyError
from device.settings import ModelSettings, VisionSettings
from device.vision import Catalogue, Eye, default_directory
from tools.console import notes
from tools.lab import forgetting
from tools.lab.bench import allocations, depths, idle, search, steps, sweep
from tools.lab.bench.contest import Conditions, Contested, contest
from tools.lab.bench.filmed import filmed
from tools.lab.bench.live import workloads
from tools.lab.bench.machine import load, machine_of
from tools.lab.bench.material import prepare
from tools.lab.bench.process import ONE_THREAD
from tools.lab.collection import Collection, models_of

_SIZES: Final = (100, 500, 1000, 2000, 10_000, 100_000)
_PEERS: Final = ("dlib", "dlib-small", "ncnn", "ncnn-mobilefacenet", "openvino", "openvino-float32")
_CONTESTANTS: Final = (
    "ours",
    "loop-small",
    "loop-main",
    "frigate-like",
    *_PEERS,
    "ours-built-in",
    "loop-small-built-in",
)
_HURRY: Final = 3
_BRISK: Final = ("ours", "loop-small", "frigate-like", "ncnn", "openvino-float32", "ours-built-in")
"""Those of whom an empty street is asked: it tells what waiting costs."""
_ON_REAL_CLIPS: Final = ("ours", "loop-small", "frigate-like", "dlib", "openvino-float32")
_TIMED: Final = ("walker", "five", "twenty")
_CUTS: Final = (
    "ours",
    "ours-stages",
    "ours-no-gate",
    "ours-every-frame",
    "ours-no-budget",
    "ours-no-second-look",
    "ours-whole-frame",
    "ours-no-cuts",
)


@dataclass(frozen=True)
class Measuring:
    """What the parts are measured with.

    repeats: of what is timed. soak_minutes, minutes: of the whole appliance, of its other parts.
    data: a data set with real clips, or None. peers: the interpreter that has the peers' libraries.
    absent: hears in a sentence what is left out.
    """

    cache: Path
    repeats: int
    soak_minutes: float
    minutes: float
    data: Path | None
    peer_models: Path
    peers: Path
    absent: Callable[[str, str], None] = field(default=lambda _name, _why: None)

    @cached_property
    def models(self) -> dict[str, ModelSettings]:
        """The collections that are here; the built-in one always is."""
        catalogue = Catalogue.read(default_directory())
        found: dict[str, ModelSettings] = {}
        collections: tuple[Collection, ...] = ("operational", "built-in")
        for name in collections:
            try:
                models = models_of(catalogue, name)
                Eye.open(catalogue, models, VisionSettings())
                found[name] = models
            except ModelError as error:
                self.absent(f"models, {name}", str(error))
        return found

    @property
    def collection(self) -> Collection:
        """Operational where they are here."""
        return "operational" if "operational" in self.models else "built-in"

    @cached_property
    def eyes(self) -> dict[str, Eye]:
        """An eye of each collection."""
        catalogue = Catalogue.read(default_directory())
        return {
            name: Eye.open(catalogue, models, VisionSettings())
            for name, models in self.models.items()
        }

    @property
    def conditions(self) -> Conditions:
        """See `tools.lab.bench.contest`."""
        pythons = dict.fromkeys(_PEERS, self.peers) if self.peers.is_file() else {}
        return Conditions(self.repeats, hurry=_HURRY, peer_models=self.peer_models, pythons=pythons)

    def live(self, size: int = 500) -> workloads.Bench:
        """Return the whole appliance's bench with a list of so many."""
        return workloads.Bench(self.cache, self.models[self.collection], size, notes.print)


def _machine(with_: Measuring) -> object:
    return machine_of(list(with_.eyes.values())) | {"load_at_start": load()}


def _steps(with_: Measuring) -> object:
    return steps.steps(with_.eyes, max(with_.repeats, 7))


def _search(with_: Measuring) -> object:
    return search.search_costs(_SIZES, repeats=max(with_.repeats, 11))


def _idle(with_: Measuring) -> object:
    return idle.idle_costs(with_.collection, max(with_.repeats, 7))


def _allocations(with_: Measuring) -> object:
    return allocations.frame_sized(with_.collection)


def _sweep(with_: Measuring) -> object:
    models = with_.models[with_.collection]
    return sweep.thread_sweep([models.detector, models.embedder], with_.repeats)


def _depths(with_: Measuring) -> object:
    return depths.depths(with_.models[with_.collection].detector, with_.repeats)


def _forgetting(with_: Measuring) -> object:
    return forgetting.costs(with_.repeats)


def _told(with_: Measuring, contested: Contested) -> Contested:
    for name, why in contested.absent.items():
        with_.absent(name, why)
    return contested


def _contest(with_: Measuring) -> object:
    clips = prepare(with_.cache, _TIMED)
    return _told(with_, contest(_CONTESTANTS, list(clips.values()), with_.conditions))


def _empty(with_: Measuring) -> object:
    clips = prepare(with_.cache, ["idle"])
    return _told(with_, contest(_BRISK, list(clips.values()), with_.conditions))


def _accuracy(with_: Measuring) -> object:
    clips = prepare(with_.cache, ["passages"])
    return contest(_CONTESTANTS, list(clips.values()), _once(with_.conditions))


def _once(conditions: Conditions) -> Conditions:
    """Whom somebody finds is the same in every repeat."""
    return Conditions(1, warm=False, peer_models=conditions.peer_models, pythons=conditions.pythons)


def _filmed(with_: Measuring) -> object:
    if with_.data is None:
        raise PasserbyError("Real clips were not given (DATA=FOLDER, docs/data.md).")
    with filmed(with_.data) as clip:
        return contest(_ON_REAL_CLIPS, [clip], with_.conditions)


def _ablation(with_: Measuring) -> object:
    clips = prepare(with_.cache, ["walker", "five"])
    return contest(_CUTS, list(clips.values()), with_.conditions)


def _anchors(with_: Measuring) -> object:
    """Run where the peers' libraries are; the figures of one process are comparable anyway."""
    python = with_.peers if with_.peers.is_file() else Path(sys.executable)
    command = [str(python), "-m", "tools.lab.bench.peers.anchor"]
    command += ["--peer-models", str(with_.peer_models)]
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(  # noqa: S603 - our own module
            command,
            env={**os.environ, **ONE_THREAD},
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            check=False,
        )
        said.seek(0)
        lines = said.read().splitlines()
    for line in lines:
        if " is left out: " in line:
            name, _, why = line.partition(" is left out: ")
            with_.absent(name, why)
    if done.returncode != 0:
        raise PasserbyError(f"The anchors could not be measured: {' '.join(lines)[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


PARTS: Final[dict[str, Callable[[Measuring], object]]] = {
    "machine": _machine,
    "steps": _steps,
    "search": _search,
    "idle": _idle,
    "allocations": _allocations,
    "sweep": _sweep,
    "depths": _depths,
    "forgetting": _forgetting,
    "ready": lambda with_: workloads.ready(with_.live()),
    "ready, 2000": lambda with_: workloads.ready(with_.live(2000)),
    "anchors": _anchors,
    "contest": _contest,
    "contest, empty street": _empty,
    "accuracy": _accuracy,
    "filmed": _filmed,
    "ablation": _ablation,
    "twenty": lambda with_: workloads.twenty(with_.live(), with_.minutes),
    "memory": lambda with_: workloads.of_2000(with_.live(), with_.minutes / 2),
    "latency": lambda with_: workloads.latency(with_.live(), 5 * with_.minutes),
    "latency, x25519": lambda with_: workloads.latency(with_.live(), with_.minutes, suite="x25519"),
    # One person again and again: alerts that come faster than the cover lets them go would queue.
    "latency, cover": lambda with_: workloads.latency(
        with_.live(), 2 * with_.minutes, cover="constant", shown="returning"
    ),
    "soak": lambda with_: workloads.soak(with_.live(), with_.soak_minutes),
}
"""By the name of the section, in the order in which they run."""
BOARD: Final = (
    "machine",
    "steps",
    "search",
    "idle",
    "allocations",
    "sweep",
    "depths",
    "ready",
    "anchors",
)
"""What a technician measures on a real board: nothing is rendered for long, no peer is needed."""
