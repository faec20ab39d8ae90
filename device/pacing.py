"""`Pacing`: reads the thermometer for the governor, and says which step is in force.

What the status says of a step must not tell who passes. A hot board is told as it is: sun and air
decide about it. Frames that are late tell that somebody, mostly a crowd, is there. Such a step is
said at once, since nothing may be done less in silence, but for an hour after it was last in force:
nobody at the desk sees when the crowd left, or whether another came within that hour. For the same
reason only heat is written into the log and the audit log, whose counts go by the minute.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from device.audit.tally import Note
from device.governor import CRITICAL_ABOVE_C, LAST, Governor, Limits, Step, steps_for
from device.protocol.status import Pace
from device.settings import VisionSettings
from device.temperature import Reading, Thermometer
from device.vision.effort import Effort, full_effort

log = logging.getLogger(__name__)

READ_EVERY_S = 2.0
SAID_FOR_S = 3600.0
"""How long a step for late frames is said after it was last in force."""
BLIND_AFTER_S = 10.0

HEAT = "The board is hot: give it air, shade or a fan."
COOLED = "The board is no longer too hot."
LOAD = "Within the last hour it could not keep up."
UNKNOWN = "How hot the board is cannot be read."
WEAK_POWER = "The power supply is too weak: use the one that belongs to the board."
TOO_HOT = (
    "The board is too hot: nothing is compared until it has cooled. Give it air, shade or a fan."
)
BLIND = (
    "Every frame comes too late to be processed: use a smaller picture or fewer frames per second "
    "([camera]), or allow older ones (vision.oldest_frame_ms)."
)

SYS = Path("/sys")


class Pacing:
    """How hard one appliance works. All calls come from its processing thread.

    live: whether frames come whether or not they are taken; of a file none is ever late. note:
    `Notebook.note`. now_ns: CLOCK_MONOTONIC in nanoseconds, the clock of `Frame.taken_ns`.
    """

    def __init__(  # noqa: PLR0913 - what it is told, and where from
        self,
        vision: VisionSettings,
        *,
        small_detector: bool,
        live: bool,
        note: Note,
        thermometer: Thermometer | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        limits = Limits(
            vision.latency_ms / 1000, vision.hottest_c, vision.hottest_c + CRITICAL_ABOVE_C
        )
        self._steps = steps_for(full_effort(vision), small_detector=small_detector)
        self._governor = Governor(self._steps, limits)
        self._oldest_ns = vision.oldest_frame_ms * 1e6 if live else 0.0
        self._live = live
        self._note = note
        self._thermometer = thermometer or Thermometer(SYS)
        self._now_ns = now_ns
        self._read_again_ns = 0
        self._weak_power = False
        self._loaded: tuple[Step, int] = (self._steps[0], 0)
        self._told: tuple[int, bool] = (0, False)
        self._old_since_ns: int | None = None

    @property
    def effort(self) -> Effort:
        """How hard to work on the next frame."""
        return self._governor.step.effort

    @property
    def reasons(self) -> list[str]:
        """Why nothing may be compared, a sentence each."""
        return [TOO_HOT] if self._governor.resting else []

    @property
    def fault(self) -> str | None:
        """Why nothing is compared although it may be, in a sentence, or None."""
        since_ns = self._old_since_ns
        blind = since_ns is not None and self._now_ns() - since_ns >= BLIND_AFTER_S * 1e9
        return BLIND if blind else None

    def tend(self) -> None:
        """Look after everything once; call it between frames, also where there are none."""
        now_ns = self._now_ns()
        if now_ns >= self._read_again_ns:
            self._read_again_ns = now_ns + round(READ_EVERY_S * 1e9)
            reading: Reading = self._thermometer.read()
            self._weak_power = reading.undervolted is True
            # For want of power it is slow, not hot: that shows in the frames.
            slowed = reading.slowed is True and not self._weak_power
            self._governor.temperature(reading.celsius, now_ns / 1e9, slowed=slowed)
        self._remember_load(now_ns)
        self._tell_heat()

    def too_old(self, taken_ns: int) -> bool:
        """Return whether a frame is too old to be processed; the governor hears of one that is."""
        now_ns = self._now_ns()
        if not self._oldest_ns or now_ns - taken_ns <= self._oldest_ns:
            self._old_since_ns = None
            return False
        if self._old_since_ns is None:
            self._old_since_ns = now_ns
        self._governor.frame((now_ns - taken_ns) / 1e9, now_ns / 1e9)
        return True

    def done(self, taken_ns: int) -> None:
        """Note that the processing of a frame has ended, well or not."""
        if self._live:
            now_ns = self._now_ns()
            self._governor.frame((now_ns - taken_ns) / 1e9, now_ns / 1e9)

    @property
    def pace(self) -> Pace:
        """What the status says of it."""
        loaded = self._loaded[0]
        step = max(self._governor.step, loaded, key=lambda one: one.number)
        sentences = [step.sentence]
        if loaded.number:
            sentences.append(LOAD)
        if self._governor.heated.number:
            sentences.append(HEAT)
        if not self._governor.temperature_known:
            sentences.append(UNKNOWN)
        if self._weak_power:
            sentences.append(WEAK_POWER)
        return Pace(step.number, LAST, " ".join(sentences))

    def _remember_load(self, now_ns: int) -> None:
        loaded, (said, since_ns) = self._governor.loaded, self._loaded
        if loaded.number >= said.number or now_ns - since_ns >= SAID_FOR_S * 1e9:
            self._loaded = (loaded, now_ns)

    def _tell_heat(self) -> None:
        """Write a change that heat has caused into the log and the audit log."""
        heat = self._governor.heated
        now = (heat.number, self._governor.resting)
        if now == self._told:
            return
        self._told = now
        sentence = TOO_HOT if self._governor.resting else f"{heat.sentence} {HEAT}"
        if not heat.number:
            sentence = COOLED
        log.warning("%s", sentence)
        self._note("slowed by heat", step=heat.number, reason=sentence)
