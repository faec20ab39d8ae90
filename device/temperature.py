"""`Thermometer`: how hot the board is, and whether its firmware slows it down.

Two places of the kernel are read, a few bytes each. Linux has a folder for each thermal zone with
`type` and `temp`, the latter in thousandths of a degree Celsius
(Documentation/driver-api/thermal/sysfs-api.rst); a Raspberry Pi's zone is of the type
`cpu-thermal`. A Pi's kernel also shows what `vcgencmd get_throttled` prints, a hexadecimal number
whose bits the Raspberry Pi documentation explains: 0 the voltage is too low, 1 the clock of the
cores is capped, 2 the cores are throttled, 3 the soft temperature limit is in force; bits 16 to 19
say that the same has happened since the start. Only what is so now counts here.

Never run on a Pi yet: docs/hardware.md.
"""

from dataclasses import dataclass
from pathlib import Path

_ZONES = "class/thermal/thermal_zone*"
_THE_PIS = "cpu-thermal"
_OF_A_PROCESSOR = ("cpu", "soc", "x86_pkg")
# The folder's name carries an address on some boards.
_FLAGS = ("devices/platform/soc*/*firmware/get_throttled", "devices/platform/*/get_throttled")
_UNDERVOLTED = 1 << 0
_SLOWED = 1 << 1 | 1 << 2 | 1 << 3
_LONGEST = 64
_COLDEST_C, _HOTTEST_C = -40.0, 150.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the board says of itself now; None: it does not say.

    celsius: of the processor, in degrees. slowed: the firmware holds the clock back, for heat or
    for want of power. undervolted: the power supply is too weak.
    """

    celsius: float | None = None
    slowed: bool | None = None
    undervolted: bool | None = None


class Thermometer:
    """root: the kernel's /sys, or a folder like it."""

    def __init__(self, root: Path = Path("/sys")) -> None:
        self._root = root

    def read(self) -> Reading:
        """Read all there is. Never raises: what cannot be read is None."""
        flags = self._flags()
        if flags is None:
            return Reading(self._celsius())
        return Reading(self._celsius(), bool(flags & _SLOWED), bool(flags & _UNDERVOLTED))

    def _celsius(self) -> float | None:
        """Return the Pi's own zone, or else the hottest of those that are of a processor."""
        found: list[float] = []
        for zone in self._matching(_ZONES):
            kind = (_text(zone / "type") or "").replace("_thermal", "-thermal")
            celsius = _degrees(_text(zone / "temp"))
            if celsius is None:
                continue
            if kind == _THE_PIS:
                return celsius
            if any(part in kind for part in _OF_A_PROCESSOR):
                found.append(celsius)
        return max(found, default=None)

    def _flags(self) -> int | None:
        for pattern in _FLAGS:
            for path in self._matching(pattern):
                try:
                    return int(_text(path) or "", 16)
                except ValueError:
                    continue
        return None

    def _matching(self, pattern: str) -> list[Path]:
        try:
            return sorted(self._root.glob(pattern))
        except OSError:
            return []


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST).decode("ascii").strip()
    except (OSError, ValueError):
        return None


def _degrees(text: str | None) -> float | None:
    """Return degrees; None for no number, and for one that no board in working order has."""
    try:
        celsius = int(text or "") / 1000
    except ValueError:
        return None
    return celsius if _COLDEST_C <= celsius <= _HOTTEST_C else None
