"""`TrustedTime`: reads the clocks, asks the rules of `device.policy.clock`, keeps what is known.

    clock.json   in the state directory: floor and anchor, written every minute

A damaged file is not replaced: the floor that it held is lost, so that the clock could have been
set back unnoticed. The way out is the desk's answer (remote unlocking), or a technician who checks
the clock by hand and then removes the file.
"""

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from device.errors import StorageError
from device.files import write_atomically
from device.policy.clock import BUILT_NS, Clock, Reading
from device.policy.erasure import certain_ns

NAME = "clock.json"
KEEP_EVERY_S = 60.0
_LARGEST_BYTES = 4_096
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMEX_BYTES = 1_024
"""More than `struct timex` of any architecture; only its first number, `modes`, is ours: 0, ask."""
_TIME_ERROR = 5


def read_clocks() -> Reading:
    """Read wall clock, boot clock, boot id and the kernel's word on synchronisation."""
    return Reading(
        time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME), _boot(), synchronised()
    )


def boot_s() -> float:
    """Return seconds since the boot, time asleep included: nobody can turn this clock.

    Whatever must not outlast a suspended processor is measured with it.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def synchronised() -> bool | None:
    """Return whether the clock follows a time source, by adjtimex(2); None: it cannot be asked.

    The kernel forgets it as soon as somebody sets the clock by hand. chrony tells the kernel only
    with its option `rtcsync`, which Raspberry Pi OS sets; systemd-timesyncd always does.
    """
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(
            ctypes.create_string_buffer(_TIMEX_BYTES)
        )
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR


class TrustedTime:
    """One thread calls it. read: hands in the clocks.

    fault: why the clock is not believed, in a sentence, or None; fresh after each `now`.
    """

    def __init__(self, state: Path, read: Callable[[], Reading] = read_clocks) -> None:
        self._path = state / NAME
        self._read = read
        self._clock, self._damaged = _kept(self._path)
        self._signed_ns = 0
        self._written: Clock | None = None
        self._written_boot_ns = 0
        self.fault: str | None = None
        self.now()

    @property
    def floor_ns(self) -> int:
        """The time that has surely passed, nanoseconds since 1970; of use also with a fault."""
        return self._clock.floor_ns(self._signed_ns)

    @property
    def certain_ns(self) -> int:
        """The time that has surely passed, for erasing: read anew, the floor while in doubt."""
        wall_ns = self.now()
        return certain_ns(wall_ns, self.floor_ns, believed=self.fault is None)

    def now(self) -> int:
        """Read the clocks and return the wall clock; see `fault` before it is used."""
        reading = self._read()
        self._clock, fault = self._clock.judged(reading, self._signed_ns)
        self.fault = self._damaged or fault
        due = reading.boot_ns - self._written_boot_ns >= KEEP_EVERY_S * 1e9
        if self._written is None or due:
            self._keep(reading.boot_ns)
        return reading.wall_ns

    def signed(self, time_ns: int | None) -> None:
        """Take over when the installed authorisation was signed; None: there is none."""
        self._signed_ns = 0 if time_ns is None else time_ns
        self.now()

    def heard(self, time_ns: int) -> None:
        """Take over the time of a message that the desk signed: an order, a receipt."""
        self._clock = self._clock.heard(time_ns)
        self.now()

    def answered(self, desk_ns: int, waited_s: float) -> None:
        """Take over the desk's clock from its answer to this device's own question.

        desk_ns, waited_s: of `device.unlock.Answer`, also of one that refuses. It confirms the
        time, corrects a floor that was poisoned, and replaces a damaged `clock.json`.
        """
        reading = self._read()
        before = self._clock
        self._clock = before.answered(desk_ns, int(waited_s * 1e9), reading)
        if self._clock.anchor != before.anchor:
            self._damaged = None
        self._written = None
        self.now()

    def keep(self) -> None:
        """Write what is known now, as before a stop."""
        self._keep(self._read().boot_ns)

    def _keep(self, boot_ns: int) -> None:
        if self._damaged is not None:
            return
        if self._clock == self._written:
            self._written_boot_ns = boot_ns
            return
        try:
            write_atomically(self._path, msgspec.json.encode(self._clock))
        except (StorageError, OSError) as error:
            # Without a floor on the disk a restart could forget that the window has closed.
            self.fault = self.fault or str(error)
            self._written = None
            return
        self._written, self._written_boot_ns = self._clock, boot_ns


def implausible(now_ns: int) -> str | None:
    """Return why a clock cannot be right at all, or None; for `passerby doctor`."""
    if now_ns >= BUILT_NS:
        return None
    return "The clock is before this software was made: connect the network and wait for NTP."


def _kept(path: Path) -> tuple[Clock, str | None]:
    try:
        content = path.read_bytes()
        if len(content) > _LARGEST_BYTES:
            return Clock(), _unreadable(path, "it is too long")
        return msgspec.json.decode(content, type=Clock), None
    except FileNotFoundError:
        return Clock(), None
    except OSError as error:
        return Clock(), _unreadable(path, error.strerror or str(error))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Clock(), _unreadable(path, "it is damaged")


def _unreadable(path: Path, reason: str) -> str:
    return (
        f"What this device remembers of the time in {path} cannot be read ({reason}), so its clock "
        "may have been set back: let the desk answer it (unlock = remote), or a technician checks "
        "the clock by hand and removes the file."
    )


def _boot() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()[:64]
    except (OSError, UnicodeDecodeError):
        return "unknown"
