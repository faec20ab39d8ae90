"""`Unlocker`: answers the requests to unlock in a batch, and not too many of one device."""

from collections.abc import Sequence
from typing import Final

from device.protocol.keys import PrivateKeys
from device.protocol.unlocking import Unlock
from tools.desk.gateway.intake import Asked, Decision
from tools.desk.gateway.unlocking import Unlocks

EVERY_S: Final = 1.0
"""A device pauses for some seconds at least; what comes sooner is a repetition, or hostile."""


class Unlocker:
    """desk: the desk's own keys."""

    def __init__(self, unlocks: Unlocks, desk: PrivateKeys) -> None:
        self._unlocks = unlocks
        self._desk = desk
        self._answered_s: dict[str, float] = {}

    def answers(self, decisions: Sequence[Decision], now_s: float) -> list[Unlock | None]:
        """Return the answer to each decision that asks for one. now_s: monotonic clock.

        Of one device the newest request of a batch is answered, and none within a second of the
        last. Raises StorageError.
        """
        newest = {one.source: at for at, one in enumerate(decisions) if isinstance(one, Asked)}
        found: list[Unlock | None] = [None] * len(decisions)
        for source, at in newest.items():
            asked = decisions[at]
            if isinstance(asked, Asked) and now_s - self._last_s(source) >= EVERY_S:
                found[at] = self._unlocks.answer(source, asked.request, self._desk)
        for source, at in newest.items():
            if found[at] is not None:
                # Only now: a fault above makes the whole batch come again.
                self._answered_s[source] = now_s
        return found

    def _last_s(self, source: str) -> float:
        return self._answered_s.get(source, float("-inf"))
