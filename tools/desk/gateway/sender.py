"""`Sender`: brings bundles to the broker, part by part, beside what cannot wait.

Few parts are under way at a time, and only one while anything else is: receipts and orders never
stand behind a bundle. A part that the broker has not answered counts as not sent; a gateway that
takes over begins at the last mark in the database, and parts that are sent twice cost nothing.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from device.alerts.refused import FAILURE
from device.errors import PasserbyError
from device.protocol.envelope import desk_source
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.part import BundlePart, cut
from device.protocol.topics import parse_source
from tools.desk.gateway.bundles import Bundles, Job
from tools.desk.gateway.intake import Envelopes
from tools.desk.gateway.link import LOST, Link, Parcel

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Parts under way while nothing else is: a quarter of the link's window."""
_EVERY_S = 1.0
_RENEW_S = 5.0
_MARK_EVERY = 32
_PAUSE_S = 30.0


@dataclass(slots=True)
class _Doing:
    """One device's bundle. answered: numbers that the broker has taken, above `done`."""

    job: Job
    archive: bytes
    next: int
    done: int
    renew_s: float
    under_way: int = 0
    answered: set[int] = field(default_factory=set)
    marked: int = 0


class Sender:
    """holder: names this gateway in leases. now_ns: wall clock."""

    def __init__(
        self,
        bundles: Bundles,
        envelopes: Envelopes,
        link: Link,
        holder: str,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._bundles = bundles
        self._envelopes = envelopes
        self._link = link
        self._holder = holder
        self._now_ns = now_ns
        self._doing: _Doing | None = None
        self._next_s = 0.0
        self._paused: dict[str, float] = {}
        self.fault: str | None = None
        """Why a bundle cannot be sent, in a sentence, or None."""

    def send(self, now_s: float) -> None:
        """Send what may leave now. now_s: monotonic clock."""
        if not self._link.ready:
            self._doing = None
            return
        try:
            if self._doing is None:
                self._begin(now_s)
            if self._doing is not None:
                self._go_on(self._doing, now_s)
        except PasserbyError as error:
            self._failed(str(error), now_s)

    def _begin(self, now_s: float) -> None:
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        jobs = self._bundles.due()
        self._paused = {one: until_s for one, until_s in self._paused.items() if now_s < until_s}
        if not self._paused:
            self.fault = None
        for job in jobs:
            if job.source in self._paused:
                continue
            if not self._bundles.hold(job.source, self._holder):
                continue
            archive = self._bundles.archive(job.bundle) if job.bundle is not None else b""
            if archive is None:
                continue  # withdrawn at this moment
            self._doing = _Doing(
                job, archive, job.done + 1, job.done, now_s + _RENEW_S, marked=job.done
            )
            return

    def _go_on(self, doing: _Doing, now_s: float) -> None:
        if now_s >= doing.renew_s:
            doing.renew_s = now_s + _RENEW_S
            if not self._bundles.hold(doing.job.source, self._holder):
                self._doing = None
                return
        if not self._marked(doing):
            self._doing = None
            return
        others = self._link.waiting > doing.under_way
        most = 1 if others else AT_ONCE
        while doing.next <= doing.job.last and doing.under_way < most and self._doing is doing:
            number = doing.next
            doing.next += 1
            doing.under_way += 1
            self._link.send(self._parcel(doing, number))

    def _marked(self, doing: _Doing) -> bool:
        """Write down how far it is, now and then; False when there is nothing more to do."""
        while doing.done + 1 in doing.answered:
            doing.done += 1
            doing.answered.remove(doing.done)
        finished = doing.done >= doing.job.last
        if not finished and doing.done - doing.marked < _MARK_EVERY:
            return True
        doing.marked = doing.done
        if not self._bundles.progress(doing.job, doing.done):
            return False
        if finished:
            self.fault = None
            self._next_s = 0.0
        return not finished

    def _parcel(self, doing: _Doing, number: int) -> Parcel:
        job = doing.job
        payload = b""
        if number <= job.parts and job.bundle is not None:
            now_ns = self._now_ns()
            data = cut(doing.archive, job.bundle, job.source, job.offered_at, number)
            part = BundlePart(
                uuid7(now_ns), desk_source(self._envelopes.desk), utc_text(now_ns), data
            )
            payload = self._envelopes.of(job.source, job.keys).cell(part)
        topic = parse_source(job.source).of("bundle", number)
        answered = partial(self._answered, doing, number)
        # An empty retained message is none: the broker forgets what it kept there.
        return Parcel(topic, payload, retain=True, answered=answered)

    def _answered(self, doing: _Doing, number: int, code: int) -> None:
        doing.under_way -= 1
        if doing is not self._doing:
            return
        if code == LOST:
            self._doing = None
        elif code >= FAILURE:
            sentence = (
                f"The broker refuses parts of bundles (reason {code}): check its access list and "
                "its memory_limit."
            )
            self._failed(sentence, time.monotonic())
        else:
            # "No subscriber" (16) is fine: the part is retained.
            doing.answered.add(number)

    def _failed(self, sentence: str, now_s: float) -> None:
        doing, self._doing = self._doing, None
        if sentence != self.fault:
            log.error("bundles: %s", sentence)
        self.fault = sentence
        self._next_s = now_s + _EVERY_S
        if doing is not None:
            # Other devices' go on.
            self._paused[doing.job.source] = now_s + _PAUSE_S
