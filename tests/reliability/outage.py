"""72 hours without a broker, 100,000 alerts, a clock that is simulated: bounded, oldest kept.

The real post and outbox on a real file. Three runs: the disk limit comes first (retention set to
96 hours); the retention comes first (24 hours, a large limit); and a disk that is really full, in
the simulated disk. After the outage everything that is left must open, in order, whole.
"""

import sqlite3
import time
from pathlib import Path

from device.alerts.outbox import NAME
from device.alerts.post import Limits, Post
from tests.reliability.proof import Proof, say
from tests.simulators.correspondents import Correspondents
from tests.simulators.disk import Disk
from tests.simulators.drafts import make_draft

_HOURS = 72
_START_NS = 1_790_000_000_000_000_000


class Clock:
    """now_ns: wall clock; now_s: monotonic."""

    def __init__(self):
        self.ns = _START_NS

    def now_ns(self):
        return self.ns

    def now_s(self):
        return (self.ns - _START_NS) / 1e9


def prove(options):
    alerts = 2000 if options.quick else 100_000
    limited = _outage(options, alerts, "limit", outbox_bytes=alerts * 640, keep_h=96)
    aged = _outage(options, alerts, "age", outbox_bytes=10**10, keep_h=24)
    full = _full_disk(min(alerts, 20_000))
    held = (
        limited["oldest kept"]
        and limited["alarm"]
        and limited["file_mb"] * 1e6 < 1.15 * alerts * 640 + 5e6
        and aged["none older than 24 h"]
        and aged["alarm"]
        and all(full.values())
    )
    figures = {
        "alerts": alerts,
        "hours": _HOURS,
        **{f"limit: {key}": value for key, value in limited.items()},
        **{f"retention: {key}": value for key, value in aged.items()},
        **{f"full disk: {key}": value for key, value in full.items()},
    }
    claim = "the outbox stays within its bounds, keeps the oldest, raises the alarm"
    return Proof("outage", claim, bool(held), figures)


def _outage(options, alerts, name, *, outbox_bytes, keep_h):
    clock, between = Clock(), Correspondents(suite="x25519")
    folder = options.work / f"outage-{name}"
    path = folder / NAME
    limits = Limits(outbox_bytes, keep_h * 3600)
    post = Post(path, limits, between.device, now_ns=clock.now_ns, now_s=clock.now_s)
    taken, largest = 0, 0
    step_ns = _HOURS * 3_600_000_000_000 // alerts
    for number in range(alerts):
        clock.ns += step_ns
        taken += post.submit(make_draft(now_ns=clock.ns))
        post.tend()
        if number % (alerts // 20) == 0:
            largest = max(largest, _size(folder))
            say(f"outage, {name}: {number:,} of {alerts:,} alerts, {largest / 1e6:.0f} MB")
    alarms, waits = list(post.alarms), post.waiting()
    started = time.perf_counter()
    sequences, captured_ms = _read_all(post, between)
    seconds = time.perf_counter() - started
    post.close()
    horizon_ms = clock.ns // 1_000_000 - keep_h * 3_600_000 - 60_000 - step_ns // 1_000_000
    return {
        "taken": taken,
        "waiting at the end": waits,
        "opened by the desk": len(sequences),
        "oldest kept": sequences == list(range(taken - len(sequences) + 1, taken + 1)),
        "none older than 24 h": min(captured_ms) >= horizon_ms,
        "file_mb": round(max(largest, _size(folder)) / 1e6, 1),
        "alarm": bool(alarms),
        "alarms": alarms,
        "seconds_to_read": round(seconds, 1),
    }


def _read_all(post, between):
    sequences, captured_ms, number = [], [], 0
    while (entry := post.after(number)) is not None:
        number = entry.number
        cell = between.device.dispatch(entry.letter, entry.queued_ms, delayed=True)
        sequences.append(between.desk.open(cell, "alert").message.data.sequence)
        captured_ms.append(entry.captured_ms)
    return sequences, captured_ms


def _size(folder):
    return sum(file.stat().st_size for file in folder.iterdir())


def _full_disk(alerts):
    """Return what held when the disk itself had no room, and after it had room again."""
    clock, between = Clock(), Correspondents(suite="x25519")
    with Disk() as disk:
        post = Post(
            Path(NAME),  # never opened: `connect` has the disk
            Limits(10**10, 10**9),
            between.device,
            now_ns=clock.now_ns,
            now_s=clock.now_s,
            connect=lambda: sqlite3.connect(disk.uri(), uri=True, check_same_thread=False),
        )
        disk.capacity_bytes = 1_000_000
        for _ in range(alerts):
            clock.ns += 1_000_000_000
            post.submit(make_draft(now_ns=clock.ns))
            post.tend()
        during = " ".join(post.alarms)
        kept = _ids(post, between)
        disk.heal()
        clock.ns += 60_000_000_000
        post.tend()
        after = _ids(post, between)
        newest = post.submit(make_draft(now_ns=clock.ns))
        post.close()
        return {
            "alarm": "disk is full" in during or "outbox is full" in during,
            "some kept": len(kept) > 100,
            "nothing kept was lost": set(kept) <= set(after),
            "works again": bool(newest),
            "no surprise": disk.surprises == [],
        }


def _ids(post, between):
    found = []
    for entry in [*post.in_memory(), *_on_disk(post)]:
        cell = between.device.dispatch(entry.letter, entry.queued_ms, delayed=True)
        found.append(between.desk.open(cell, "alert").message.id)
    return found


def _on_disk(post):
    number = 0
    while (entry := post.after(number)) is not None:
        number = entry.number
        yield entry
