"""The whole appliance as a technician runs it: `passerby run`, its broker, its desk, its camera.

Every program is a process of its own in a temporary folder. Only the camera is played
(`fake/picamera2.py`), and it costs the appliance what a real one's library would at least.
"""

import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np

from device.errors import MessageError, PasserbyError
from device.protocol.alert import decode_alert
from device.protocol.cell import SuiteName
from device.protocol.identifiers import utc_ns
from device.settings import (
    AlertSettings,
    CameraSettings,
    DeskSettings,
    DeviceSettings,
    MatchingSettings,
    ModelSettings,
    Settings,
    WatchlistSettings,
)
from tools.lab.back_office import make_desk
from tools.lab.bench.live import fake
from tools.lab.bench.live.children import Child, Order
from tools.lab.bench.live.estate import (
    LIST,
    broker_settings,
    make_list,
    start_broker,
    start_gateway,
    write_toml,
)
from tools.lab.bench.live.fake.picamera2 import VARIABLE as CAMERA
from tools.lab.bench.live.fake.sitecustomize import VARIABLE as NOTES
from tools.lab.bench.live.notes import Notes, read_notes
from tools.lab.bench.live.schedule import BUFFERS, Schedule
from tools.lab.bench.live.sensor import WAITING, Counts

_READY_S: Final = 60.0
_POLL_S: Final = 0.05
_FAKE: Final = Path(next(iter(fake.__path__)))
_TAKEN_OUT: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GLIBC_TUNABLES")
"""Of this program's environment: a device's service sets none of them."""


class Plan(msgspec.Struct, frozen=True):
    """What to run. photos: who is enrolled. list_size: filled up with references of nobody.

    notes: whether the watch with the pencil looks on; off where the start is timed. port: of the
    broker, 0 for a free one.
    """

    schedule: Schedule
    photos: list[Path]
    models: ModelSettings = ModelSettings()
    list_size: int = 500
    cover: Literal["constant", "off"] = "off"
    suite: SuiteName = "mlkem768-x25519"
    cooldown_s: float = 60.0
    notes: bool = True
    port: int = 0


class Heard(msgspec.Struct, frozen=True):
    """An alert, as the gateway handed it out. Wall clock in ns; captured: cut to whole ms."""

    sequence: int
    captured_ns: int
    heard_ns: int
    reference: str


class Ended(msgspec.Struct, frozen=True):
    """How a run ended. code: of the appliance. ledger: its lines. camera: what became of ticks."""

    code: int
    ledger: list[str]
    camera: Counts


@dataclass
class Surroundings:
    """What is there before an appliance starts, and stays when it is started again."""

    work: Path
    plan: Plan
    settings: Settings
    broker: str
    gateway: Child | None = None
    heard: list[Heard] = field(default_factory=list)

    @property
    def notes_file(self) -> Path:
        """Where the pencil writes."""
        return self.work / "notes"


@contextmanager
def surroundings(plan: Plan, work: Path, *, gateway: bool = True) -> Iterator[Surroundings]:
    """Make the list, start broker and gateway. Raises PasserbyError."""
    with ExitStack() as stack:
        port, name = start_broker(stack, work, plan.port or None)
        make_desk(work)
        make_list(work, plan.photos, plan.models, plan.list_size)
        settings = _settings(plan, work, port)
        write_toml(work / "device.toml", msgspec.to_builtins(settings))
        made = Surroundings(work, plan, settings, name)
        if gateway:
            made.gateway = start_gateway(
                stack, work, settings, lambda at, line: _hear(made, at, line)
            )
        yield made


def _hear(made: Surroundings, at_ns: int, line: str) -> None:
    try:
        alert = decode_alert(line.encode())
    except MessageError:
        return  # a status
    data = alert.data
    captured_ns = utc_ns(data.captured_at)
    made.heard.append(Heard(data.sequence, captured_ns, at_ns, data.reference_id))


def _settings(plan: Plan, work: Path, port: int) -> Settings:
    (width, height), (lores_width, _) = _sizes(plan.schedule)
    return Settings(
        device=DeviceSettings("bench", "bench", str(work / "state"), demonstration=True),
        camera=CameraSettings(
            "picamera2",
            width=width,
            height=height,
            lores_width=lores_width,
            frames_per_second=plan.schedule.rate,
        ),
        watchlist=WatchlistSettings(str(work / LIST)),
        models=plan.models,
        matching=MatchingSettings(cooldown_s=plan.cooldown_s),
        broker=broker_settings(port),
        desk=DeskSettings(str(work / "desk.pub"), plan.suite),
        alerts=AlertSettings(cover=plan.cover),
    )


