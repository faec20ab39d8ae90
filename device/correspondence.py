"""Wires what a device needs to correspond with its desk: keys, outbox, courier, orders."""

import signal
import threading
from pathlib import Path

from device.alerts import Courier, Limits, Post
from device.alerts.outbox import NAME
from device.errors import NotArmedError
from device.identity import envelope_for
from device.notebook import Notebook
from device.obedience import Obedience
from device.protocol.status import StatusData
from device.protocol.topics import Topics
from device.settings import Settings

_LOOK_S = 0.5


def limits_of(settings: Settings) -> Limits:
    """Return the bounds of the outbox."""
    return Limits(settings.alerts.outbox_mb * 1_000_000, settings.retention.alerts_h * 3600)


def correspondence(settings: Settings) -> tuple[Courier, Notebook, Obedience]:
    """Return the courier, the state directory's notebook and the orders.

    Raises ConfigurationError (the desk's keys), StorageError (own keys, orders).
    """
    directory = Path(settings.device.state_directory)
    topics = Topics(settings.device.site, settings.device.id)
    notebook = Notebook(directory)
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
    )
    return courier, notebook, obedience


def deliver_the_rest(courier: Courier, obedience: Obedience) -> int:
    """After the end of a deployment: deliver what still waits, until SIGTERM, and compare nothing.

    Raises NotArmedError when nothing waits any more.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    reasons = obedience.standing.reasons()
    last_order = obedience.standing.last_order
    courier.start()
    courier.report(StatusData("online", "not comparing", reasons, last_order=last_order))
    while len(courier) and not stopping.wait(_LOOK_S):
        obedience.obey()
    courier.report(StatusData("offline", "stopped", reasons, last_order=last_order))
    courier.stop()
    raise NotArmedError(" ".join(reasons))
