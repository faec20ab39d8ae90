"""Wires what a device needs to correspond with its desk: keys, outbox, courier, orders."""

from pathlib import Path

from device.alerts import Courier, Limits, Post
from device.alerts.outbox import NAME
from device.identity import envelope_for
from device.notebook import Notebook
from device.obedience import Obedience
from device.protocol.topics import Topics
from device.settings import Settings


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
