"""The contest: every contestant in a process of its own, the repeats of all interleaved.

In each repeat everybody is shown each clip once, one contestant after the other, in an order that
turns by one each time: what else the machine does falls on all alike. All processes live from start
to end; while one works the others wait for a line and cost nothing. Every raw run is returned.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
from rich.progress import Progress

from device.errors import ConfigurationError
from tools.console import notes
from tools.lab.bench.clip import Clip
from tools.lab.bench.contestant import CONTESTANTS, PEER_MODELS
from tools.lab.bench.process import Server, Worker, WorkerError
from tools.lab.bench.worker import Run

LEAST_REPEATS = 5


class RawRun(msgspec.Struct, frozen=True):
    """One clip shown once to one contestant. repeat: from 0. place: in the order of that repeat."""

    contestant: str
    repeat: int
    place: int
    run: Run


class Contested(msgspec.Struct):
    """All that a contest found out.

    By contestant: names, versions, enrolled (how many references it has), absent (why it did not
    take part, or did not reach the end; its earlier runs are kept).
    """

    names: dict[str, str] = msgspec.field(default_factory=dict)
    versions: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    enrolled: dict[str, int] = msgspec.field(default_factory=dict)
    absent: dict[str, str] = msgspec.field(default_factory=dict)
    runs: list[RawRun] = msgspec.field(default_factory=list)


@dataclass(frozen=True)
class Conditions:
    """How a contest is run.

    repeats: of every clip. warm: show the shortest clip once before, uncounted. pythons: the
    interpreter of those contestants whose libraries are not in this environment. hurry: see
    `run_clip`.
    """

    repeats: int = LEAST_REPEATS
    warm: bool = True
    hurry: int = 1
    peer_models: Path = PEER_MODELS
    pythons: Mapping[str, Path] = field(default_factory=dict)

    def start(self, name: str) -> Server:
        """Start a contestant's process. Raises WorkerError."""
        python = self.pythons.get(name, Path(sys.executable))
        return Worker(name, self.peer_models, python, self.hurry)


def contest(
    contestants: Sequence[str],
    folders: Sequence[Path],
    conditions: Conditions,
    start: Callable[[str], Server] | None = None,
) -> Contested:
    """Let contestants run over clips. A contestant that fails is out, and said to be.

    folders: of clips with the same references. start: makes a contestant's server; the conditions'
    own by default. Raises ConfigurationError for an unknown contestant, no clip or other lists.
    """
    unknown = [name for name in contestants if name not in CONTESTANTS]
    if start is None and unknown:
        raise ConfigurationError(
            f'No contestant is called "{unknown[0]}": {", ".join(CONTESTANTS)}.'
        )
    clips = [Clip.open(folder) for folder in folders]
    stills = _references(clips)
    contested = Contested()
    servers: dict[str, Server] = {}
    try:
        for name in contestants:
            _admit(name, start or conditions.start, servers, contested)
        for name in list(servers):
            _try(name, servers, contested, partial(_enrol, servers[name], name, stills, contested))
        _run(clips, conditions, servers, contested)
    finally:
        for server in servers.values():
            server.close()
    return contested


def _references(clips: Sequence[Clip]) -> list[Path]:
    if not clips:
        raise ConfigurationError("A contest needs a clip.")
    names = [{still.name for still in clip.references} for clip in clips]
    if not names[0] or any(other != names[0] for other in names):
        raise ConfigurationError("The clips of a contest must have the same references.")
    return clips[0].references


def _admit(
    name: str, start: Callable[[str], Server], servers: dict[str, Server], contested: Contested
) -> None:
    try:
        server = start(name)
    except WorkerError as error:
        contested.absent[name] = str(error)
        return
    if server.absent:
        contested.absent[name] = server.absent
        server.close()
    else:
        servers[name] = server


def _enrol(server: Server, name: str, stills: Sequence[Path], contested: Contested) -> None:
    contested.names[name], contested.versions[name] = server.versions()
    contested.enrolled[name] = len(server.enrol(stills))


def _try(
    name: str, servers: dict[str, Server], contested: Contested, step: Callable[[], object]
) -> None:
    """Do something with a contestant; when it cannot, it is out."""
    try:
        step()
    except WorkerError as error:
        contested.absent[name] = str(error)
        servers.pop(name).close()


def _run(
    clips: Sequence[Clip], conditions: Conditions, servers: dict[str, Server], contested: Contested
) -> None:
    rounds = len(servers) * (conditions.repeats * len(clips) + conditions.warm)
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task("contesting", total=rounds)

        def show(name: str, clip: Clip, keep: Callable[[Run], object]) -> None:
            progress.update(task, description=f"{clip.truth.name}: {name}")
            _try(name, servers, contested, lambda: keep(servers[name].show(clip.folder)))
            progress.advance(task)

        if conditions.warm:
            for name in list(servers):
                show(name, min(clips, key=len), lambda _: None)
        for repeat in range(conditions.repeats):
            for clip in clips:
                for place, name in enumerate(turned(list(servers), repeat)):
                    show(name, clip, partial(_keep, contested, name, repeat, place))


def _keep(contested: Contested, name: str, repeat: int, place: int, run: Run) -> None:
    contested.runs.append(RawRun(name, repeat, place, run))


def turned(names: list[str], by: int) -> list[str]:
    """Return the names from another one on, the first ones last."""
    first = by % len(names) if names else 0
    return names[first:] + names[:first]
