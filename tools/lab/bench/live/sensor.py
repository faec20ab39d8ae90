"""The sensor: a process that copies pictures into the appliance's camera buffers, in real time.

    python -m tools.lab.bench.live.sensor SCHEDULE SOCKET MEMORY     (two inherited descriptors)

At each tick the picture of the schedule goes into a free buffer, stamped with that moment; when
none is free the picture is lost, as a camera's is. A real sensor is never late: a tick that this
process slept through is left out and counted, not made up for. At its end it writes its counts to
standard output.
"""

import mmap
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

import msgspec
import numpy as np

from tools.lab.bench.live.fake.picamera2 import (
    FRAME,
    ORDER,
    RELEASED,
    START,
    STOP,
    UNASKED,
)
from tools.lab.bench.live.schedule import BUFFERS, Schedule


class Counts(msgspec.Struct):
    """What became of the ticks. origin_ns: time of tick 0 since boot; 0 when never started.

    slept: this process was too late for them. starved: no buffer was free. unasked: nobody waited
    for them. given: the appliance took and released them.
    """

    origin_ns: int = 0
    ticks: int = 0
    slept: int = 0
    starved: int = 0
    unasked: int = 0
    given: int = 0


class Sensor:
    """socket: to the camera's library. memory: descriptor of the buffers."""

    def __init__(self, schedule: Schedule, link: socket.socket, memory: int) -> None:
        self._schedule = schedule
        self._link = link
        self._reels = [
            tuple(np.load(Path(one.clip) / f"{name}.npy", mmap_mode="r") for name in _STREAMS)
            for one in schedule.stretches
        ]
        sizes = [stream[0].size for stream in self._reels[0]]
        flat = np.frombuffer(mmap.mmap(memory, BUFFERS * sum(sizes)), np.uint8)
        self._buffers = [_split(flat, number, sizes) for number in range(BUFFERS)]
        self._free: list[int] = []
        self._generation = 0
        self._running = False
        self._stopping = False
        self.counts = Counts()

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Ask `run` to end; a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Give frames until told to stop, or until the appliance is gone."""
        while not self._stopping:
            wait_s = self._tick() if self._running else 0.25
            readable, _, _ = select.select([self._link], [], [], wait_s)
            if readable and not self._obey():
                return

    def _tick(self) -> float:
        """Expose if it is time. Returns how long there is nothing to do, in seconds."""
        counts, period_ns = self.counts, 1e9 / self._schedule.rate
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        tick = int((now_ns - counts.origin_ns) / period_ns)
        if tick >= counts.ticks:
            counts.slept += tick - counts.ticks
            self._expose(tick, now_ns)
            counts.ticks = tick + 1
        due_ns = counts.origin_ns + counts.ticks * period_ns
        return max(0.0, (due_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) / 1e9)

    def _expose(self, tick: int, taken_ns: int) -> None:
        if not self._free:
            self.counts.starved += 1
            return
        number, frame = self._schedule.at(tick)
        buffer = self._free.pop(0)
        for place, stream in zip(self._buffers[buffer], self._reels[number], strict=True):
            place[:] = stream[frame % len(stream)].reshape(-1)
        with suppress(OSError):
            self._link.send(FRAME.pack(self._generation, buffer, taken_ns))

    def _obey(self) -> bool:
        try:
            message = self._link.recv(ORDER.size)
        except OSError:
            return False
        if not message:
            return False
        what, number = ORDER.unpack(message)
        if what == START:
            self._free = list(range(BUFFERS))
            self._generation, self._running = number, True
            # After a stall the schedule goes on where it would be by now.
            if not self.counts.origin_ns:
                self.counts.origin_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                print(self.counts.origin_ns, flush=True)
        elif what == STOP:
            self._running = False
        elif what in (RELEASED, UNASKED):
            self._free.append(number)
            self.counts.given += what == RELEASED
            self.counts.unasked += what == UNASKED
        return True


_STREAMS = ("main", "lores")
WAITING = "waiting for the appliance"
"""What it says when it can be started."""


def _split(
    flat: "np.ndarray[tuple[int], np.dtype[np.uint8]]", number: int, sizes: list[int]
) -> "list[np.ndarray[tuple[int], np.dtype[np.uint8]]]":
    start, main = number * sum(sizes), sizes[0]
    return [flat[start : start + main], flat[start + main : start + sum(sizes)]]


def main() -> int:
    """Run one sensor."""
    schedule, link, memory = sys.argv[1:]
    sensor = Sensor(Schedule.read(Path(schedule)), socket.socket(fileno=int(link)), int(memory))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, sensor.stop)
    print(WAITING, file=sys.stderr, flush=True)
    sensor.run()
    print(msgspec.json.encode(sensor.counts).decode(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
