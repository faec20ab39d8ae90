"""`Courier`: one thread that owns the connection, sends letters and the status, hears the desk.

It empties the outbox only by receipts that the desk has signed: a PUBACK proves neither delivery
nor durability. With constant cover it sends one cell at every beat, a dummy when there is nothing
to say. A request to unlock goes beside the beat, at once: its topic tells what it is anyway. What
comes in is opened here; orders go to `on_order`, answers to requests to `on_unlock`, parts of
bundles to `on_part`, refusals to `on_refusal`.
"""

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from device.alerts.choice import next_letter
from device.alerts.client import CONNECT_TIMEOUT_S, Version
from device.alerts.connection import (
    Acknowledged,
    Connected,
    Connection,
    Disconnected,
    Received,
    Subscribed,
)
from device.alerts.flow import Flow
from device.alerts.maker import Draft
from device.alerts.outbox import Entry
from device.alerts.pace import Beat
from device.alerts.patience import BackOff, VersionChoice
from device.alerts.post import Post
from device.alerts.refused import FAILURE, explain_code, is_taken
from device.alerts.writer import Writer, farewell
from device.errors import BrokerError, MessageError
from device.protocol.cell import CELL_BYTES
from device.protocol.envelope import Envelope
from device.protocol.identifiers import uuid7
from device.protocol.messages import Message
from device.protocol.order import Adjudication, Command, Order
from device.protocol.part import BundlePart, BundlePartData
from device.protocol.receipt import Receipt
from device.protocol.record import Record
from device.protocol.refusals import MisaddressedError
from device.protocol.status import StatusData
from device.protocol.topics import Topics, parse_topic
from device.protocol.unlocking import Unlock, UnlockRequest
from device.settings import AlertSettings, BrokerSettings

log = logging.getLogger(__name__)

_OWN_WINDOW = 16
_TICK_S = 0.25
_DRAIN_LOOK_S = 0.1
_RESUBSCRIBE_S = 30.0
_STATUS_AGAIN_S = 600.0
"""Without cover an unchanged status goes again: the desk may have refused one by its clock."""
_CONNECT_PATIENCE_S = 3.0
_REFUSED_PAUSE_S = 5.0
_SILENCE_S = 30.0
"""A message without an answer for this long: the link is half open."""
LARGEST_PACKET_BYTES = CELL_BYTES + 256
"""A cell with its topic and properties."""
_AHEAD_S = 1.0
"""With constant cover a cell is made this long before its tick, or a quarter of a short beat."""
_REQUEST_EVERY_S = 2.0
"""No two requests to unlock come closer together, whoever asks for them."""
_FETCH_AGAIN_S = 600.0
"""All parts of a bundle are asked for again this often at most: they are some megabytes."""
_HEARD = ("receipt", "command", "bundle")
_BEATS_PER_STATUS = 6
"""With constant cover the status goes with every sixth beat, changed or not."""
_STOP = object()
_VANISHED = "The device vanished without a goodbye: power, network or a crash."
_STUCK_S = 120.0
"""A turn of the thread that takes longer is no slow network any more."""
_DEAD = "The courier's thread has died or is stuck: restart the appliance."


