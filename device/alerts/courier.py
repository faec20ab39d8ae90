"""`Courier`: one thread that owns the connection, the waiting alerts and the status.

An alert stays until the broker has taken it: "no subscriber" (MQTT 5 tells) and every refusal put
it back. A PUBACK proves neither delivery nor durability; receipts by the desk come with the sealed
outbox, behind the same `AlertSink`.
"""

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from device.alerts.connection import (
    CONNECT_TIMEOUT_S,
    Acknowledged,
    Connected,
    Connection,
    Disconnected,
    Version,
)
from device.alerts.patience import BackOff, VersionChoice
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
"""A message without an answer for this long: the link is half open."""
_HEADER_BYTES = 256
_NO_SUBSCRIBER = 16
_FAILURE = 128
_STOP = object()
_VANISHED = "The device vanished without a goodbye: power, network or a crash."


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
        self._lock = threading.Lock()
        self._waiting = Waiting(alerts.queue)
        self._status = StatusData("offline", "starting")
        self._status_sent: StatusData | None = None
        self._status_message: int | None = None
        self._connection: Connection | None = None
        self._online = False
        self._window = 1
        self._largest_bytes: int | None = None
        self._versions = VersionChoice(broker.protocol)
        self._back_off = BackOff()
        self._next_try_s = 0.0
        self._paused_until_s = 0.0
        self._heard_s = 0.0
        self._dropped = 0
        self._stopped = False
        self._fault: str | None = f"Not yet connected to the broker {broker.host}:{broker.port}."
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """See `AlertSink.start`."""
        self._thread.start()

    def submit(self, alert: Alert) -> bool:
        """See `AlertSink.submit`."""
        with self._lock:
            taken = self._waiting.add(alert)
            self._dropped += not taken
        self._events.put(None)
        return taken

    def report(self, status: StatusData) -> None:
        """See `AlertSink.report`."""
        with self._lock:
            changed, self._status = status != self._status, status
        if changed:
            self._events.put(None)

    @property
    def fault(self) -> str | None:
        """See `AlertSink.fault`."""
        started = self._thread.ident is not None
        if started and not self._stopped and not self._thread.is_alive():
            return "The courier's thread has died: restart the appliance."
        return self._fault

    @property
    def online(self) -> bool:
        """True while the broker has accepted the connection."""
        return self._online

    @property
    def version(self) -> Version:
        """The MQTT version in use."""
        return self._versions.current

    def stop(self) -> int:
        """See `AlertSink.stop`."""
        deadline = time.monotonic() + self._settings.drain_s
        while self._thread.is_alive() and len(self) and time.monotonic() < deadline:
            time.sleep(0.02)
        self._stopped = True
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
            if event.accepted:
                self._accepted(event)
            else:
                reason = f"The broker refuses this device: {event.reason}. Check [broker]."
                self._not_accepted(reason, certain=event.unsupported_version)
        elif isinstance(event, Disconnected) and self._connection is not None:
            reason = (
                f"The broker ended the connection ({event.reason}): does another client use the "
                "same site and device id?"
            )
            if self._online:
                self._lost(reason)
            else:
                self._not_accepted(reason, certain=False)
        elif isinstance(event, Acknowledged):
            self._heard_s = time.monotonic()
            self._answered(event)

    def _accepted(self, event: Connected) -> None:
        now_s = time.monotonic()
        self._online, self._fault, self._heard_s = True, None, now_s
        self._window = max(1, min(_OWN_WINDOW, event.window))
        self._largest_bytes = event.largest_bytes
        self._versions.accepted()
        self._back_off.online(now_s)
        log.info("connected to the broker, MQTT %s", self.version)

    def _not_accepted(self, fault: str, *, certain: bool) -> None:
        if self._versions.not_accepted(certain=certain):
            self._lost("The broker does not speak MQTT 5; trying 3.1.1.")
            self._next_try_s = 0.0
        else:
            self._lost(fault)

    def _answered(self, event: Acknowledged) -> None:
        if event.message == self._status_message:
            self._status_message = None
            if event.code >= _FAILURE:
                self._fault = f"The broker refuses the status ({event.reason}). Check its ACL."
            return
        taken = event.code != _NO_SUBSCRIBER and event.code < _FAILURE
        with self._lock:
            if taken:
                ours = self._waiting.done(event.message)
            else:
                ours = self._waiting.retry(event.message)
        if ours and taken:
            self._fault = None
        elif ours:
            self._paused_until_s = time.monotonic() + _REFUSED_PAUSE_S
            self._fault = (
                "Nobody has subscribed to this device's alerts; they wait."
                if event.code == _NO_SUBSCRIBER
                else f"The broker refuses alerts ({event.reason}); they wait. Check its ACL."
            )

    def _connect_if_due(self) -> None:
        now_s = time.monotonic()
        if self._connection is not None:
            self._check_silence(now_s)
            return
        if now_s < self._next_try_s:
            return
        self._heard_s = now_s
        try:
            self._connection = Connection(
                self._broker,
                self.version,
                f"passerby-{self._topics.site}-{self._topics.device}",
                (self._topics.of("status"), self._encoded(self._farewell(_VANISHED))),
                self._events,
            )
            self._connection.open()
        except BrokerError as error:
            self._lost(str(error))

    def _check_silence(self, now_s: float) -> None:
        """Notice a broker that does not answer; silence counts from the oldest open question."""
        silent_s = now_s - self._heard_s
        if not self._online:
            if silent_s > CONNECT_TIMEOUT_S:
                fault = "The broker accepts the connection but does not answer: is it MQTT there?"
                self._not_accepted(fault, certain=False)
        elif not self._waiting.under_way and self._status_message is None:
            self._heard_s = now_s
        elif silent_s > _SILENCE_S:
            self._lost("The broker no longer answers.")

    def _lost(self, fault: str) -> None:
        if fault != self._fault:
            log.warning("%s", fault)
        connection, self._connection = self._connection, None
        self._online, self._fault = False, fault
        self._status_sent = self._status_message = None
        with self._lock:
            self._waiting.retry_all()
        if connection is not None:
            # Without a goodbye, so that the broker tells the world what this device cannot.
            connection.close(polite=False)
        self._forget_late_events()
        self._next_try_s = self._back_off.lost(time.monotonic())

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
        now_s = time.monotonic()
        with self._lock:
            status = self._status
        if self._status_message is None and status != self._status_sent:
            self._status_message = self._connection.publish(
                self._topics.of("status"), self._encoded(status), retain=True
            )
            self._status_sent = status
        if now_s < self._paused_until_s:
            return
        # The status takes a place in the broker's window too.
        room = max(1, self._window - (self._status_message is not None))
        with self._lock:
            while (alert := self._waiting.next(room)) is not None:
                payload = self._payload(alert)
                if self._too_large(payload):
                    self._waiting.drop_next()
                    self._dropped += 1
                    continue
                self._waiting.sent(self._connection.publish(self._topics.of("alert"), payload))

    def _too_large(self, payload: bytes) -> bool:
        if self._largest_bytes is None or len(payload) + _HEADER_BYTES <= self._largest_bytes:
            return False
        self._fault = (
            f"An alert of {len(payload)} bytes is larger than the broker takes "
            f"({self._largest_bytes}): raise its limit. The alert is lost."
        )
        log.error("%s", self._fault)
        return True

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

    def _farewell(self, reason: str) -> StatusData:
        with self._lock:
            status = self._status
        return msgspec.structs.replace(status, link="offline", state="stopped", reasons=[reason])

    def _say_goodbye(self) -> None:
        if self._connection is None:
            return
        if self._online:
            with self._lock:
                stopped = self._status.state == "stopped"
                reason = self._status.reasons[0] if stopped and self._status.reasons else "Stopped."
            goodbye = self._encoded(self._farewell(reason))
            message = self._connection.publish(self._topics.of("status"), goodbye, retain=True)
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
