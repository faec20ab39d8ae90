"""Two clocks that a test turns, and cases of the rules about them.

`FAULTS` are cases in which one rule of `device.policy.clock` alone disbelieves the clock; in `FINE`
none does.
"""

from dataclasses import dataclass

from device.policy.clock import BUILT_NS, Anchor, Clock, Reading

S = 10**9
MINUTE = 60 * S
HOUR = 60 * MINUTE
T0 = BUILT_NS + 100 * 24 * HOUR
BOOT = "boot-1"


@dataclass(frozen=True)
class Case:
    clock: Clock
    reading: Reading
    signed_ns: int = 0


def reading(wall_ns, boot_ns=HOUR, *, boot=BOOT, synchronised=True):
    return Reading(wall_ns, boot_ns, boot, synchronised)


def anchored(source, wall_ns=T0, boot_ns=HOUR, seen_ns=T0):
    return Clock(seen_ns, Anchor(BOOT, boot_ns, wall_ns, source))


DRIFT = 2 * HOUR // 5000

FAULTS = {
    "below what was seen": Case(Clock(T0), reading(T0 - 5 * MINUTE - 1)),
    "below the authorisation": Case(Clock(), reading(T0), T0 + 5 * MINUTE + 1),
    "before this software": Case(Clock(), reading(BUILT_NS - 5 * MINUTE - 1)),
    "at the epoch": Case(Clock(), reading(0)),
    "ahead of the desk": Case(anchored("desk"), reading(T0 + 5 * MINUTE + 1)),
    "ahead of the desk after hours": Case(
        anchored("desk"), reading(T0 + 2 * HOUR + 5 * MINUTE + DRIFT + 1, 3 * HOUR)
    ),
    "behind the desk": Case(anchored("desk", seen_ns=0), reading(T0 + HOUR - 6 * MINUTE, 2 * HOUR)),
    "no time source": Case(Clock(T0), reading(T0, synchronised=False)),
    "no time source, once synchronised": Case(
        anchored("time source"), reading(T0, synchronised=False)
    ),
    "answered in an earlier boot": Case(
        anchored("desk"), reading(T0, boot="boot-2", synchronised=False)
    ),
    "jumped ahead": Case(anchored("start"), reading(T0 + HOUR, HOUR + MINUTE, synchronised=None)),
    "jumped back": Case(
        anchored("start", seen_ns=0),
        reading(T0 - HOUR, HOUR + MINUTE, synchronised=None),
    ),
    "jumped, once synchronised": Case(
        anchored("time source"), reading(T0 + HOUR, HOUR + MINUTE, synchronised=None)
    ),
}

FINE = {
    "synchronised": Case(Clock(T0), reading(T0)),
    "a little behind": Case(Clock(T0), reading(T0 - 5 * MINUTE)),
    "nobody can say whether synchronised": Case(Clock(T0), reading(T0, synchronised=None)),
    "answered, no time source": Case(anchored("desk"), reading(T0, synchronised=False)),
    "answered, nearly five minutes apart": Case(anchored("desk"), reading(T0 + 5 * MINUTE)),
    "answered, drifted for hours": Case(
        anchored("desk"), reading(T0 + 2 * HOUR + 5 * MINUTE + DRIFT, 3 * HOUR, synchronised=False)
    ),
    "jumped, and found its time source": Case(
        anchored("start"), reading(T0 + 9 * HOUR, HOUR + MINUTE)
    ),
    "a first reading in another boot": Case(
        anchored("start"), reading(T0 + 9 * HOUR, S, boot="boot-2", synchronised=None)
    ),
    "suspended for hours": Case(
        anchored("start"), reading(T0 + 9 * HOUR, 10 * HOUR, synchronised=None)
    ),
}


class Clocks:
    """A wall clock and a boot clock. Called, they give a reading, for `TrustedTime(read=)`."""

    def __init__(self, wall_ns=T0, *, synchronised=True):
        self.wall_ns = wall_ns
        self.boot_ns = HOUR
        self.boot = BOOT
        self.synchronised = synchronised

    def __call__(self):
        return Reading(self.wall_ns, self.boot_ns, self.boot, self.synchronised)

    def pass_by(self, duration_ns):
        """Both clocks go on."""
        self.wall_ns += duration_ns
        self.boot_ns += duration_ns

    def restart(self, wall_ns):
        """Lose the power, and start again with this time."""
        self.wall_ns = wall_ns
        self.boot_ns = 20 * S
        self.boot += "+"
