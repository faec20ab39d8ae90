"""`Emitter`: one thread that brings one target what it has not got, and marks it when it has.

A mark is written after the target has taken an event: a kill in between repeats it, and loses
nothing. A fault of a target stops nothing else, not receipts and not other targets; and an event
that it does not take holds up its own device only, whose events keep their order.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from device.errors import StorageError
from device.protocol.identifiers import utc_text
from tools.desk.gateway.backlog import Backlog
from tools.desk.gateway.patience import Patience
from tools.desk.gateway.targets import Target, TargetGoneError

log = logging.getLogger(__name__)

_POLL_S = 1.0
"""Other gateways store too, and nobody tells this one."""


@dataclass(slots=True)
class _Stuck:
    """A device whose next event was not taken. next_s: when to try again."""

    fault: str = ""
    next_s: float = 0.0
    patience: Patience = field(default_factory=Patience)


class Emitter:
    """now_ns: wall clock. gone: called with a sentence when the target will take nothing more."""

    def __init__(
        self,
        backlog: Backlog,
        target: Target,
        gone: Callable[[str], None],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._backlog = backlog
        self._target = target
        self._gone = gone
        self._now_ns = now_ns
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self.target = target.name
        self._stuck: dict[str, _Stuck] = {}
        self._patience = Patience()
        self.fault: str | None = None
        """What is wrong, in a sentence, or None."""
        self._thread = threading.Thread(target=self._run, name=f"emit-{target.name}", daemon=True)

    def start(self) -> None:
        """Begin to emit."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once: something new is there."""
        self._wake.set()

    def stop(self) -> None:
        """Stop after the batch that is under way."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=20)
        self._target.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            pause_s = None
            try:
                self._round()
                self._note(next((stuck.fault for stuck in self._stuck.values()), None))
                self._patience.reset()
            except TargetGoneError as error:
                self._gone(str(error))
                return
            except StorageError as error:
                self._note(str(error))
                pause_s = self._patience.pause_s()
            except Exception as error:  # noqa: BLE001 - this thread must outlive any surprise
                self._note(f"Emitting to {self._target.name} failed ({type(error).__name__}).")
                pause_s = self._patience.pause_s()
            if pause_s is None:
                self._wake.wait(self._until_due_s())
            else:
                self._stopping.wait(pause_s)

    def _note(self, fault: str | None) -> None:
        if fault is not None and fault != self.fault:
            log.warning("%s", fault)
        elif fault is None and self.fault is not None:
            log.info("events reach %s again", self._target.name)
        self.fault = fault

    def _until_due_s(self) -> float:
        due_s = min((stuck.next_s for stuck in self._stuck.values()), default=math.inf)
        return min(_POLL_S, max(0.0, due_s - time.monotonic()))

    def _round(self) -> None:
        """Serve every device once, except those whose pause is not over."""
        sources = self._backlog.sources()
        for source in self._stuck.keys() - sources:
            # What waited there was erased, or another gateway has brought it.
            del self._stuck[source]
        for source in sources:
            stuck = self._stuck.get(source) or _Stuck()
            if self._stopping.is_set() or time.monotonic() < stuck.next_s:
                continue
            fault = self._serve(source)
            if fault is None:
                self._stuck.pop(source, None)
                continue
            stuck.fault = fault
            stuck.next_s = time.monotonic() + stuck.patience.pause_s()
            self._stuck[source] = stuck
            if self.fault is None:
                # Now: a target that hangs makes this round a long one.
                self._note(fault)

    def _serve(self, source: str) -> str | None:
        with self._backlog.lane(source) as waiting:
            if not waiting:
                return None
            result = self._target.emit([one.emission for one in waiting])
            if result.done:
                self._backlog.emitted(waiting[: result.done], utc_text(self._now_ns()))
            if result.fault is None:
                self._wake.set()
        return result.fault
