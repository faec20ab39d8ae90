"""Trusted time (R6, R7, R24): when the clock of this device is believed. Rules only.

A device has a clock that anybody with a hand on it, or on its network, can turn; often it has none
that runs without power. So the clock is believed only within what is known otherwise.

The floor is the highest time that has surely passed: the time at which this software was made, the
time at which the installed authorisation was signed, the newest time that the desk has signed
(orders, answers), and the clock's own progress while it was believed, kept over restarts.

The anchor is one moment at which clock and boot time (which no one can turn) were read together:
the first reading after the boot, or a better one: under a synchronised clock, or at an answer of
the desk that is bound to this device's own question.

The clock is believed when all of this holds, asked in this order:
 1. what was kept of the clock can be read;
 2. it is not more than five minutes below the floor: else it was set back, or lost;
 3. against the desk's answer it is not off by more than five minutes and its drift: clock and desk
    must agree;
 4. it is synchronised, or the desk has answered since the boot. Where the system cannot say
    whether it is synchronised, this holds: then the floor alone protects;
 5. against the first reading it has not jumped by more than five minutes and its drift, in either
    direction, unless it is synchronised: a clock that found its time source may jump.

What the desk's answer may do that nothing else may: lower the floor again, as far as it came from
messages and the clock's own progress. Somebody who turns the clock far ahead while it is believed
poisons the floor: every true time is then below it, and the device compares nothing. Only whoever
holds the desk's signing key can answer a question of this very moment, so that an answer is better
evidence than progress that this device has only believed. The authorisation's own time and the
software's stay: no answer lowers those; a wrong one is signed again.

An answer that took longer than five minutes says too little about now and confirms nothing: a
broker that holds it back cannot make the device late by more than that.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from device.policy.of_authorisation import when
from device.protocol.identifiers import utc_text

BUILT_NS: Final = 1_793_491_200_000_000_000
"""No Passerby was built before this; a clock that says less has lost the time."""
TOLERANCE_NS: Final = 5 * 60 * 10**9
_DRIFT: Final = 5_000
"""One part in so many: 200 ppm, twice what a Pi's crystal does over its range of temperature."""
_Ns = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Reading(Struct, frozen=True):
    """Both clocks, read together.

    wall_ns: UTC since 1970, as the system says. boot_ns: since the boot, suspension included. boot:
    id of the boot. synchronised: whether the kernel says that the clock follows a time source; None
    where it cannot be asked.
    """

    wall_ns: int
    boot_ns: int
    boot: str
    synchronised: bool | None


class Anchor(Struct, frozen=True, forbid_unknown_fields=True):
    """A moment to measure from. wall_ns: what it was then. source: who said so."""

    boot: Annotated[str, Meta(max_length=64)]
    boot_ns: _Ns
    wall_ns: _Ns
    source: Literal["start", "time source", "desk"]

    def off_by_ns(self, reading: Reading) -> int:
        """Return how far the wall clock is ahead of where it should be; negative: behind."""
        return reading.wall_ns - self.wall_ns - (reading.boot_ns - self.boot_ns)

    def agrees(self, reading: Reading) -> bool:
        """Return whether the wall clock is where it should be, drift allowed for."""
        drift_ns = abs(reading.boot_ns - self.boot_ns) // _DRIFT
        return abs(self.off_by_ns(reading)) <= TOLERANCE_NS + drift_ns


class Clock(Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of the time, kept over restarts. seen_ns: see the floor; 0: nothing yet."""

    seen_ns: _Ns = 0
    anchor: Anchor | None = None
    kind: Literal["passerby clock 1"] = "passerby clock 1"

    def floor_ns(self, signed_ns: int = 0) -> int:
        """Return the time that has surely passed. signed_ns: of the installed authorisation."""
        return max(BUILT_NS, self.seen_ns, signed_ns)

    def heard(self, time_ns: int) -> "Clock":
        """Return what is known after a message that the desk signed at time_ns."""
        return msgspec.structs.replace(self, seen_ns=max(self.seen_ns, time_ns))

    def answered(self, desk_ns: int, waited_ns: int, reading: Reading) -> "Clock":
        """Return what is known after the desk's answer to this device's own question.

        desk_ns: the desk's clock when it answered. waited_ns: from the question to now, by the boot
        clock. It may lower the floor, unless it took too long.
        """
        if not 0 <= waited_ns <= TOLERANCE_NS:
            return self.heard(desk_ns)
        return Clock(desk_ns, Anchor(reading.boot, reading.boot_ns, desk_ns, "desk"))

    def judged(self, reading: Reading, signed_ns: int = 0) -> tuple["Clock", str | None]:
        """Return what is known after a reading, and why the clock is not believed, or None."""
        anchor = self._anchor(reading)
        fault = _fault(anchor, reading, self.floor_ns(signed_ns))
        if fault is not None:
            return msgspec.structs.replace(self, anchor=anchor), fault
        if reading.synchronised and anchor.source != "desk":
            anchor = Anchor(reading.boot, reading.boot_ns, reading.wall_ns, "time source")
        return Clock(max(self.seen_ns, reading.wall_ns), anchor), None

    def _anchor(self, reading: Reading) -> Anchor:
        """Return the anchor of this boot; of another boot none is of use."""
        if self.anchor is not None and self.anchor.boot == reading.boot:
            return self.anchor
        return Anchor(reading.boot, reading.boot_ns, max(0, reading.wall_ns), "start")


def _fault(anchor: Anchor, reading: Reading, floor_ns: int) -> str | None:
    """Rules 2 to 5, in their order."""
    if reading.wall_ns < floor_ns - TOLERANCE_NS:
        return (
            f"The clock was set back or has lost the time: it says {_shown(reading.wall_ns)}, and "
            f"{_shown(floor_ns)} has passed; a technician connects the network and waits for NTP, "
            "and where the clock was right, the desk's answer corrects what this device remembers."
        )
    if anchor.source == "desk" and not anchor.agrees(reading):
        return (
            f"The clock of this device and the desk's are {_apart(anchor, reading)} apart: a "
            "technician checks the time source of both."
        )
    if reading.synchronised is False and anchor.source != "desk":
        return (
            "The clock follows no time source: a technician checks the network and `timedatectl`; "
            "until then only the desk's answer can confirm the time, where it unlocks this device."
        )
    if not anchor.agrees(reading) and not reading.synchronised:
        return (
            f"The clock has jumped by {_apart(anchor, reading)} while this device ran: nothing is "
            "compared until NTP or the desk confirms the time."
        )
    return None


def _shown(time_ns: int) -> str:
    return when(utc_text(time_ns))


def _apart(anchor: Anchor, reading: Reading) -> str:
    return f"{abs(anchor.off_by_ns(reading)) // (60 * 10**9):,} minutes"
