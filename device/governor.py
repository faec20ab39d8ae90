"""`Governor`: keeps frames in time and the board cool by doing less, in stated steps. Rules only.

- A frame is late when its processing ended more than `latency_s` after it was taken. The frames of
  the last 10 s are judged, or the newest five where there are fewer; more than one in a hundred
  late, and more than one: the 99th percentile is above the limit, and one step less is done.
- The board is hot above `hottest_c`, or while its firmware slows it down: one step less.
- Steps follow each other by 15 s at least when frames are late, so that those that were late just
  after the last one are out of sight; by 30 s when it is hot: a board takes that long to cool.
- One step more is done after 60 s in which no frames were late, half of them and more took at most
  60 % of the limit, and the board was 3 degrees below its own; without that half after 32 minutes.
  If that was too early, so that less had to be done again within ten minutes, the next wait is
  twice as long, 32 minutes at most: under a steady load and heat it does not swing to and fro.
- At `critical_c` nothing is compared at all, at once, until the board has cooled; then the work
  begins again at the last step. A thermometer that fails meanwhile does not end that rest.
- What cannot be true, or is no number, is not known. A board whose temperature is not known is not
  taken for a hot one, unless it was too warm when it was last known.

Throttling of a Raspberry Pi starts at 80 degrees Celsius (Raspberry Pi documentation, "Frequency
management and thermal control"): the limit by default lies just below, since a board that throttles
itself is slower without saying so.
"""

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Final, Literal

from device.vision.effort import Effort

WINDOW_S: Final = 10.0
FEWEST_FRAMES: Final = 5
LATE_DWELL_S: Final = 15.0
HOT_DWELL_S: Final = 30.0
PATIENCE_S: Final = 60.0
LONGEST_PATIENCE_S: Final = 32 * 60.0
RELAPSE_S: Final = 600.0
EASY: Final = 0.6
COOLER_C: Final = 3.0
CRITICAL_ABOVE_C: Final = 7.0
"""How far above `hottest_c` nothing is compared: 85 degrees by default."""
_OLDEST_S: Final = 60.0
_COLDEST_C, _HOTTEST_C = -40.0, 150.0

Number = Literal[0, 1, 2, 3, 4]
Cause = Literal["load", "heat"]
LAST: Final = 4


@dataclass(frozen=True, slots=True)
class Step:
    """number: 0 is full effort, 4 the least; it means the same on every device."""

    number: Number
    name: str
    effort: Effort
    sentence: str


@dataclass(frozen=True, slots=True)
class Limits:
    """latency_s: of 99 in 100 frames. hottest_c, critical_c: in degrees Celsius."""

    latency_s: float
    hottest_c: float
    critical_c: float


