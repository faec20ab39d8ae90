"""`Tally`: what was dropped, in few lines, however much a hostile broker sends.

The first of a kind is said at once, the others as a number once a minute. Reasons come from a
closed list, never from a message, so that the log stays small and holds nothing that a stranger
wrote.
"""

import logging
from collections import Counter

log = logging.getLogger(__name__)

_EVERY_S = 60.0
_MOST_KINDS = 256


class Tally:
    """Counts by reason and device; `report` writes the log. Local only: no count leaves (R45)."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str | None]] = Counter()
        self._said: set[tuple[str, str | None]] = set()
        self._since_s: float | None = None

    def add(self, reason: str, source: str | None = None) -> None:
        """Count one. source: only of a device that is known."""
        what = (reason, source)
        if what not in self._said and len(self._said) < _MOST_KINDS:
            self._said.add(what)
            log.warning("dropped: %s%s", reason, f", in the name of {source}" if source else "")
        else:
            self._counts[what if what in self._said else ("other reasons", None)] += 1

    def report(self, now_s: float) -> None:
        """Write what was counted in the last minute, if a minute is over."""
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s < _EVERY_S:
            return
        for (reason, source), count in sorted(self._counts.items(), key=str):
            log.warning(
                "dropped again, %d times: %s%s", count, reason, f", {source}" if source else ""
            )
        self._counts.clear()
        self._said.clear()
        self._since_s = now_s
