"""Power cuts: no letter that the outbox had taken is lost, and none that was receipted comes back.

How they are simulated: the outbox runs unchanged on the real SQLite, over a disk in memory
(tests/simulators/disk) that knows which writes were synced. A cut strikes at a random operation;
of what was not synced nothing survives, or some sectors in any order, or a beginning, or all. What
it is not: a real card, whose firmware may lie about what it has written.
"""

import random
import sqlite3
from contextlib import suppress

from device.alerts.outbox import Outbox, Sealed
from device.errors import StorageError
from device.protocol.envelope import digest_of
from tests.reliability.proof import Proof
from tests.simulators.disk import MODES, Disk

_LIMIT = 10_000_000
_NOW_MS = 1_790_000_000_000
_SIZES = (80, 800, 5000, 9000)


def prove(options):
    cuts = 60 if options.quick else 2000
    totals = {"cuts": 0, "committed": 0, "lost": 0, "come back": 0, "damaged": 0}
    for number in range(cuts):
        rng = random.Random(f"{options.seed} {number}")
        for key, value in one_cut(rng, MODES[number % len(MODES)]).items():
            totals[key] += value
    control = sum(
        one_cut(random.Random(f"{options.seed} {number}"), "none", synchronous="OFF")["lost"]
        for number in range(20)
    )
    held = not (totals["lost"] or totals["come back"] or totals["damaged"]) and control > 0
    return Proof(
        "power cuts",
        "no committed alert is lost when un-synced writes are dropped",
        held,
        totals | {"lost in 20 cuts without syncing (control)": control},
    )


def one_cut(rng, mode, synchronous="FULL"):
    """Append and receipt until the power fails; return what was counted after the restart."""
    kept, removed = set(), set()
    with Disk() as disk:
        outbox = _opened(disk, synchronous)
        disk.cut_after(rng.randrange(1, 400))
        with suppress(StorageError):
            _use(outbox, rng, kept, removed)
        files = disk.image(rng, mode)
        outbox.close()
        if disk.surprises:
            raise disk.surprises[0]
    counted = {"cuts": 1, "committed": len(kept) + len(removed), "lost": 0, "come back": 0}
    with Disk(files) as disk:
        try:
            outbox = _opened(disk)
        except StorageError:
            return counted | {"damaged": 1, "lost": len(kept)}
        there = set()
        number = 0
        while (entry := outbox.after(number)) is not None:
            number = entry.number
            there.add(entry.digest)
            counted["lost"] += entry.digest != digest_of(entry.letter)
        outbox.close()
    counted["lost"] += len(kept - there)
    counted["come back"] += len(removed & there)
    return counted | {"damaged": 0}


def _opened(disk, synchronous="FULL"):
    outbox = Outbox(
        lambda: sqlite3.connect(disk.uri(), uri=True, check_same_thread=False),
        _LIMIT,
        lambda: _NOW_MS,
    )
    outbox._base.execute(f"PRAGMA synchronous = {synchronous}")
    return outbox


def _use(outbox, rng, kept, removed):
    while True:
        letter = rng.randbytes(rng.choice(_SIZES))
        sealed = Sealed("alert", _NOW_MS, letter)
        outbox.append(lambda _epoch, _sequence, sealed=sealed: sealed)
        kept.add(digest_of(letter))
        if rng.random() < 0.3:
            victim = rng.choice(sorted(kept))
            # While its removal is under way it may be there or not.
            kept.discard(victim)
            outbox.remove(victim)
            removed.add(victim)
