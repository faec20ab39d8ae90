"""One run of the appliance in raw samples, and what they say."""

import os
import re
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from tools.lab.bench.live.appliance import (
    Ended,
    Heard,
    Plan,
    Running,
    Surroundings,
    running,
    surroundings,
)
from tools.lab.bench.live.figures import Interval, Spread, growth, p99, spread
from tools.lab.bench.live.notes import Letter, Processed
from tools.lab.bench.live.schedule import Schedule
from tools.lab.bench.live.watch import Glance, Watch

_SLOPE_FROM: Final = 10
"""The slope is that of the last nine tenths: what a start leaves behind is no growth."""
_SETTLED_S: Final = 480.0
"""Of a shorter run no slope is told: a quarter of a megabyte, taken once, would look like one."""
_COMMON: Final = ("start", "stop", "checkpoint", "alert")


class Observation(msgspec.Struct, frozen=True):
    """Everything that was seen of one run. broker: which. ready_s: see `Running.ready`.

    waiting: (wall clock ns, letters in the outbox) at each change. events: kinds of lines in the
    audit log beyond start, stop, checkpoint and alert, with how many of each. load: processes that
    wanted a core in the last minute of the run, those of the bench among them.
    """

    schedule: Schedule
    broker: str
    suite: str
    cover: str
    list_size: int
    ready_s: tuple[float, float]
    origin_ns: int
    glances: list[Glance]
    frames: list[Processed]
    letters: list[Letter]
    waiting: list[tuple[int, int]]
    heard: list[Heard]
    ended: Ended
    events: dict[str, int]
    load: float


class Memory(msgspec.Struct, frozen=True):
    """Megabytes (10^6). Without the camera's buffers, which are the driver's on a Pi.

    growth_mb_h: per hour, over the last nine tenths; None for too short a run.
    """

    start_mb: float
    tenth_mb: float
    end_mb: float
    most_mb: float
    buffers_mb: float
    growth_mb_h: Interval | None


class Delivery(msgspec.Struct, frozen=True):
    """From the moment a frame was captured, in milliseconds; captured_at is cut to whole ones.

    raised: as the appliance counts. queued: on the device's disk, sealed. received: handed out by
    the gateway. receipted: the receipt has emptied the outbox.
    """

    raised: int
    received: int
    queued_ms: Spread
    received_ms: Spread
    received_p99_ms: Interval | None
    receipted_ms: Spread
    waiting_most: int
    waiting_end: int


class Stretched(msgspec.Struct, frozen=True):
    """One kind of stretch of the schedule. core: share of one core. work_ms: of a frame, processor.

    began_ms, ended_ms: the frames' ages.
    """

    core: float
    began_ms: Spread
    ended_ms: Spread
    work_ms: Spread


def observe(plan: Plan, seconds: float) -> Observation:
    """Run the appliance for some seconds after it is ready. Raises PasserbyError."""
    with tempfile.TemporaryDirectory(prefix="passerby-bench-") as folder:
        with surroundings(plan, Path(folder)) as made, running(made) as runs:
            ready_s = runs.wait_until_ready()
            with Watch(runs.process.process) as watch:
                runs.sleep(seconds)
            # The gateway hands out the last alerts while the appliance waits for their receipts.
            ended = runs.end()
        return _observation(made, runs, (ready_s, watch.glances, ended))


def _observation(
    made: Surroundings, runs: Running, found: tuple[tuple[float, float], list[Glance], Ended]
) -> Observation:
    ready_s, glances, ended = found
    notes = runs.notes()
    return Observation(
        schedule=made.plan.schedule,
        broker=made.broker,
        suite=made.plan.suite,
        cover=made.plan.cover,
        list_size=made.plan.list_size,
        ready_s=ready_s,
        origin_ns=runs.origin_ns,
        glances=glances,
        frames=notes.frames,
        letters=notes.letters,
        waiting=notes.waiting,
        heard=made.heard,
        ended=ended,
        events=_events(made.work / "state/audit.jsonl"),
        load=os.getloadavg()[0],
    )


