"""The appliance with its state directory: notebook and orders."""

from pathlib import Path

from device.appliance import Appliance
from device.notebook import Notebook
from device.obedience import Obedience
from device.protocol.topics import Topics


def assembled(settings, eye, gallery, camera, sink, orders=()):  # noqa: PLR0913, PLR0917
    """orders: of the desk, given as soon as it runs."""
    directory = Path(settings.device.state_directory)
    topics = Topics(settings.device.site, settings.device.id)
    notebook = Notebook(directory)
    # Where the state directory is blocked, to see what the notebook does, there are no orders.
    folder = directory.parent / "orders" if directory.is_file() else directory
    obedience = Obedience(folder, topics.source, notebook)
    for order in orders:
        obedience.take(order)
    return Appliance(settings, eye, gallery, camera, sink, notebook=notebook, obedience=obedience)
