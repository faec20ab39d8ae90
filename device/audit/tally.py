"""`Tally`: writes the ledger's counts into the log, each with its purpose (R42)."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from device.audit.events import Value
from device.audit.ledger import Ledger
from device.protocol.alert import ListVersion

WRITE_EVERY_S = 60.0


class Note(Protocol):
    """Appends a line to the log: `Notebook.note`."""

    def __call__(self, event: str, **details: Value) -> None:
        """Append a line."""


class Tally:
    """Writes what the ledger has counted since the last `searched` line.

    One for each arming. note: must keep what it cannot write now (`Notebook.note` does). purpose:
    the authorisation's objective. now_s: monotonic clock in seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        note: Note,
        *,
        purpose: str,
        watchlist: ListVersion,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._note = note
        self._purpose = purpose
        self._watchlist = watchlist
        self._now_s = now_s
        self._written = replace(ledger)
        self._due_s = now_s() + WRITE_EVERY_S

    def step(self) -> None:
        """Write the counts when a minute has passed and they have changed; call it every frame."""
        if self._now_s() >= self._due_s:
            self.close()

    def close(self) -> None:
        """Write what is not written yet: before disarming, a stop, and the record."""
        self._due_s = self._now_s() + WRITE_EVERY_S
        counted = replace(self._ledger)
        if counted == self._written:
            return
        since = {
            name: getattr(counted, name) - getattr(self._written, name) for name in Ledger.__slots__
        }
        self._written = counted
        self._note(
            "searched",
            purpose=self._purpose,
            watchlist=self._watchlist.id,
            version=self._watchlist.version,
            **since,
        )
