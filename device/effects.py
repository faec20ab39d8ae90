"""What the desk's orders do to the list in memory, the file of it, and what is sent."""

from collections.abc import Callable
from pathlib import Path

from device.alerts import AlertSink
from device.matching import Gallery
from device.notebook import Notebook
from device.obedience import Obedience
from device.protocol.order import Command
from device.protocol.record import Record
from device.recognition import Recogniser


class Effects:
    """Puts orders into force. watchlist: the file that an ended deployment erases."""

    def __init__(
        self,
        obedience: Obedience,
        notebook: Notebook,
        watchlist: Path,
        gallery: Gallery,
        recogniser: Recogniser,
    ) -> None:
        self._obedience = obedience
        self._notebook = notebook
        self._watchlist = watchlist
        self._gallery = gallery
        self._recogniser = recogniser

    def obey(self, sink: AlertSink, record: Callable[[], Record]) -> None:
        """Let new orders take effect. record: makes the record that answers the end."""
        for order in self._obedience.obey():
            if not isinstance(order, Command) or order.data.action not in ("revoke", "end"):
                continue
            counted = record()
            self.apply()
            if order.data.action == "end":
                sink.submit_record(counted)

    def apply(self) -> None:
        """Make memory and disk agree with what is in force, also what was ordered before."""
        standing = self._obedience.standing
        for reference_id in standing.revoked:
            self._gallery.revoke(reference_id)
        if standing.ended is not None:
            self._gallery.wipe()
            self._notebook.erase(self._watchlist)
        self._recogniser.forget()