def _sizes(schedule: Schedule) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return width and height of both streams. Raises PasserbyError when clips differ."""
    found = set()
    for stretch in schedule.stretches:
        shapes = [
            np.load(Path(stretch.clip) / f"{name}.npy", mmap_mode="r").shape
            for name in ("main", "lores")
        ]
        found.add(tuple((shape[2], shape[1] * 2 // 3) for shape in shapes))
    if len(found) != 1:
        raise PasserbyError(f"A camera has one size, the clips of the schedule have: {found}.")
    ((main, lores),) = found
    return main, lores


class Running:
    """An appliance that runs, and its sensor; see `running`."""

    def __init__(self, made: Surroundings, sensor: Child, process: Child, told: list[str]) -> None:
        self.made = made
        self.sensor = sensor
        self.process = process
        self.output: list[str] = []
        self._told = told

    @property
    def origin_ns(self) -> int:
        """When the schedule began, in nanoseconds since boot; 0 before."""
        return int(self._told[0]) if self._told else 0

    @property
    def ready(self) -> tuple[float, float] | None:
        """Seconds until `ready after`: as it says itself, and from before the process began."""
        said = self.process.said("ready after ")
        if said is None:
            return None
        found = re.search(r"ready after ([0-9.]+) s", said[1])
        printed = float(found[1]) if found else float("nan")
        return printed, (said[0] - self.process.started_ns) / 1e9

    def wait_until_ready(self) -> tuple[float, float]:
        """Wait for the first processed frame; return `ready`."""
        self.process.wait_for(lambda: self.ready is not None, "to start", _READY_S)
        return self.ready or (0.0, 0.0)

    def check(self) -> None:
        """Raise PasserbyError when any of the programs has ended by itself."""
        for child in (self.process, self.sensor, self.made.gateway):
            if child is not None:
                child.check()

    def sleep(self, seconds: float) -> None:
        """Let it run, and look after it. Raises PasserbyError."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, _POLL_S))

    def notes(self) -> Notes:
        """Return what the pencil has written so far."""
        return read_notes(self.made.notes_file)

    def end(self) -> Ended:
        """Stop it as a service is stopped; the camera ends after it."""
        code = self.process.stop()
        self.sensor.stop()
        counts = (
            msgspec.json.decode(self._told[-1], type=Counts) if len(self._told) > 1 else Counts()
        )
        return Ended(code, list(self.output), counts)


@contextmanager
def running(made: Surroundings) -> Iterator[Running]:
    """Start sensor and appliance; both end with the context. See `Running`."""
    with ExitStack() as stack:
        ours, theirs, memory = _cable(stack, made.plan.schedule)
        made.plan.schedule.write(made.work / "schedule.json")
        told: list[str] = []
        output: list[str] = []
        sensor = stack.enter_context(Child(_of_sensor(made, (ours.fileno(), memory), told)))
        # A real one needs no time of this machine's to be there.
        sensor.wait_for(lambda: sensor.said(WAITING) is not None, "to start", _READY_S)
        order = _of_appliance(made, (theirs.fileno(), memory), output)
        process = stack.enter_context(Child(order))
        # Each end is now in one process only: it notices when the other one is gone.
        ours.close()
        theirs.close()
        runs = Running(made, sensor, process, told)
        runs.output = output
        yield runs


def _of_sensor(made: Surroundings, inherited: tuple[int, int], told: list[str]) -> Order:
    command = [sys.executable, "-m", "tools.lab.bench.live.sensor"]
    command += [str(made.work / "schedule.json"), *map(str, inherited)]
    return Order("sensor", command, pass_fds=inherited, on_line=lambda _at, line: told.append(line))


def _of_appliance(made: Surroundings, inherited: tuple[int, int], output: list[str]) -> Order:
    beside = Path(sys.executable).with_name("passerby")
    program = [str(beside)] if beside.exists() else [sys.executable, "-m", "device.cli.main"]
    return Order(
        "appliance",
        [*program, "run", "--config", str(made.work / "device.toml"), "--ledger"],
        environment=_environment(made, inherited),
        pass_fds=inherited,
        on_line=lambda _at, line: output.append(line),
    )


def _cable(stack: ExitStack, schedule: Schedule) -> tuple[socket.socket, socket.socket, int]:
    """Return two ends of a cable and the camera's memory, which has no name in any folder."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stack.callback(ours.close)
    stack.callback(theirs.close)
    memory = os.memfd_create("bench-camera")
    stack.callback(os.close, memory)
    os.ftruncate(memory, BUFFERS * sum(w * h * 3 // 2 for w, h in _sizes(schedule)))
    return ours, theirs, memory


def _environment(made: Surroundings, descriptors: tuple[int, int]) -> Mapping[str, str]:
    sizes: list[Any] = [number for size in _sizes(made.plan.schedule) for number in size]
    environment = {name: text for name, text in os.environ.items() if name not in _TAKEN_OUT}
    paths = [str(_FAKE), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    environment[CAMERA] = ",".join(map(str, [*descriptors, *sizes, BUFFERS]))
    if made.plan.notes:
        environment[NOTES] = str(made.notes_file)
    return environment
