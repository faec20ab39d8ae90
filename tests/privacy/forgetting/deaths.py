"""How the appliance can die in the middle of a face, and what is left on the disk then.

A process that is gone has no memory any more: the kernel hands out its pages only after it has
filled them with zeros. So what counts is what it wrote, and whether its death wrote a core file.
"""

import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.privacy.forgetting import disk
from tests.privacy.forgetting.appliance import Appliance
from tests.privacy.forgetting.memory import Memory
from tests.privacy.forgetting.needles import Needles
from tests.privacy.forgetting.people import frames
from tests.privacy.forgetting.shadow import Shadow
from tests.privacy.forgetting.surroundings import crash, dump_limits

WAYS = {
    "SIGKILL, as by the system when memory runs out": signal.SIGKILL,
    "SIGSEGV, as by an error in a library": signal.SIGSEGV,
    "SIGABRT, as by a library that gives up": signal.SIGABRT,
    "SIGTERM, as by the service manager": signal.SIGTERM,
}
_LATEST_S = 0.06


@dataclass
class Death:
    """finds: on the disk, and for SIGTERM in memory too. cores: core files. rules: broken."""

    way: str
    faces: int = 0
    finds: list = field(default_factory=list)
    cores: list = field(default_factory=list)
    rules: list = field(default_factory=list)
    in_the_middle: bool = False

    @property
    def clean(self):
        return not (self.finds or self.cores or self.rules)


def die(folder, way, seed, *, pool, port=1):
    """Let some people pass, and the appliance die with a face in hand; return what is left."""
    death, chance = Death(way), random.Random(f"{seed} {way}")
    appliance = Appliance(Path(folder), port=port, verbose=True)
    with appliance:
        shadow, few = Shadow(watchlist=appliance.watchlist), []
        *before, last = frames(seed, 3, pool=pool)
        for frame in before:
            few += shadow.few(frame)
            death.faces += appliance.show(frame).faces
        few += shadow.few(last)
        needles = Needles(few)
        if dump_limits(appliance.pid) != (0, 0):
            death.rules.append("It may write core files.")
        shown = appliance.send(last)
        while shown.filled_ns is None:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, _LATEST_S))
        death.in_the_middle = not shown.over
        if WAYS[way] is signal.SIGTERM:
            appliance.end()
            death.finds += Memory(appliance.pid).search(needles).finds
            appliance.release_end()
        else:
            death.cores = crash(appliance.pid, WAYS[way], wait=appliance.kill)
    death.finds += disk.search(appliance.folder, needles)
    return death
