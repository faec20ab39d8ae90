"""`Link`: keeps one client connected to a broker and its outgoing messages within the window.

It has no thread: its owner hands it the events of its queue and calls `tick` now and then. What was
under way when a connection ends is reported as failed; whoever sent it decides what that means.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final

from device.alerts.client import CONNECT_TIMEOUT_S, Version
from device.alerts.patience import BackOff, VersionChoice
from device.errors import BrokerError
from device.settings import BrokerSettings
from tools.desk.gateway.connection import Connection
from tools.desk.gateway.happenings import (
    Acknowledged,
    Connected,
    Disconnected,
    Received,
    Subscribed,
)

log = logging.getLogger(__name__)

LOST: Final = -1
"""In place of a reason code: the connection ended before the broker answered."""
_LONGEST_PAUSE_S = 5.0
"""Between two tries: all devices of the desk wait meanwhile."""
_OWN_WINDOW = 16
_SILENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """Something to publish at QoS 1.

    sent: called once it was handed to the network. answered: called with the reason code, or LOST.
    """

    topic: str
    payload: bytes
    retain: bool = False
    expiry_s: int | None = None
    content_type: str | None = None
    sent: Callable[[], None] | None = None
    answered: Callable[[int], None] | None = None


class Link:
    """client_id, session_s: of the session. filters: what to subscribe to, by version of MQTT."""

    def __init__(
        self,
        broker: BrokerSettings,
        client_id: str,
        session_s: int,
        filters: Callable[[Version], list[str]],
        events: "SimpleQueue[Any]",
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._session_s = session_s
        self._filters = filters
        self._events = events
        self._versions = VersionChoice(broker.protocol)
        self._back_off = BackOff(_LONGEST_PAUSE_S)
        self._connection: Connection | None = None
        self._accepted = False
        self.ready = False
        """True while the broker has accepted the connection and the subscriptions."""
        self.fault: str | None = None
        """What is wrong, in a sentence, or None."""
        self._window = 1
        self._queue: deque[Parcel] = deque()
        self._under_way: dict[int, Parcel] = {}
        self._next_try_s = 0.0
        self._heard_s = 0.0

    @property
    def version(self) -> Version:
        """The MQTT version in use."""
        return self._versions.current

    @property
    def trying(self) -> bool:
        """Whether it is about to become ready."""
        return self._connection is not None and not self.ready

    @property
    def waiting(self) -> int:
        """How many messages are not answered yet."""
        return len(self._queue) + len(self._under_way)

    def send(self, parcel: Parcel) -> None:
        """Publish as soon as the window has room; while there is no connection it fails at once.

        A session that is resumed brings messages before the subscription is confirmed: answers to
        those wait, or the broker's window would stay full of what was never acknowledged.
        """
        self._queue.append(parcel)
        if not self._accepted:
            self._fail_all()
        self._flush()

    def acknowledge(self, received: Received) -> None:
        """Let the broker forget a message, unless its connection is gone: then it comes again."""
        connection = self._connection
        if connection is not None and received.connection is connection and received.message:
            connection.acknowledge(received.message)

    def refuse(self, received: Received) -> None:
        """Hang up, because a message finds no place here: the session stays, so it comes again.

        Without that it would keep its place in the broker's window for as long as the connection.
        """
        if self._connection is not None and received.connection is self._connection:
            self._lost(f"{self._place} sends more than this gateway can store; connecting anew.")

    def handle(self, event: object) -> None:
        """Take note of an event of the queue. Events of earlier connections mean nothing."""
        if getattr(event, "connection", None) is not self._connection or self._connection is None:
            return
        self._heard_s = time.monotonic()
        if isinstance(event, Connected):
            self._connected(event, self._connection)
        elif isinstance(event, Subscribed):
            self._subscribed(event)
        elif isinstance(event, Disconnected):
            self._disconnected(event)
        elif isinstance(event, Acknowledged):
            parcel = self._under_way.pop(event.message, None)
            if parcel is not None and parcel.answered is not None:
                parcel.answered(event.code)
            self._flush()

    def tick(self) -> None:
        """Connect when it is time to, and notice a connection that is dead."""
        now_s = time.monotonic()
        connection = self._connection
        if connection is None:
            if now_s >= self._next_try_s:
                self._open()
            return
        silent_s = now_s - self._heard_s
        if not connection.alive:
            self._lost("The connection to the broker has died; it is made again.")
        elif not self.ready and silent_s > CONNECT_TIMEOUT_S:
            self._not_accepted(f"{self._place} accepts the connection but does not answer.")
        elif self.ready and not self._under_way:
            self._heard_s = now_s
        elif silent_s > _SILENCE_S:
            self._lost(f"{self._place} no longer answers.")

    def close(self) -> None:
        """Say goodbye; the session stays."""
        connection, self._connection = self._connection, None
        self.ready = self._accepted = False
        if connection is not None:
            connection.close()
        self._fail_all()

    @property
    def _place(self) -> str:
        return f"The broker {self._broker.host}:{self._broker.port}"

    def _open(self) -> None:
        try:
            self._connection = Connection(
                self._broker, self.version, self._client_id, self._session_s, self._events
            )
            self._connection.open()
        except BrokerError as error:
            self._lost(str(error))
        # Connecting takes its time; only what comes after it is the broker's silence.
        self._heard_s = time.monotonic()

    def _connected(self, event: Connected, connection: Connection) -> None:
        if not event.accepted:
            reason = f"{self._place} refuses this gateway: {event.reason}. Check its settings."
            if self.version == "5" and not event.unsupported_version:
                # Whoever refuses in MQTT 5 speaks it: no reason to try 3.1.1.
                self._versions.accepted()
                self._lost(reason)
            else:
                self._not_accepted(reason, certain=event.unsupported_version)
            return
        self._accepted = True
        self._window = max(1, min(_OWN_WINDOW, event.window))
        self._versions.accepted()
        filters = self._filters(self.version)
        if filters:
            connection.subscribe(filters)
        else:
            self._is_ready()

    def _subscribed(self, event: Subscribed) -> None:
        if event.refused is not None:
            self._lost(
                f"{self._place} refuses the subscription ({event.refused}): check its access list, "
                "and whether it knows shared subscriptions."
            )
            return
        self._is_ready()

    def _is_ready(self) -> None:
        self._back_off.online(time.monotonic())
        self.ready, self.fault = True, None
        log.info("connected to %s:%d, MQTT %s", self._broker.host, self._broker.port, self.version)
        self._flush()

    def _disconnected(self, event: Disconnected) -> None:
        reason = (
            f"{self._place} ended the connection ({event.reason}): does another gateway use the "
            "same name, or does the access list refuse a topic?"
        )
        if self._accepted:
            self._lost(reason)
        else:
            self._not_accepted(reason)

    def _not_accepted(self, fault: str, *, certain: bool = False) -> None:
        changed = self._versions.not_accepted(certain=certain)
        self._lost(f"{self._place} does not speak MQTT 5; trying 3.1.1." if changed else fault)
        if changed:
            self._next_try_s = 0.0

    def _lost(self, fault: str) -> None:
        if fault != self.fault:
            log.warning("%s", fault)
        connection, self._connection = self._connection, None
        self.ready = self._accepted = False
        self.fault = fault
        if connection is not None:
            connection.close(polite=False)
        self._fail_all()
        self._next_try_s = self._back_off.lost(time.monotonic())

    def _fail_all(self) -> None:
        parcels = [*self._under_way.values(), *self._queue]
        self._under_way.clear()
        self._queue.clear()
        for parcel in parcels:
            if parcel.answered is not None:
                parcel.answered(LOST)

    def _flush(self) -> None:
        while (
            self.ready and self._connection and self._queue and len(self._under_way) < self._window
        ):
            parcel = self._queue.popleft()
            number = self._connection.publish(
                parcel.topic,
                parcel.payload,
                retain=parcel.retain,
                expiry_s=parcel.expiry_s,
                content_type=parcel.content_type,
            )
            self._under_way[number] = parcel
            if parcel.sent is not None:
                parcel.sent()
