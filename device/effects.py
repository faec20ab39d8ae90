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
    """Puts orders into force. watchlist: the file that an ended deployment erases, if it is one."""

    def __init__(
        self,
        obedience: Obedience,
        notebook: Notebook,
        watchlist: Path | None,
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
        obeyed = self._obedience.obey()
        if any(isinstance(o, Command) and o.data.action in ("revoke", "end") for o in obeyed):
            counted = record()
            self.apply()
            if self._obedience.standing.record_owed and sink.submit_record(counted):
                self._obedience.record_submitted()

    def apply(self) -> None:
        """Make memory and disk agree with what is in force, also what was ordered before."""
        standing = self._obedience.standing
        for reference_id in standing.revoked:
            self._gallery.revoke(reference_id)
        if standing.ended is not None:
            self._gallery.wipe()
            if self._watchlist is not None:
                self._notebook.erase(self._watchlist)
        self._recogniser.forget()
