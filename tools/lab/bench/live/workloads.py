"""What is measured of the whole appliance. Each function returns raw samples and their figures.

twenty, soak, latency and memory are one kind of run with different schedules; `ready` starts the
appliance again and again.
"""

import compileall
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

import device
from device.protocol.cell import SuiteName
from device.settings import ModelSettings
from tools.lab.bench.live.appliance import Plan, Surroundings, running, surroundings
from tools.lab.bench.live.observation import (
    Delivery,
    Memory,
    Observation,
    Stretched,
    counted,
    delivery,
    memory,
    observe,
    stretches,
)
from tools.lab.bench.live.reels import photos, reels
from tools.lab.bench.live.schedule import Schedule, Stretch
from tools.lab.bench.live.watch import glance, waited_s

Told = Callable[[str], None]
"""Hears in a sentence what is being done."""

_COOLDOWN_S: Final = 5.0
_SHORT_S: Final = 1.0
_COVERED_S: Final = 15.0
_MOST_S: Final = 3600.0


class Run(msgspec.Struct, frozen=True):
    """A run's figures, and all that was seen.

    late: frames that were too old to be processed. superseded: a newer one came before their turn.

    descriptors, threads: fewest and most after the first tenth. celsius: the most, or None.
    """

    minutes: float
    memory: Memory
    delivery: Delivery
    stretches: dict[str, Stretched]
    late: int
    superseded: int
    descriptors: tuple[int, int]
    threads: tuple[int, int]
    celsius: float | None
    seen: Observation


class Start(msgspec.Struct, frozen=True):
    """Until the first frame was processed. said_s: as it prints. seconds: from before the process.

    cpu_s: processor seconds, of all threads; another program on the machine changes it little.
    waited_s: of the seconds those in which other programs had the cores.
    """

    said_s: float
    seconds: float
    cpu_s: float
    waited_s: float


class Starts(msgspec.Struct, frozen=True):
    """Starts until ready. first: with a fresh state directory, in which it makes its keys.

    median_alone_s: without the seconds in which other programs had the cores: what a machine of its
    own would take, about. load: processes that wanted a core in the minute at the end.
    """

    list_size: int
    first: Start
    warm: list[Start]
    median_said_s: float
    median_s: float
    least_s: float
    most_s: float
    median_cpu_s: float
    median_alone_s: float
    load: float


class Bench(msgspec.Struct, frozen=True):
    """Where clips are kept, and with which models the appliance runs. told: see `Told`."""

    cache: Path
    models: ModelSettings = ModelSettings()
    list_size: int = 500
    told: Told = lambda _words: None

    def plan(self, shown: list[tuple[str, float]], cooldown_s: float = 60.0) -> Plan:
        """Return a plan that shows clips for so many seconds each, round and round."""
        folders = reels(self.cache, list(dict.fromkeys(name for name, _ in shown)))
        parts = [Stretch(name, str(folders[name]), seconds) for name, seconds in shown]
        return Plan(
            Schedule(parts),
            photos(folders) or photos(reels(self.cache, ["walker"])),
            models=self.models,
            list_size=self.list_size,
            cooldown_s=cooldown_s,
        )


def figures(seen: Observation) -> Run:
    """Return the figures of a run."""
    later = seen.glances[len(seen.glances) // 10 :]
    descriptors = [glance.descriptors for glance in later]
    threads = [glance.threads for glance in later]
    warmth = [glance.celsius for glance in later if glance.celsius is not None]
    late = counted(seen, "too old, unread")
    return Run(
        minutes=(seen.glances[-1].at_s - seen.glances[0].at_s) / 60,
        memory=memory(seen),
        delivery=delivery(seen),
        stretches=stretches(seen),
        late=late,
        superseded=max(0, seen.ended.camera.given - len(seen.frames) - max(0, late)),
        descriptors=(min(descriptors), max(descriptors)),
        threads=(min(threads), max(threads)),
        celsius=max(warmth, default=None),
        seen=seen,
    )


def twenty(bench: Bench, minutes: float = 2.0) -> Run:
    """Twenty faces in view all the time: how old frames are, whether anything piles up."""
    bench.told(f"twenty faces, {minutes:g} minutes")
    return figures(observe(bench.plan([("twenty", 60.0)], _COOLDOWN_S), minutes * 60))


def soak(bench: Bench, minutes: float = 30.0) -> Run:
    """What a day brings, mixed: whether memory grows, what idling costs, whether alerts arrive."""
    bench.told(f"soak, {minutes:g} minutes")
    shown = [("idle", 20.0), ("walker", 10.0), ("five", 10.0), ("idle", 20.0), ("twenty", 10.0)]
    return figures(observe(bench.plan(shown, _COOLDOWN_S), minutes * 60))


def latency(
    bench: Bench,
    minutes: float = 10.0,
    *,
    suite: SuiteName = "mlkem768-x25519",
    cover: Literal["constant", "off"] = "off",
    shown: Literal["procession", "returning"] = "procession",
) -> Run:
    """Enrolled people walk past, one after the other: how long until the desk has their alert.

    shown: see `SPLICED`.
    """
    bench.told(f"latency of alerts, {suite}, cover {cover}, {minutes:g} minutes")
    # With cover one letter leaves per period: alerts that come faster would only queue up.
    plan = bench.plan([(shown, _MOST_S)], _SHORT_S if cover == "off" else _COVERED_S)
    plan = msgspec.structs.replace(plan, suite=suite, cover=cover)
    return figures(observe(plan, minutes * 60))


def of_2000(bench: Bench, minutes: float = 1.0) -> Run:
    """Five faces and a list of 2,000: how much memory the appliance needs."""
    bench.told(f"memory with a list of 2,000, {minutes:g} minutes of five faces")
    larger = msgspec.structs.replace(bench, list_size=2000)
    return figures(observe(larger.plan([("five", 60.0)], _COOLDOWN_S), minutes * 60))


def ready(bench: Bench, starts: int = 10) -> Starts:
    """Start the appliance again and again: how long until its first frame was processed.

    starts: those after the first one, at least one.
    """
    bench.told(f"{starts + 1} starts with a list of {bench.list_size:,}")
    # As the installation does (tools/setup/venv.sh).
    compileall.compile_dir(next(iter(device.__path__)), quiet=1)
    plan = msgspec.structs.replace(bench.plan([("idle", 60.0)]), notes=False)
    with (
        tempfile.TemporaryDirectory(prefix="passerby-bench-") as folder,
        surroundings(plan, Path(folder), gateway=False) as made,
    ):
        first, *warm = [_start(made) for _ in range(starts + 1)]
    return Starts(
        bench.list_size,
        first,
        warm,
        median_said_s=statistics.median(start.said_s for start in warm),
        median_s=statistics.median(start.seconds for start in warm),
        least_s=min(start.seconds for start in warm),
        most_s=max(start.seconds for start in warm),
        median_cpu_s=statistics.median(start.cpu_s for start in warm),
        median_alone_s=statistics.median(start.seconds - start.waited_s for start in warm),
        load=os.getloadavg()[0],
    )


def _start(made: Surroundings) -> Start:
    with running(made) as runs:
        said_s, seconds = runs.wait_until_ready()
        process = runs.process.process
        cpu_s, without_core_s = glance(process).cpu_s, waited_s(process)
        runs.end()
    return Start(said_s, seconds, cpu_s, without_core_s)