def steps_for(full: Effort, *, small_detector: bool) -> tuple[Step, ...]:
    """Return the steps from full effort to the least; step 3 needs a smaller detector."""
    fewer = _slowed(full, 0.6)
    halved = replace(_slowed(full, 0.4), faces_per_frame=max(1, full.faces_per_frame // 2))
    small = replace(halved, small_detector=small_detector)
    least = replace(_slowed(full, 0.2), faces_per_frame=1, small_detector=small_detector)
    steps = (
        Step(0, "full", full, "Full effort."),
        Step(1, "fewer searches", fewer, "Frames are searched less often."),
        Step(
            2,
            "fewer faces",
            halved,
            "Frames are searched less than half as often, for fewer faces in each.",
        ),
        Step(
            3,
            "small pictures",
            small,
            "As step 2, in smaller pictures: faces far away are missed.",
        ),
        Step(
            4,
            "least",
            least,
            "Frames are searched seldom, and one face in each is compared: people are missed.",
        ),
    )
    return tuple(step for step in steps if step.number != 3 or small_detector)  # noqa: PLR2004


def _slowed(full: Effort, part: float) -> Effort:
    return replace(
        full, searches_per_s=full.searches_per_s * part, follows_per_s=full.follows_per_s * part
    )


class Governor:
    """Told of frames and temperatures; says which step is in force.

    steps: as `steps_for` returns them. now_s: a monotonic clock in seconds, the same in all calls.
    """

    def __init__(self, steps: tuple[Step, ...], limits: Limits) -> None:
        self._steps = steps
        self._limits = limits
        self._causes: list[Cause] = []
        """Why each step was taken, from the first; so many are in force."""
        self._delays = _Delays(limits.latency_s)
        self._celsius: float | None = None
        self._warm = self._slowed = False
        self._changed_s: float | None = None
        self._recovered_s = -math.inf
        self._calm_since_s: float | None = None
        self._patience_s = PATIENCE_S
        self.resting = False
        """True while the board is too hot for any work."""

    @property
    def step(self) -> Step:
        """The step in force."""
        return self._steps[len(self._causes)]

    @property
    def loaded(self) -> Step:
        """The last step in force that was taken because frames were late; full effort if none."""
        return self._last("load")

    @property
    def heated(self) -> Step:
        """The last step in force that was taken because of heat; full effort if none."""
        return self._last("heat")

    def _last(self, wanted: Cause) -> Step:
        taken = (at for at, cause in enumerate(self._causes, 1) if cause == wanted)
        return self._steps[max(taken, default=0)]

    @property
    def temperature_known(self) -> bool:
        """Whether the newest reading was one."""
        return self._celsius is not None

    def frame(self, delay_s: float, now_s: float) -> None:
        """Note how long after it was taken a frame was done with, or given up, in seconds."""
        if 0 <= delay_s <= _OLDEST_S:
            self._delays.add(delay_s, now_s)
        self._judge(now_s)

    def temperature(self, celsius: float | None, now_s: float, *, slowed: bool = False) -> None:
        """Note how hot the board is, in degrees; None: not known. slowed: by its firmware."""
        known = celsius is not None and _COLDEST_C <= celsius <= _HOTTEST_C
        self._celsius, self._slowed = celsius if known else None, slowed
        if self._celsius is not None:
            self._warm = self._celsius > self._limits.hottest_c - COOLER_C
        self._judge(now_s)

    def _judge(self, now_s: float) -> None:
        if self._changed_s is None:
            # The first frames are slow: networks and caches are cold.
            self._changed_s = now_s
        self._delays.forget_before(now_s)
        self._note_calm(now_s)
        if self._rests(now_s):
            return
        held_s = now_s - self._changed_s
        if self._hot and held_s >= HOT_DWELL_S:
            self._do_less("heat", now_s)
        elif self._delays.late and held_s >= LATE_DWELL_S:
            self._do_less("load", now_s)
        elif self._causes and self._may_do_more(now_s, held_s):
            self._do_more(now_s)

    def _may_do_more(self, now_s: float, held_s: float) -> bool:
        """Whether to try: after calm, or after so long without anything wrong."""
        in_order = not self._delays.late and not self._warm and not self._slowed
        enough = in_order and held_s >= LONGEST_PATIENCE_S
        return enough or self._calm_for_s(now_s) >= self._patience_s

    @property
    def _hot(self) -> bool:
        return self._slowed or (
            self._celsius is not None and self._celsius > self._limits.hottest_c
        )

    def _note_calm(self, now_s: float) -> None:
        calm = self._delays.easy and not self._warm and not self._slowed
        if not calm:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s

    def _calm_for_s(self, now_s: float) -> float:
        if self._calm_since_s is None or self._changed_s is None:
            return 0.0
        return now_s - max(self._calm_since_s, self._changed_s)

    def _rests(self, now_s: float) -> bool:
        """Begin or end the rest of a board that is too hot. Returns whether it rests."""
        if self._celsius is not None:
            if self._celsius >= self._limits.critical_c and not self.resting:
                self.resting = True
                missing = len(self._steps) - 1 - len(self._causes)
                self._causes += ["heat"] * missing
                self._changed(now_s)
            elif self.resting and not self._warm:
                self.resting = False
                self._changed(now_s)
        return self.resting

    def _do_less(self, cause: Cause, now_s: float) -> None:
        if len(self._causes) == len(self._steps) - 1:
            return
        relapsed = now_s - self._recovered_s < RELAPSE_S
        if relapsed:
            self._patience_s = min(2 * self._patience_s, LONGEST_PATIENCE_S)
        elif not self._causes:
            self._patience_s = PATIENCE_S
        # One recovery that came too early counts once, however many steps follow it.
        self._recovered_s = -math.inf
        self._causes.append(cause)
        self._changed(now_s)

    def _do_more(self, now_s: float) -> None:
        self._causes.pop()
        self._recovered_s = now_s
        self._changed(now_s)

    def _changed(self, now_s: float) -> None:
        self._changed_s = now_s
        # What was measured belongs to another step.
        self._delays.clear()


class _Delays:
    """Delays of the newest frames, counted against the limit and against what is easy."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._held: deque[tuple[float, float]] = deque()
        self._over = self._uneasy = 0

    def add(self, delay_s: float, now_s: float) -> None:
        """Count a frame."""
        self._held.append((now_s, delay_s))
        self._count(delay_s, 1)

    def forget_before(self, now_s: float) -> None:
        """Leave out what is too old to tell how things are."""
        while self._held and (
            now_s - self._held[0][0] > _OLDEST_S
            or (now_s - self._held[0][0] > WINDOW_S and len(self._held) > FEWEST_FRAMES)
        ):
            self._count(self._held.popleft()[1], -1)

    def clear(self) -> None:
        """Begin anew."""
        self._held.clear()
        self._over = self._uneasy = 0

    @property
    def late(self) -> bool:
        """Whether the 99th percentile (nearest rank) is above the limit, by more than one frame."""
        return len(self._held) >= FEWEST_FRAMES and self._over > self._few

    @property
    def easy(self) -> bool:
        """Whether half of the frames and more are far below it; also when there are none.

        Not nearly all: a frame in which faces are compared takes what it may take.
        """
        return not self.late and 2 * self._uneasy <= len(self._held)

    @property
    def _few(self) -> int:
        return max(1, len(self._held) // 100)

    def _count(self, delay_s: float, change: int) -> None:
        self._over += change * (delay_s > self._limit_s)
        self._uneasy += change * (delay_s > EASY * self._limit_s)