class Courier:
    """An `AlertSink` over MQTT: version 5, or 3.1.1 where the broker has no more."""

    def __init__(  # noqa: PLR0913 - the wiring hands everything in
        self,
        broker: BrokerSettings,
        topics: Topics,
        alerts: AlertSettings,
        envelope: Envelope,
        post: Post,
        *,
        on_order: Callable[[Order], None] = lambda _order: None,
        on_refusal: Callable[[str], None] = lambda _reason: None,
        on_unlock: Callable[[Unlock], None] = lambda _unlock: None,
        on_part: Callable[[BundlePartData], None] = lambda _part: None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """on_…: called from the courier's thread. on_part may raise MessageError."""
        self._broker = broker
        self._topics = topics
        self._settings = alerts
        self._envelope = envelope
        self._post = post
        self._on_order = on_order
        self._on_refusal = on_refusal
        self._on_unlock = on_unlock
        self._on_part = on_part
        self._now_ns = now_ns
        self._writer = Writer(envelope, topics.source, alerts.delayed_after_s, now_ns)
        self._events: SimpleQueue[Any] = SimpleQueue()
        self._flow = Flow(alerts.unreceipted, alerts.receipt_timeout_s)
        self._beat = Beat(alerts.cover_period_s) if alerts.cover == "constant" else None
        self._ahead_s = min(_AHEAD_S, alerts.cover_period_s / 4)
        self._beats = 0
        self._status = StatusData("offline", "starting")
        self._status_sent: StatusData | None = None
        self._status_message: int | None = None
        self._connection: Connection | None = None
        self._connection_id = uuid7(now_ns())
        self._online = False
        self._largest_bytes: int | None = None
        self._versions = VersionChoice(broker.protocol)
        self._back_off = BackOff()
        self._next_try_s = self._paused_until_s = self._heard_s = 0.0
        self._turned_s = time.monotonic()
        self._stopped = False
        self._subscription_fault: str | None = None
        self._resubscribe_s = self._status_again_s = 0.0
        self._narrow = False
        self._request: UnlockRequest | None = None
        self._request_next_s = 0.0
        # Once per start: parts that came and were not yet on the disk went with the last process.
        self._fetch_due_s: float | None = 0.0
        self._fetched_s = float("-inf")
        self._fetching = False
        self._fault: str | None = f"Not yet connected to the broker {broker.host}:{broker.port}."
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """See `AlertSink.start`."""
        self._turned_s = time.monotonic()
        self._thread.start()

    def submit(self, draft: Draft) -> bool:
        """See `AlertSink.submit`."""
        kept = self._post.submit(draft)
        self._events.put(None)
        return kept

    def submit_record(self, record: Record) -> bool:
        """See `AlertSink.submit_record`."""
        kept = self._post.submit_record(record)
        self._events.put(None)
        return kept

    def report(self, status: StatusData) -> None:
        """See `AlertSink.report`."""
        # One assignment, read once per turn by the thread: no lock is needed.
        changed, self._status = status != self._status, status
        if changed:
            self._events.put(None)

    def ask(self, request: UnlockRequest) -> None:
        """Send a request to unlock as soon as there is a connection; the newest one only."""
        self._events.put(request)

    def keep_for(self, keep_s: float) -> None:
        """Keep alerts for so many seconds at most, received or not (R25)."""
        self._post.keep_for(keep_s)

    def fetch_bundle(self) -> None:
        """Ask the broker for all parts of the bundle again, soon: some could not be kept."""
        # One assignment, read once per turn by the thread: no lock is needed.
        self._fetch_due_s = max(time.monotonic(), self._fetched_s + _FETCH_AGAIN_S)

    @property
    def fault(self) -> str | None:
        """See `AlertSink.fault`."""
        return self._subscription_fault or self._fault if self.alive else _DEAD

    @property
    def alarms(self) -> list[str]:
        """See `AlertSink.alarms`."""
        return self._post.alarms

    @property
    def alive(self) -> bool:
        """See `AlertSink.alive`."""
        if self._thread.ident is None or self._stopped:
            return True
        # paho gives a TLS handshake as long as the keepalive.
        longest_s = max(_STUCK_S, 4 * self._broker.keepalive_s)
        return self._thread.is_alive() and time.monotonic() - self._turned_s < longest_s

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
        now_s = time.monotonic()
        deadline, patience_s = now_s + self._settings.drain_s, now_s + _CONNECT_PATIENCE_S
        while self._thread.is_alive() and len(self) and time.monotonic() < deadline:
            if not self._online and time.monotonic() > patience_s:
                break  # there is nobody to wait for
            time.sleep(_DRAIN_LOOK_S)
        self._stopped = True
        self._events.put(_STOP)
        if self._thread.is_alive():
            self._thread.join(timeout=2 * CONNECT_TIMEOUT_S)
        waiting = len(self)
        self._post.close()
        return waiting

    def __len__(self) -> int:
        return self._post.waiting()

    def _run(self) -> None:
        while True:
            event = self._next_event()
            self._turned_s = time.monotonic()
            if event is _STOP:
                self._say_goodbye()
                return
            try:
                self._handle(event)
                self._connect_if_due()
                self._post.tend()
                self._send()
            except Exception as error:  # noqa: BLE001 - this thread must outlive any surprise
                log.error("courier: %s: %s", type(error).__name__, error)  # noqa: TRY400
                self._lost(f"The courier failed ({type(error).__name__}); it starts again.")

    def _next_event(self) -> object:
        wait_s = _TICK_S
        if self._beat is not None and self._online:
            wait_s = min(wait_s, self._beat.wait_s(time.monotonic()) - self._ahead_s)
        try:
            return self._events.get(timeout=max(wait_s, 0.001))
        except Empty:
            return None

    def _handle(self, event: object) -> None:
        if isinstance(event, Connected):
            reason = f"The broker refuses this device: {event.reason}. Check [broker]."
            if event.accepted:
                self._accepted(event)
            elif event.unsupported_version:
                self._not_accepted(reason, certain=True)
            else:
                # It has answered in this version: no reason to try another.
                self._lost(reason)
        elif isinstance(event, Disconnected) and self._connection is not None:
            reason = (
                f"The broker ended the connection ({event.reason}): does another client use the "
                "same site and device id, or was this device's certificate refused? Run passerby "
                "doctor."
            )
            if self._online:
                self._lost(reason)
            else:
                self._not_accepted(reason, certain=False)
        elif isinstance(event, Acknowledged):
            self._heard_s = time.monotonic()
            self._answered(event)
        elif isinstance(event, Subscribed):
            refused = f"The broker refuses receipts ({event.refused}). Check its ACL."
            self._subscription_fault = refused if event.refused is not None else None
            self._fetching = False
            self._resubscribe_s = time.monotonic() + _RESUBSCRIBE_S
        elif isinstance(event, Received):
            self._received(event)
        elif isinstance(event, UnlockRequest):
            self._request = event

    def _accepted(self, event: Connected) -> None:
        now_s = time.monotonic()
        self._online, self._fault, self._heard_s = True, None, now_s
        # One place of the window is the status's.
        window = max(1, min(_OWN_WINDOW, event.window) - 1)
        self._narrow = event.window == 1
        self._flow.connected(window, same_session=event.same_session)
        self._largest_bytes = event.largest_bytes
        self._versions.accepted()
        self._back_off.online(now_s)
        self._subscription_fault = None
        self._subscribe()
        if self._beat is not None:
            self._beat.start(now_s)
        log.info("connected to the broker, MQTT %s", self.version)

    def _subscribe(self) -> None:
        if self._connection is None:
            return
        now_s = time.monotonic()
        fetch = self._fetch_due_s is not None and now_s >= self._fetch_due_s
        if fetch:
            self._fetch_due_s, self._fetched_s, self._fetching = None, now_s, True
        topics = [self._topics.of("receipt"), self._topics.of("command"), self._topics.every_part]
        self._connection.subscribe(topics, retained=fetch)

    def _not_accepted(self, fault: str, *, certain: bool) -> None:
        if self._versions.not_accepted(certain=certain):
            self._lost("The broker does not speak MQTT 5; trying 3.1.1.")
            self._next_try_s = 0.0
        else:
            self._lost(fault)

    def _answered(self, event: Acknowledged) -> None:
        fault = explain_code(event.code, event.reason)
        if event.message == self._status_message:
            self._status_message = None
            # It is retained: that nobody listens just now is no fault.
            if event.code < FAILURE:
                self._fault = None
            else:
                self._fault = f"The status is not taken. {fault}"
                self._status_sent = None
                self._paused_until_s = time.monotonic() + _REFUSED_PAUSE_S
        elif is_taken(event.code):
            if self._flow.answered(event.message) is not None:
                self._fault = None
        elif self._flow.refused(event.message, time.monotonic() + _REFUSED_PAUSE_S):
            self._paused_until_s = time.monotonic() + _REFUSED_PAUSE_S
            self._fault = fault

    def _received(self, event: Received) -> None:
        try:
            topics, kind = parse_topic(event.topic)
            if topics != self._topics or kind not in _HEARD:
                raise MisaddressedError("A message came on a topic that is not this device's.")
            if kind == "bundle" and not event.payload:
                return  # the broker keeps this part no more
            self._heard(self._envelope.open(event.payload, kind).message)
        except MessageError as error:
            self._on_refusal(f"{type(error).__name__}: {error}")

    def _heard(self, message: Message) -> None:
        if isinstance(message, Receipt):
            self._receipted(message)
        elif isinstance(message, Command | Adjudication):
            self._on_order(message)
        elif isinstance(message, Unlock):
            self._on_unlock(message)
        elif isinstance(message, BundlePart):
            self._on_part(message.data)

    def _receipted(self, receipt: Receipt) -> None:
        digest = receipt.data.digest
        if digest is None:
            return
        if receipt.data.outcome == "refused":
            self._post.bury(digest, "the desk could not open it.")
        else:
            self._post.remove(digest)
        self._flow.finished(digest)

    def _connect_if_due(self) -> None:
        now_s = time.monotonic()
        if self._connection is not None:
            self._check_silence(now_s)
            return
        if now_s < self._next_try_s:
            return
        self._heard_s = now_s
        self._connection_id = uuid7(self._now_ns())
        try:
            self._connection = Connection(
                self._broker,
                self.version,
                self._envelope.client_id,
                (self._topics.of("status"), self._written(farewell(self._status, _VANISHED))),
                self._events,
                keep_session=True,
            )
            self._connection.open()
        except BrokerError as error:
            self._lost(str(error))
        # Looking up a name and a handshake may have taken long: silence counts from here.
        self._heard_s = time.monotonic()

    def _check_silence(self, now_s: float) -> None:
        """Notice a broker that does not answer; silence counts from the oldest open question."""
        silent_s = now_s - self._heard_s
        if not self._online:
            if silent_s > CONNECT_TIMEOUT_S:
                fault = "The broker accepts the connection but does not answer: is it MQTT there?"
                self._not_accepted(fault, certain=False)
        elif self._subscription_fault is not None and now_s >= self._resubscribe_s:
            self._resubscribe_s = now_s + _RESUBSCRIBE_S
            self._subscribe()
        elif self._fetch_due_s is not None and now_s >= self._fetch_due_s:
            self._subscribe()
        elif not self._flow.unanswered and self._status_message is None:
            self._heard_s = now_s
        elif silent_s > _SILENCE_S:
            self._lost("The broker no longer answers.")

    def _lost(self, fault: str) -> None:
        if fault != self._fault:
            log.warning("%s", fault)
        connection, self._connection = self._connection, None
        self._online, self._fault = False, fault
        self._status_sent = self._status_message = None
        if self._fetching:
            # The broker may never have heard of it, and know the subscription all the same.
            self._fetching, self._fetch_due_s = False, 0.0
        self._flow.disconnected()
        if connection is not None:
            # Without a goodbye, so that the broker tells the world what this device cannot.
            connection.close(polite=False)
        self._forget_late_events()
        self._next_try_s = self._back_off.lost(time.monotonic())

    def _forget_late_events(self) -> None:
        """Events of the connection that was just closed must not count for the next one.

        What was received counts all the same: it is signed, and the broker has it no more. So does
        what was asked.
        """
        kept = []
        while True:
            try:
                event = self._events.get_nowait()
            except Empty:
                break
            if event is _STOP or isinstance(event, Received | UnlockRequest):
                kept.append(event)
        for event in kept:
            self._events.put(event)

    def _send(self) -> None:
        connection, now_s = self._connection, time.monotonic()
        if not self._online or connection is None or not self._cells_fit():
            return
        if self._beat is None:
            if now_s >= self._paused_until_s:
                self._send_at_once(connection, now_s)
        elif self._status_sent is None and now_s >= self._paused_until_s:
            # The connection itself is visible: a status at its start tells nothing more.
            self._send_status(connection)
        elif self._beat.wait_s(now_s) <= self._ahead_s:
            self._send_at_beat(connection, self._beat)
        if self._request is not None:
            self._send_request(connection, self._request)

    def _send_request(self, connection: Connection, request: UnlockRequest) -> None:
        """Send a request, unless the broker or the pause between two of them forbids it."""
        now_s = time.monotonic()
        busy = self._narrow and self._status_message is not None
        if (
            busy
            or not self._flow.may_send()
            or now_s < max(self._request_next_s, self._paused_until_s)
        ):
            return
        self._request, self._request_next_s = None, now_s + _REQUEST_EVERY_S
        message = connection.publish(self._topics.of("request"), self._envelope.cell(request))
        # It takes a place in the broker's window, and nobody repeats it here: `Unlocking` does.
        self._flow.sent_cover(message)

    def _send_at_once(self, connection: Connection, now_s: float) -> None:
        if now_s >= self._status_again_s:
            self._status_sent = None
        if not (self._narrow and self._flow.unanswered):
            self._send_status(connection)
        if self._narrow and self._status_message is not None:
            return
        while (entry := next_letter(self._post, self._flow, now_s)) is not None:
            self._send_letter(connection, entry)

    def _send_at_beat(self, connection: Connection, beat: Beat) -> None:
        """Send one cell whatever there is to say, and at every sixth beat the status.

        All is sealed before the tick and nothing else is done until then: reading an alert from
        the disk, and erasing one, take other times than a dummy, and a broker could measure that.
        """
        self._beats += 1
        wanted = self._beats % _BEATS_PER_STATUS == 0 and self._status_message is None
        status = self._status
        status_cell = self._written(status) if wanted else None
        busy = self._narrow and (status_cell is not None or self._status_message is not None)
        may_send, now_s = self._flow.may_send() and not busy, time.monotonic()
        entry = next_letter(self._post, self._flow, now_s) if may_send else None
        in_s = beat.wait_s(now_s)
        cell = self._writer.dummy() if entry is None else self._writer.letter(entry, in_s)
        while not beat.due(time.monotonic()):
            time.sleep(beat.wait_s(time.monotonic()))
        if status_cell is not None:
            self._publish_status(connection, status, status_cell)
        if not may_send:
            return
        kind = "alert" if entry is None else entry.kind
        message = connection.publish(self._topics.of(kind), cell)
        # Counted like an alert: a broker that withholds its answers must not see a difference.
        if entry is None:
            self._flow.sent_cover(message)
        else:
            self._flow.sent(entry.digest, message, time.monotonic())

    def _send_letter(self, connection: Connection, entry: Entry) -> None:
        cell = self._writer.letter(entry)
        message = connection.publish(self._topics.of(entry.kind), cell)
        self._flow.sent(entry.digest, message, time.monotonic())

    def _send_status(self, connection: Connection) -> None:
        """Send the status if it has changed."""
        status = self._status
        if self._status_message is None and status != self._status_sent:
            self._publish_status(connection, status, self._written(status))

    def _publish_status(self, connection: Connection, status: StatusData, cell: bytes) -> None:
        topic = self._topics.of("status")
        self._status_message = connection.publish(topic, cell, retain=True)
        self._status_sent = status
        self._status_again_s = time.monotonic() + _STATUS_AGAIN_S

    def _cells_fit(self) -> bool:
        if self._largest_bytes is None or self._largest_bytes >= LARGEST_PACKET_BYTES:
            return True
        self._fault = (
            f"The broker takes messages of {self._largest_bytes} bytes at most, and a cell has "
            f"{CELL_BYTES}: raise its limit (Mosquitto: max_packet_size). Alerts wait."
        )
        return False

    def _written(self, status: StatusData) -> bytes:
        return self._writer.status(status, self._connection_id)

    def _say_goodbye(self) -> None:
        if self._connection is None:
            return
        if self._online:
            status = self._status
            stopped = status.state == "stopped" and status.reasons
            goodbye = self._written(farewell(status, status.reasons[0] if stopped else "Stopped."))
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
            if isinstance(event, Acknowledged) and event.message == message:
                return
            if isinstance(event, Acknowledged | Received):
                self._handle(event)
