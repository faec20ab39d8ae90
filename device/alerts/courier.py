"""`Courier`: one thread that owns the connection, the waiting alerts and the status.

An alert stays until the broker has taken it for somebody: "no subscriber" and every refusal put it
back. A PUBACK proves neither delivery nor durability; receipts by the desk come with the sealed
outbox, behind the same `AlertSink`.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from device.alerts.connection import (
    CONNECT_TIMEOUT_S,
    Acknowledged,
    Connected,
    Connection,
    Disconnected,
    Version,
)
from device.alerts.waiting import Waiting
from device.errors import BrokerError
from device.protocol.alert import Alert, encode_alert
from device.protocol.identifiers import utc_ns, utc_text, uuid7
from device.protocol.status import Status, StatusData, encode_status
from device.protocol.topics import Topics
from device.settings import AlertSettings, BrokerSettings

log = logging.getLogger(__name__)

_OWN_WINDOW = 16
_TICK_S = 0.25
_REFUSED_PAUSE_S = 5.0
_SILENCE_S = 30.0
"""Messages under way without an answer for this long: the link is half open."""
_BACK_OFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_NO_SUBSCRIBER = 16
_FAILURE = 128
_STOP = object()


class Courier:
    """An `AlertSink` over MQTT: version 5, or 3.1.1 where the broker has no more."""

    def __init__(
        self,
        broker: BrokerSettings,
        topics: Topics,
        alerts: AlertSettings,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._broker = broker
        self._topics = topics
        self._settings = alerts
        self._now_ns = now_ns
        self._events: SimpleQueue[Any] = SimpleQueue()
        self._waiting = Waiting(alerts.queue)
        self._lock = threading.Lock()
        self._status: StatusData | None = None
        self._status_sent: StatusData | None = None
        self._connection: Connection | None = None
        self._online = False
        self._window = 1
        self._largest_bytes: int | None = None
        self._version: Version = "3.1.1" if broker.protocol == "3.1.1" else "5"
        self._failures = 0
        self._next_try_s = 0.0
        self._paused_until_s = 0.0
        self._heard_s = 0.0
        self._dropped = 0
        self._fault: str | None = f"Not yet connected to the broker {broker.host}:{broker.port}."
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """See `AlertSink.start`."""
        self._thread.start()

    def submit(self, alert: Alert) -> bool:
        """See `AlertSink.submit`."""
        with self._lock:
            taken = self._waiting.add(alert)
            if not taken:
                self._dropped += 1
        self._events.put(None)
        return taken

    def report(self, status: StatusData) -> None:
        """See `AlertSink.report`."""
        with self._lock:
            self._status = status
        self._events.put(None)

    @property
    def fault(self) -> str | None:
        """See `AlertSink.fault`."""
        if self._thread.ident is not None and not self._thread.is_alive():
            return "The courier's thread has died: restart the appliance."
        return self._fault

    @property
    def online(self) -> bool:
        """True while the broker has accepted the connection."""
        return self._online

    @property
    def version(self) -> Version:
        """The MQTT version in use."""
        return self._version

    def stop(self) -> int:
        """See `AlertSink.stop`."""
        deadline = time.monotonic() + self._settings.drain_s
        while self._thread.is_alive() and len(self) and time.monotonic() < deadline:
            time.sleep(0.02)
        self._events.put(_STOP)
        if self._thread.is_alive():
            self._thread.join(timeout=2 * CONNECT_TIMEOUT_S)
        return len(self) + self._dropped

    def __len__(self) -> int:
        with self._lock:
            return len(self._waiting)

    def _run(self) -> None:
        while True:
            try:
                event = self._events.get(timeout=_TICK_S)
            except Empty:
                event = None
            if event is _STOP:
                self._say_goodbye()
                return
            try:
                self._handle(event)
                self._connect_if_due()
                self._send()
            except Exception as error:  # noqa: BLE001 - this thread must outlive any surprise
                log.error("courier: %s: %s", type(error).__name__, error)  # noqa: TRY400
                self._lost(f"The courier failed ({type(error).__name__}); it starts again.")

    def _handle(self, event: object) -> None:
        if isinstance(event, Connected):
            self._heard_s = time.monotonic()
            if event.accepted:
                self._accepted(event)
            else:
                self._refused(event)
        elif isinstance(event, Disconnected) and self._connection is not None:
            # A broker that only knows 3.1.1 may hang up instead of refusing.
            if self._online or not self._fall_back():
                self._lost(f"The broker ended the connection ({event.reason}).")
        elif isinstance(event, Acknowledged):
            self._heard_s = time.monotonic()
            self._answered(event)

    def _accepted(self, event: Connected) -> None:
        self._online, self._fault, self._failures = True, None, 0
        self._window = max(1, min(_OWN_WINDOW, event.window))
        self._largest_bytes = event.largest_bytes
        self._status_sent = None
        log.info("connected to the broker, MQTT %s", self._version)

    def _refused(self, event: Connected) -> None:
        if event.unsupported_version and self._fall_back():
            return
        self._lost(
            f"The broker refuses this device: {event.reason}. Check [broker] in device.toml."
        )

    def _fall_back(self) -> bool:
        """Try MQTT 3.1.1 at once, when the configuration leaves it open."""
        if self._broker.protocol != "auto" or self._version == "3.1.1":
            return False
        self._lost("The broker does not speak MQTT 5; trying 3.1.1.")
        self._version = "3.1.1"
        self._next_try_s = 0.0
        return True

    def _answered(self, event: Acknowledged) -> None:
        with self._lock:
            if event.code != _NO_SUBSCRIBER and event.code < _FAILURE:
                if self._waiting.done(event.message):
                    self._fault = None
                return
            ours = self._waiting.retry(event.message)
        if ours:
            self._paused_until_s = time.monotonic() + _REFUSED_PAUSE_S
            self._fault = (
                "Nobody has subscribed to this device's alerts; they wait."
                if event.code == _NO_SUBSCRIBER
                else f"The broker refuses alerts ({event.reason}); they wait. Check its ACL."
            )

    def _connect_if_due(self) -> None:
        now_s = time.monotonic()
        if self._connection is not None:
            self._check_silence(now_s - self._heard_s)
            return
        if now_s < self._next_try_s:
            return
        self._heard_s = now_s
        try:
            self._connection = Connection(
                self._broker,
                self._version,
                f"passerby-{self._topics.site}-{self._topics.device}",
                (self._topics.of("status"), self._encoded(self._will())),
                self._events,
            )
            self._connection.open()
        except BrokerError as error:
            self._lost(str(error))

    def _check_silence(self, silent_s: float) -> None:
        if self._online:
            if silent_s > _SILENCE_S and self._anything_under_way():
                self._lost("The broker no longer answers.")
        elif silent_s > CONNECT_TIMEOUT_S and not self._fall_back():
            self._lost("The broker accepts the connection but does not answer.")

    def _anything_under_way(self) -> bool:
        with self._lock:
            return self._waiting.next(self._window) is None and len(self._waiting) > 0

    def _lost(self, fault: str) -> None:
        if fault != self._fault:
            log.warning("%s", fault)
        if self._broker.protocol == "auto" and not self._online:
            self._version = "5"
        connection, self._connection = self._connection, None
        was_online, self._online = self._online, False
        self._fault = fault
        with self._lock:
            self._waiting.retry_all()
        if connection is not None:
            connection.close()
        self._forget_late_events()
        back_off = 0.2 if was_online else _BACK_OFF_S[min(self._failures, len(_BACK_OFF_S) - 1)]
        self._failures += 1
        # Randomised, so that a fleet does not come back as one.
        self._next_try_s = time.monotonic() + back_off * random.uniform(0.5, 1.5)  # noqa: S311

    def _forget_late_events(self) -> None:
        """Events of the connection that was just closed must not count for the next one."""
        kept = []
        while True:
            try:
                event = self._events.get_nowait()
            except Empty:
                break
            if event is _STOP:
                kept.append(event)
        for event in kept:
            self._events.put(event)

    def _send(self) -> None:
        if not self._online or self._connection is None:
            return
        with self._lock:
            status = self._status
        if status is not None and status != self._status_sent:
            self._connection.publish(self._topics.of("status"), self._encoded(status), retain=True)
            self._status_sent = status
        if time.monotonic() < self._paused_until_s:
            return
        with self._lock:
            while (alert := self._waiting.next(self._window)) is not None:
                payload = self._payload(alert)
                if self._largest_bytes is not None and len(payload) + 256 > self._largest_bytes:
                    self._waiting.drop_next()
                    self._dropped += 1
                    self._fault = "An alert is larger than the broker takes; raise its limit."
                    log.error("%s", self._fault)
                    continue
                message = self._connection.publish(self._topics.of("alert"), payload)
                self._waiting.sent(message)

    def _payload(self, alert: Alert) -> bytes:
        now_ns = self._now_ns()
        waited_s = (now_ns - utc_ns(alert.data.captured_at)) / 1e9
        delayed = waited_s > self._settings.delayed_after_s
        return encode_alert(alert.sent(utc_text(now_ns), delayed=delayed))

    def _encoded(self, status: StatusData) -> bytes:
        now_ns = self._now_ns()
        return encode_status(
            Status(id=uuid7(now_ns), source=self._topics.source, time=utc_text(now_ns), data=status)
        )

    def _will(self) -> StatusData:
        return StatusData(
            link="offline",
            state="stopped",
            reasons=["The device vanished without a goodbye: power, network or a crash."],
        )

    def _say_goodbye(self) -> None:
        if self._connection is None:
            return
        if self._online:
            goodbye = StatusData(link="offline", state="stopped", reasons=["Stopped on request."])
            message = self._connection.publish(
                self._topics.of("status"), self._encoded(goodbye), retain=True
            )
            self._await(message)
        self._connection.close()
        self._online = False

    def _await(self, message: int) -> None:
        deadline = time.monotonic() + 1.0
        while (left := deadline - time.monotonic()) > 0:
            try:
                event = self._events.get(timeout=left)
            except Empty:
                return
            if isinstance(event, Acknowledged):
                if event.message == message:
                    return
                self._answered(event)
