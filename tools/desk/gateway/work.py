"""`Work`: takes what arrived, batch by batch, through decision and commit to its answer.

A request to unlock is decided after the commit, in a transaction of its own.

When the database does not work the batch stays as it is, unanswered and unacknowledged, and is
tried again. A row that the database will never take does not hold up the others.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from device.errors import StorageError
from device.protocol.identifiers import utc_text
from tools.desk.gateway.answers import Answers, Arrival
from tools.desk.gateway.database import UnstorableError
from tools.desk.gateway.intake import (
    Asked,
    Damaged,
    Decision,
    Dropped,
    Intake,
    Report,
    source_of,
)
from tools.desk.gateway.patience import Patience
from tools.desk.gateway.refusals import Tally
from tools.desk.gateway.statuses import is_premature
from tools.desk.gateway.store import Store, Taken
from tools.desk.gateway.unlocker import Unlocker

log = logging.getLogger(__name__)

_BATCH = 64


class Work:
    """now_ns: wall clock. fault: why the database does not work, in a sentence, or None."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it joins
        self,
        store: Store,
        intake: Intake,
        answers: Answers,
        tally: Tally,
        unlocker: Unlocker,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._intake = intake
        self._answers = answers
        self._tally = tally
        self._unlocker = unlocker
        self._now_ns = now_ns
        self._patience = Patience()
        self._next_try_s = 0.0
        self.fault: str | None = None

    def do(self, inbox: "deque[Arrival]") -> Sequence[str] | None:
        """Take one batch. Return the devices that now report online; None: nothing was done."""
        if not inbox or time.monotonic() < self._next_try_s:
            return None
        batch = [inbox[at] for at in range(min(_BATCH, len(inbox)))]
        try:
            online = self._take(batch)
        except StorageError as error:
            if self.fault != str(error):
                sentence = f"{error} No receipt is sent; devices keep their alerts."
                log.error("%s", sentence)  # noqa: TRY400 - a sentence, no traceback
            self.fault = str(error)
            self._next_try_s = time.monotonic() + self._patience.pause_s()
            return None
        for _ in batch:
            inbox.popleft()
        if self.fault is not None:
            log.info("the database works again")
        self.fault = None
        self._patience.reset()
        return online

    def _take(self, batch: Sequence[Arrival]) -> Sequence[str]:
        known = self._store.known(source_of(arrival.received.topic) for arrival in batch)
        decisions: list[Decision] = [
            self._in_time(
                self._intake.decide(arrival.received.topic, arrival.received.payload, known)
            )
            for arrival in batch
        ]
        decisions, taken = self._commit(decisions)
        # Before anything is answered: when this fails, all of the batch is done again.
        unlocks = self._unlocker.answers(decisions, time.monotonic())
        for source in taken.replayed:
            self._tally.add("a status older than the newest", source)
        for arrival, decision, unlock in zip(batch, decisions, unlocks, strict=True):
            if isinstance(decision, Asked) and unlock is None:
                self._tally.add("a request to unlock that comes too soon", decision.source)
            self._count(decision)
            device = known.get(source_of(arrival.received.topic) or "")
            self._answers.add(arrival, decision, device, unlock)
        return taken.online

    def _in_time(self, decision: Decision) -> Decision:
        if isinstance(decision, Report) and is_premature(decision.status, self._now_ns()):
            return Dropped("a status from the future: one of the clocks is wrong", decision.source)
        return decision

    def _commit(self, decisions: list[Decision]) -> tuple[list[Decision], Taken]:
        now = utc_text(self._now_ns())
        try:
            return decisions, self._store.take(decisions, now)
        except UnstorableError:
            return self._one_by_one(decisions, now)

    def _one_by_one(self, decisions: list[Decision], now: str) -> tuple[list[Decision], Taken]:
        kept: list[Decision] = []
        together = Taken(0, (), ())
        for decision in decisions:
            try:
                taken = self._store.take([decision], now)
            except UnstorableError as error:
                log.error("%s This message is dropped.", error)  # noqa: TRY400 - a sentence
                kept.append(Dropped("not storable", getattr(decision, "source", None)))
                continue
            kept.append(decision)
            together = together.plus(taken)
        return kept, together

    def _count(self, decision: Decision) -> None:
        if isinstance(decision, Dropped):
            self._tally.add(decision.reason, decision.source)
        elif isinstance(decision, Damaged):
            self._tally.add("a damaged letter: an alert is lost", decision.source)
