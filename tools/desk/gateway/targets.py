"""Targets: where opened events go. Each says how many of a batch arrived, and what is wrong.

An emitted event is plain: whoever reads a target reads alerts. That is why `mqtt` and `webhook`
leave this machine only through TLS (`configuration.check_settings`).
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol, TextIO

from device.alerts.refused import FAILURE, NO_SUBSCRIBER
from device.errors import StorageError
from device.protocol.topics import Kind, parse_source
from device.settings import BrokerSettings
from tools.desk.gateway.link import Link, Parcel

ROOT: Final = "passerby-desk/v1"
CONTENT_TYPE: Final = "application/cloudevents+json"
_ANSWER_S = 15.0


@dataclass(frozen=True, slots=True)
class Emission:
    """One event for the consumers. event: CloudEvents 1.0 in JSON, as it was opened."""

    kind: Kind
    source: str
    id: str
    event: str

    @property
    def topic(self) -> str:
        """`passerby-desk/v1/<site>/<device>/<kind>`."""
        topics = parse_source(self.source)
        return f"{ROOT}/{topics.site}/{topics.device}/{self.kind}"


@dataclass(frozen=True, slots=True)
class Result:
    """done: how many, from the first, have arrived. fault: why not all, in a sentence."""

    done: int
    fault: str | None = None


class TargetGoneError(StorageError):
    """A target will never take anything again: whoever read it has gone."""


class Target(Protocol):
    """Where events go. One thread uses it."""

    name: str
    """Marks what was emitted: gateways whose targets have one name share the work."""

    def emit(self, batch: Sequence[Emission]) -> Result:
        """Deliver in order. Raises TargetGoneError."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Lines:
    """JSON lines on standard output, for a pipe."""

    name = "stdout"

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    def emit(self, batch: Sequence[Emission]) -> Result:
        """See `Target.emit`."""
        try:
            self._out.writelines(f"{one.event}\n" for one in batch)
            self._out.flush()
        except OSError as error:
            raise TargetGoneError(
                f"Nobody reads standard output any more ({error.strerror or error}); what was not "
                "emitted waits in the database."
            ) from error
        return Result(len(batch))

    def close(self) -> None:
        """See `Target.close`."""


class Function:
    """Calls a function of this process; what it raises counts as a failure, and is tried again."""

    name = "function"

    def __init__(self, function: Callable[[Emission], None]) -> None:
        self._function = function

    def emit(self, batch: Sequence[Emission]) -> Result:
        """See `Target.emit`."""
        for done, one in enumerate(batch):
            try:
                self._function(one)
            except Exception as error:  # noqa: BLE001 - somebody else's code
                return Result(done, f"The consumer failed ({type(error).__name__}: {error}).")
        return Result(len(batch))

    def close(self) -> None:
        """See `Target.close`."""


class Mqtt:
    """A local broker: alerts and records at QoS 1, never retained; the status retained.

    An alert that nobody has subscribed to counts as not delivered (MQTT 5 tells).
    """

    name = "mqtt"

    def __init__(self, broker: BrokerSettings, gateway: str) -> None:
        self._events: SimpleQueue[Any] = SimpleQueue()
        self._link = Link(broker, f"passerby-emit-{gateway}", 0, lambda _version: [], self._events)
        self._closing = threading.Event()

    def emit(self, batch: Sequence[Emission]) -> Result:
        """See `Target.emit`."""
        deadline = time.monotonic() + _ANSWER_S
        self._pump(deadline, self._is_settled)
        if not self._link.ready:
            return Result(0, self._link.fault or "The local broker does not answer.")
        codes: dict[int, int] = {}
        for at, one in enumerate(batch):
            retained = one.kind == "status"
            payload = one.event.encode()
            answered = partial(codes.__setitem__, at)
            self._link.send(
                Parcel(one.topic, payload, retained, None, CONTENT_TYPE, answered=answered)
            )
        self._pump(deadline, lambda: len(codes) == len(batch))
        return _judged(batch, codes)

    def close(self) -> None:
        """See `Target.close`."""
        self._closing.set()
        self._link.close()

    def _is_settled(self) -> bool:
        # A fault stays until it is over: a try that is under way is waited for all the same.
        return self._link.ready or (self._link.fault is not None and not self._link.trying)

    def _pump(self, deadline: float, until: Callable[[], bool]) -> None:
        while True:
            self._link.tick()
            if until() or time.monotonic() > deadline or self._closing.is_set():
                return
            try:
                self._link.handle(self._events.get(timeout=0.1))
            except Empty:
                continue


def _judged(batch: Sequence[Emission], codes: dict[int, int]) -> Result:
    for at, one in enumerate(batch):
        code = codes.get(at)
        if code is None or code < 0:
            return Result(at, "The local broker did not answer.")
        if code >= FAILURE:
            return Result(
                at, f"The local broker refuses {one.topic} (reason {code}): check its ACL."
            )
        if code == NO_SUBSCRIBER and one.kind != "status":
            return Result(at, f"Nobody has subscribed to {one.topic}; events wait.")
    return Result(len(batch))
