"""Wires what a device needs to correspond with its desk: keys, outbox, courier, orders."""

import signal
import time
from pathlib import Path
from typing import NoReturn

import msgspec

from device.alerts import Courier, Limits, Post
from device.alerts.outbox import NAME
from device.deployment import deployment_record
from device.errors import BrokerError, NotArmedError
from device.identity import envelope_for, own_keys
from device.inbox import Inbox
from device.notebook import Notebook
from device.obedience import Obedience
from device.protocol.status import StatusData
from device.protocol.topics import Topics
from device.settings import Settings

_LOOK_S = 0.5


def limits_of(settings: Settings) -> Limits:
    """Return the bounds of the outbox."""
    return Limits(settings.alerts.outbox_mb * 1_000_000, settings.retention.alerts_h * 3600)


def correspondence(
    settings: Settings, inbox: Inbox | None = None
) -> tuple[Courier, Notebook, Obedience]:
    """Return the courier, the state directory's notebook and the orders.

    inbox: takes answers to unlocking and parts of bundles; without one they are dropped.

    Raises ConfigurationError (the desk's keys), StorageError (own keys, orders).
    """
    directory = Path(settings.device.state_directory)
    topics = Topics(settings.device.site, settings.device.id)
    notebook = Notebook(directory, signer=own_keys(directory).signer)
    obedience = Obedience(directory, topics.source, notebook)
    envelope = envelope_for(settings)
    post = Post(directory / NAME, limits_of(settings), envelope)
    courier = Courier(
        settings.broker,
        topics,
        settings.alerts,
        envelope,
        post,
        on_order=obedience.take,
        on_refusal=obedience.refuse,
        on_unlock=_dropped if inbox is None else inbox.unlocks.put,
        on_part=_dropped if inbox is None else inbox.part,
    )
    return courier, notebook, obedience


def _dropped(_message: object) -> None:
    """A demonstration has no signed list."""


def deliver_the_rest(settings: Settings, parts: tuple[Courier, Notebook, Obedience]) -> NoReturn:
    """After the end of a deployment: erase, deliver what still waits, compare nothing.

    Runs until nothing waits or SIGTERM. Raises NotArmedError then, BrokerError when the courier
    dies.
    """
    courier, notebook, obedience = parts
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: stopping.append(number))
    notebook.erase(Path(settings.watchlist.path))
    # Which list it was nobody knows any more, so that all counts are unknown.
    record = deployment_record(
        settings, None, "unknown", "unknown", running=False, written=notebook.fault is None
    )
    if obedience.standing.record_owed and courier.submit_record(record):
        obedience.record_submitted()
    courier.start()
    while len(courier) and not stopping:
        obedience.obey()
        status = _ended(courier, notebook, obedience)
        courier.report(status)
        notebook.show(status, "not watched", courier.fault or "connected")
        if not courier.alive:
            raise BrokerError(courier.fault or "The courier has died.")
        time.sleep(_LOOK_S)
    status = msgspec.structs.replace(
        _ended(courier, notebook, obedience), link="offline", state="stopped"
    )
    courier.report(status)
    courier.stop()
    notebook.show(status, "not watched", courier.fault or "connected")
    raise NotArmedError(" ".join(obedience.standing.reasons()))


def _ended(courier: Courier, notebook: Notebook, obedience: Obedience) -> StatusData:
    faults = [notebook.fault] if notebook.fault is not None else []
    reasons = [*obedience.standing.reasons(), *faults, *courier.alarms]
    last_order = obedience.standing.last_order
    return StatusData("online", "not comparing", reasons, last_order=last_order)
