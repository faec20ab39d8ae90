"""`Gateway`: the wiring. One worker owns the broker and writes; one thread per target emits.

A message goes: received → decided (`Intake`) → committed (`Store`) → receipt → acknowledged at the
broker. Emitting comes after the commit, from the database. A kill at any place repeats something
and loses nothing: the device keeps what has no receipt, the database what has no mark.
"""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO

from device.alerts.client import Version
from device.errors import StorageError
from device.files import hold_alone
from tools.desk.gateway.answers import Answers, Arrival
from tools.desk.gateway.backlog import Backlog
from tools.desk.gateway.bundles import Bundles
from tools.desk.gateway.chores import Chores
from tools.desk.gateway.configuration import check_settings
from tools.desk.gateway.database import Database
from tools.desk.gateway.dispatcher import Dispatcher
from tools.desk.gateway.emitter import Emitter
from tools.desk.gateway.happenings import Received
from tools.desk.gateway.intake import LISTENED, Envelopes, Intake
from tools.desk.gateway.link import Link
from tools.desk.gateway.orderbook import Orders
from tools.desk.gateway.refusals import Tally
from tools.desk.gateway.sender import Sender
from tools.desk.gateway.settings import Settings
from tools.desk.gateway.store import Store
from tools.desk.gateway.targets import Emission, Function, Lines, Mqtt, Target
from tools.desk.gateway.unlocker import Unlocker
from tools.desk.gateway.unlocking import Unlocks
from tools.desk.gateway.webhook import Webhook
from tools.desk.gateway.work import Work
from tools.desk.keys import read_private_keys

log = logging.getLogger(__name__)

_TICK_S = 0.25
_DRAIN_S = 3.0
_AT_ONCE = 256
_MOST_WAITING = 4_096
"""Messages in memory, 50 MB, while the database is away and the broker heeds no window."""


