"""When a cell may leave. Rules only: no clock.

With constant cover a cell leaves at every tick of a fixed beat, whatever there is to say, and a
beat that was missed is not made up for: bursts would tell when the device was held up.
"""


class Beat:
    """A fixed beat. period_s: seconds between ticks."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._next_s: float | None = None

    def start(self, now_s: float) -> None:
        """Begin anew: the first tick comes one period from now."""
        self._next_s = now_s + self._period_s

    def due(self, now_s: float) -> bool:
        """True once for every tick."""
        if self._next_s is None or now_s < self._next_s:
            return False
        missed = int((now_s - self._next_s) / self._period_s)
        self._next_s += (missed + 1) * self._period_s
        return True

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until the next tick; infinity before `start`."""
        return max(0.0, self._next_s - now_s) if self._next_s is not None else float("inf")
