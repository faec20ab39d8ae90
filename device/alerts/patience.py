"""When to try the broker again, and in which version of MQTT. Rules only: no clock, no socket."""

import random

from device.alerts.client import Version

_STEPS_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STABLE_S = 30.0
_HANG_UPS = 3


class BackOff:
    """How long to wait after a failure; randomised, so that a fleet does not come back as one.

    Only a connection that stood for half a minute clears the count: a broker that accepts and hangs
    up again and again is not hammered.
    """

    def __init__(self, longest_s: float = _STEPS_S[-1]) -> None:
        """longest_s: a desk, for which many devices wait, has less patience than a device."""
        self._longest_s = longest_s
        self._failures = 0
        self._online_since_s: float | None = None

    def online(self, now_s: float) -> None:
        """Note that the broker accepted the connection."""
        self._online_since_s = now_s

    def lost(self, now_s: float) -> float:
        """Note that the connection failed or ended; return when to try again, in seconds."""
        since, self._online_since_s = self._online_since_s, None
        if since is not None and now_s - since >= _STABLE_S:
            self._failures = 0
        pause_s = min(self._longest_s, _STEPS_S[min(self._failures, len(_STEPS_S) - 1)])
        self._failures += 1
        return now_s + pause_s * random.uniform(0.5, 1.5)  # noqa: S311 - no secret


class VersionChoice:
    """MQTT 5, or 3.1.1 where the broker has no more.

    A refusal that says so is certain; a hang-up is not: a glitch must not move a device to 3.1.1,
    where nobody would tell it that nobody listens. protocol: "auto", or the version to keep to.
    """

    def __init__(self, protocol: str) -> None:
        self._auto = protocol == "auto"
        self.current: Version = "3.1.1" if protocol == "3.1.1" else "5"
        self._hang_ups = 0

    def accepted(self) -> None:
        """Note that the broker accepted this version."""
        self._hang_ups = 0

    def not_accepted(self, *, certain: bool) -> bool:
        """Note that the broker refused or hung up before accepting. True: another version now."""
        if not self._auto:
            return False
        if self.current == "3.1.1":
            self.current, self._hang_ups = "5", 0
            return False
        self._hang_ups += 1
        if not certain and self._hang_ups < _HANG_UPS:
            return False
        self.current = "3.1.1"
        return True