class Gateway:
    """Runs in threads of its own between `start` and `stop`.

    settings: the whole of `desk.toml`. on_event: receives every event in this process; None: the
    targets of settings.emit do. now_ns: wall clock.
    """

    def __init__(
        self,
        settings: Settings,
        on_event: Callable[[Emission], None] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Raise ConfigurationError, StorageError, MessageError."""
        check_settings(settings)
        keys = read_private_keys(Path(settings.desk.keys))
        self._database = Database(settings.desk.database)
        self._alone = self._hold_alone()
        self._events: SimpleQueue[Any] = SimpleQueue()
        # Neither can be guessed: with a certificate of the site one could end this connection by
        # the id, or swallow a share of the alerts in the group.
        client_id = f"passerby-gateway-{settings.gateway.name}-{keys.pseudonym('client id')}"
        filters = partial(_filters, keys.pseudonym("group"))
        session_s = int(settings.gateway.session_h * 3600)
        self._link = Link(settings.broker, client_id, session_s, filters, self._events)
        envelopes = Envelopes(keys, settings.desk.suite)
        self._inbox: deque[Arrival] = deque()
        self._tally = Tally()
        self._emitters = [
            Emitter(Backlog(self._database, target.name), target, self._gone, now_ns)
            for target in _targets(settings, on_event)
        ]
        self._answers = Answers(envelopes, self._link, now_ns)
        holder = secrets.token_hex(16)
        orders = Orders(self._database, now_ns)
        again_s = settings.gateway.resend_orders_s
        self._dispatcher = Dispatcher(orders, envelopes, self._link, holder, again_s, now_ns)
        bundles = Bundles(self._database, now_ns)
        self._sender = Sender(bundles, envelopes, self._link, holder, now_ns)
        unlocker = Unlocker(Unlocks(self._database, now_ns), keys)
        self._work = Work(
            Store(self._database), Intake(envelopes), self._answers, self._tally, unlocker, now_ns
        )
        targets = [emitter.target for emitter in self._emitters]
        self._chores = Chores(self._database, settings.retention.alerts_h, targets, now_ns)
        self._stopping = threading.Event()
        self.ready = threading.Event()
        """Set once messages can come in."""
        self.ended = threading.Event()
        """Set when the gateway has stopped, or cannot go on: see `end`."""
        self.end: str | None = None
        """Why the gateway cannot go on, in a sentence."""
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def start(self) -> None:
        """Begin. Returns at once; losing the broker or the database is no failure."""
        for emitter in self._emitters:
            emitter.start()
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way, say goodbye to the broker, close the database."""
        self._stopping.set()
        self._events.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        for emitter in self._emitters:
            emitter.stop()
        self._database.close()
        if self._alone is not None:
            self._alone.close()
        self.ended.set()

    @property
    def faults(self) -> list[str]:
        """What is wrong now, each in a sentence."""
        faults = [self._link.fault, self._work.fault, self._answers.fault, self._sender.fault]
        faults += [emitter.fault for emitter in self._emitters]
        return [fault for fault in faults if fault is not None]

    def _hold_alone(self) -> BinaryIO | None:
        file = self._database.file
        if file is None:
            return None
        try:
            return hold_alone(file.with_name(f"{file.name}.gateway"))
        except StorageError as error:
            raise StorageError(
                f"Another gateway uses {file}: SQLite serves one. Stop it, or give desk.database a "
                "PostgreSQL for several."
            ) from error

    def _gone(self, reason: str) -> None:
        self.end = reason
        self.ended.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._turn()
        deadline = time.monotonic() + _DRAIN_S
        while self._unfinished() and time.monotonic() < deadline:
            self._turn()
        with suppress(Exception):
            self._link.close()

    def _unfinished(self) -> bool:
        return bool(self._link.ready and (self._inbox or len(self._answers) or self._link.waiting))

    def _turn(self) -> None:
        try:
            self._take_events()
            self._link.tick()
            if self._link.ready:
                self.ready.set()
            online = self._work.do(self._inbox)
            if online is not None:
                for emitter in self._emitters:
                    emitter.wake()
            self._answers.send(time.monotonic())
            if not self._stopping.is_set():
                self._dispatcher.send(online or ())
                self._sender.send(time.monotonic())
                self._chores.do(time.monotonic())
                self._tally.report(time.monotonic())
        except Exception as error:  # noqa: BLE001 - this thread must outlive any surprise
            log.error("gateway: %s: %s", type(error).__name__, error)  # noqa: TRY400
            time.sleep(_TICK_S)

    def _take_events(self) -> None:
        wait_s = min(_TICK_S, self._answers.wait_s(time.monotonic()))
        if self._inbox and self._work.fault is None:
            wait_s = 0.0
            if len(self._inbox) >= _AT_ONCE:
                return
        for _ in range(_AT_ONCE):
            try:
                event = self._events.get(timeout=wait_s) if wait_s else self._events.get_nowait()
            except Empty:
                return
            wait_s = 0.0
            if isinstance(event, Received):
                if len(self._inbox) < _MOST_WAITING:
                    self._inbox.append(Arrival(event, time.monotonic()))
                else:
                    self._link.refuse(event)
            elif event is not None:
                self._link.handle(event)


def _filters(group: str, version: Version) -> list[str]:
    """Return what to subscribe to.

    Alerts, records and requests are shared between gateways. Status is not: a broker sends
    retained messages to plain subscriptions only, and storing it twice changes nothing.
    """
    share = f"$share/{group}/" if version == "5" else ""
    return [f"{'' if kind == 'status' else share}passerby/v1/+/+/{kind}" for kind in LISTENED]


def _targets(settings: Settings, on_event: Callable[[Emission], None] | None) -> list[Target]:
    if on_event is not None:
        return [Function(on_event)]
    makers: dict[str, Callable[[], Target]] = {
        "stdout": Lines,
        "mqtt": lambda: Mqtt(settings.emit_mqtt, settings.gateway.name),
        "webhook": lambda: Webhook(settings.emit),
    }
    return [makers[name]() for name in dict.fromkeys(settings.emit.to)]
