"""A camera with a clock of the test's own: frames come when they are due, and queue meanwhile.

Real cameras queue too: a driver keeps some frames, and hands out the oldest one first. The clock
goes on while the camera waits for a frame, and when whoever works says so (`SlowDetector`).
"""

from collections import deque
from dataclasses import dataclass

from tests.simulators import street


@dataclass
class HandClock:
    """now_s: seconds of CLOCK_MONOTONIC."""

    now_s: float = 1000.0

    def now_ns(self):
        return round(self.now_s * 1e9)


RATE = 5.0
PLACES = 6


class QueueingCamera:
    """Stands in for `device.capture.Camera`. people: as a function of seconds since the start.

    at: what a test does at a second, called once. given: all frames that were handed out.
    """

    live = True
    fault = None
    stuck = None

    def __init__(self, people, clock, seconds, at=None):
        self._people, self._clock, self._seconds = people, clock, seconds
        self._at = dict(at or {})
        self._begun_s = clock.now_s
        self._queue = deque(maxlen=PLACES)
        self._number = 0
        self.given = []

    def start(self):
        pass

    def stop(self):
        while self._queue:
            self._queue.popleft().release()

    @property
    def finished(self):
        return self._due_s() >= self._begun_s + self._seconds and not self._queue

    def next(self, timeout_s):
        if not self._queue:
            self._clock.now_s = max(self._clock.now_s, self._due_s())
        while self._due_s() <= self._clock.now_s and not self._all_taken():
            self._take()
        for second in [second for second in self._at if second <= self._passed_s()]:
            self._at.pop(second)()
        if not self._queue:
            return None
        frame = self._queue.popleft()
        self.given.append(frame)
        return frame

    def _passed_s(self):
        return self._clock.now_s - self._begun_s

    def _due_s(self):
        return self._begun_s + self._number / RATE

    def _all_taken(self):
        return self._due_s() >= self._begun_s + self._seconds

    def _take(self):
        frame = street.frame(self._people(self._number / RATE), self._number, RATE)
        frame.taken_ns = round(self._due_s() * 1e9)
        if len(self._queue) == self._queue.maxlen:
            self._queue.popleft().release()
        self._queue.append(frame)
        self._number += 1


class SlowDetector(street.HueDetector):
    """Takes `cost_s` seconds of the test's clock for each frame. at_s: when it was asked."""

    def __init__(self, clock, cost_s=0.02):
        super().__init__()
        self._clock, self.cost_s = clock, cost_s
        self.at_s = []

    def detect(self, lores, main_width):
        self.at_s.append(self._clock.now_s)
        self._clock.now_s += self.cost_s
        return super().detect(lores, main_width)

    def per_second(self, from_s, to_s):
        return sum(from_s <= at_s < to_s for at_s in self.at_s) / (to_s - from_s)