def _events(log: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in log.read_bytes().splitlines() if log.exists() else []:
        kind = str(msgspec.json.decode(line)["event"])
        if kind not in _COMMON:
            counts[kind] = counts.get(kind, 0) + 1
    return counts


def counted(seen: Observation, words: str) -> int:
    """Return a number of the appliance's own ledger; -1 when it has no such line."""
    for line in seen.ended.ledger:
        found = re.match(rf"{re.escape(words)}\s+(\d+)", line)
        if found:
            return int(found[1])
    return -1


def memory(seen: Observation) -> Memory:
    """Return how much memory the appliance had, and how fast it grew."""
    glances = seen.glances
    own = [glance.own_mb for glance in glances]
    later = glances[len(glances) // _SLOPE_FROM :]
    long = later[-1].at_s - later[0].at_s >= _SETTLED_S
    return Memory(
        start_mb=own[0],
        tenth_mb=own[len(own) // 10],
        end_mb=own[-1],
        most_mb=max(own),
        buffers_mb=max(glance.shared_mb for glance in glances),
        growth_mb_h=growth([g.at_s for g in later], [g.own_mb for g in later]) if long else None,
    )


def delivery(seen: Observation) -> Delivery:
    """Return how long alerts took."""
    letters = {letter.sequence: letter for letter in seen.letters}
    # At least once: of a repetition the first counts.
    heard = {one.sequence: one for one in reversed(seen.heard)}
    known = [(one, letters[one.sequence]) for one in heard.values() if one.sequence in letters]
    received = [(one.heard_ns - one.captured_ns) / 1e6 for one in heard.values()]
    return Delivery(
        raised=counted(seen, "alerts"),
        received=len(heard),
        queued_ms=spread([(letter.kept_ns - one.captured_ns) / 1e6 for one, letter in known]),
        received_ms=spread(received),
        received_p99_ms=p99(received) if received else None,
        receipted_ms=spread(
            [
                (letter.receipted_ns - one.captured_ns) / 1e6
                for one, letter in known
                if letter.receipted_ns is not None
            ]
        ),
        waiting_most=max((count for _, count in seen.waiting), default=0),
        waiting_end=seen.waiting[-1][1] if seen.waiting else 0,
    )


def stretches(seen: Observation) -> dict[str, Stretched]:
    """Return ages and processor time by the name of the stretch that was shown."""
    names = dict.fromkeys(one.name for one in seen.schedule.stretches)
    frames = {name: [f for f in seen.frames if _shown(seen, f.taken_ns) == name] for name in names}
    cores = _cores(seen)
    return {
        name: Stretched(
            core=cores.get(name, 0.0),
            began_ms=spread([frame.began_ms for frame in frames[name]]),
            ended_ms=spread([frame.ended_ms for frame in frames[name]]),
            work_ms=spread([frame.worked_ns / 1e6 for frame in frames[name]]),
        )
        for name in names
    }


def _cores(seen: Observation) -> dict[str, float]:
    """Return processor seconds per second of each kind of stretch, all threads together."""
    totals: dict[str, tuple[float, float]] = {}
    for before, after in zip(seen.glances, seen.glances[1:], strict=False):
        name = _shown(seen, round(before.at_s * 1e9))
        if name is None or name != _shown(seen, round(after.at_s * 1e9)):
            continue
        used, passed = totals.get(name, (0.0, 0.0))
        totals[name] = used + after.cpu_s - before.cpu_s, passed + after.at_s - before.at_s
    return {name: used / passed for name, (used, passed) in totals.items()}


def _shown(seen: Observation, at_ns: int) -> str | None:
    """Return which stretch the camera showed at a moment since boot."""
    if not seen.origin_ns or at_ns < seen.origin_ns:
        return None
    tick = int((at_ns - seen.origin_ns) * seen.schedule.rate / 1e9)
    return seen.schedule.stretches[seen.schedule.at(tick)[0]].name
