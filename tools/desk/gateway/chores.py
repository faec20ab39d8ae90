"""`Chores`: what has to be done now and then: erasing, and looking for gaps that stay open."""

import logging
import time
from collections.abc import Callable, Sequence

from device.errors import StorageError
from device.protocol.identifiers import utc_text
from tools.desk.gateway.database import Database
from tools.desk.gateway.deliveries import open_gaps
from tools.desk.gateway.retention import erase_old
from tools.desk.gateway.unlocking import Unlocks

log = logging.getLogger(__name__)

_EVERY_S = 60.0
_PATIENCE_NS = 120_000_000_000
"""A number that is missing for so long is a gap; before, it may be on its way."""


class Chores:
    """hours: after which the content of alerts is erased. targets: who should have it by then."""

    def __init__(
        self,
        database: Database,
        hours: float,
        targets: Sequence[str],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._database = database
        self._hours = hours
        self._targets = targets
        self._now_ns = now_ns
        self._unlocks = Unlocks(database, now_ns)
        self._every_s = min(_EVERY_S, hours * 3600 / 4)
        self._next_s = 0.0
        self._said: set[tuple[str, str, int]] = set()
        # Also after a restart: the last gateway may have been killed before it had overwritten.
        self._traces = True
        self._fault: str | None = None

    def do(self, now_s: float) -> None:
        """Do what is due. now_s: monotonic clock."""
        if now_s < self._next_s:
            return
        self._next_s = now_s + self._every_s
        try:
            erased = erase_old(self._database, self._now_ns(), self._hours, self._targets)
            if erased:
                log.info("the content of old alerts was erased (R25)")
            self._traces = bool(erased) or self._traces
            if self._traces:
                self._traces = not self._database.overwrite_erased()
            self._unlocks.overwrite_destroyed()
            self._say_gaps()
            self._fault = None
        except StorageError as error:
            if str(error) != self._fault:
                log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback
            self._fault = str(error)

    def _say_gaps(self) -> None:
        before = utc_text(self._now_ns() - _PATIENCE_NS)
        for source, gaps in open_gaps(self._database).items():
            for gap in gaps:
                name = (source, gap.epoch, gap.first)
                if gap.since < before and name not in self._said:
                    self._said.add(name)
                    log.warning(
                        "%s: number %s never came: lost, or erased on the device because it had "
                        "waited too long. `passerby-desk delivery` shows all.",
                        source,
                        gap,
                    )
