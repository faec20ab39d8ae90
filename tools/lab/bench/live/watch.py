"""What the kernel says of a running process: memory, processor time, threads, descriptors."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from device.temperature import Thermometer

_KIB: Final = 1024 / 1e6
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_THERMOMETER: Final = Thermometer()


class Glance(msgspec.Struct, frozen=True):
    """One look at a process. at_s: seconds since boot. rss_mb: VmRSS, in MB (10^6 bytes).

    shared_mb: of it the camera's buffers, which on a Pi are the driver's and count for nobody.
    most_mb: VmHWM, the most so far. cpu_s: processor seconds so far, of all threads.
    """

    at_s: float
    rss_mb: float
    shared_mb: float
    most_mb: float
    cpu_s: float
    threads: int
    descriptors: int
    celsius: float | None

    @property
    def own_mb(self) -> float:
        """Memory without the camera's buffers."""
        return self.rss_mb - self.shared_mb


def glance(process: int) -> Glance:
    """Look at a process. Raises OSError when it is not there."""
    folder = Path(f"/proc/{process}")
    fields = dict(
        line.split(":", 1) for line in (folder / "status").read_text("utf-8").splitlines()
    )
    if "VmRSS" not in fields:
        # Ended, but nobody has waited for it yet.
        raise ProcessLookupError(process)
    mb = {name: int(fields[name].split()[0]) * _KIB for name in ("VmRSS", "RssShmem", "VmHWM")}
    times = (folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return Glance(
        at_s=time.clock_gettime(time.CLOCK_BOOTTIME),
        rss_mb=mb["VmRSS"],
        shared_mb=mb["RssShmem"],
        most_mb=mb["VmHWM"],
        cpu_s=(int(times[11]) + int(times[12])) / _TICKS_PER_S,
        threads=int(fields["Threads"]),
        descriptors=sum(1 for _ in (folder / "fd").iterdir()),
        celsius=_THERMOMETER.read().celsius,
    )


def waited_s(process: int) -> float:
    """Return how long a process's first thread wanted a core and had none, in seconds.

    On a machine of its own that is nearly nothing. 0 where the kernel does not tell.
    """
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text("ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class Watch:
    """Looks at a process now and then, in a thread of this program; a context manager."""

    def __init__(self, process: int, every_s: float = 1.0) -> None:
        self.glances: list[Glance] = []
        self._process = process
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.glances.append(glance(self._process))
            except (OSError, KeyError):
                # It has ended; whoever started it says so.
                return
            self._stopping.wait(self._every_s)
