"""`Writer`: makes the cells that a device sends. No socket, no disk."""

from collections.abc import Callable

import msgspec

from device.alerts.outbox import Entry
from device.protocol.cover import Cover
from device.protocol.envelope import Envelope
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.status import Status, StatusData


class Writer:
    """source: URI of the device. delayed_after_s: see `AlertSettings`. now_ns: wall clock."""

    def __init__(
        self, envelope: Envelope, source: str, delayed_after_s: float, now_ns: Callable[[], int]
    ) -> None:
        self._envelope = envelope
        self._source = source
        self._delayed_after_s = delayed_after_s
        self._now_ns = now_ns

    def dummy(self) -> bytes:
        """Return a cell that says nothing."""
        now_ns = self._now_ns()
        return self._envelope.cell(Cover(uuid7(now_ns), self._source, utc_text(now_ns)))

    def letter(self, entry: Entry, in_s: float = 0.0) -> bytes:
        """Return the cell with a letter. in_s: seconds from now until it leaves."""
        sent_ms = self._now_ns() // 1_000_000 + int(in_s * 1000)
        waited_s = (sent_ms - entry.captured_ms) / 1000
        delayed = entry.kind == "alert" and waited_s > self._delayed_after_s
        return self._envelope.dispatch(entry.letter, max(0, sent_ms), delayed=delayed)

    def status(self, status: StatusData, connection_id: str) -> bytes:
        """Return the cell with a status that belongs to a connection."""
        now_ns = self._now_ns()
        data = msgspec.structs.replace(status, connection=connection_id)
        return self._envelope.cell(Status(uuid7(now_ns), self._source, utc_text(now_ns), data))


def farewell(status: StatusData, reason: str) -> StatusData:
    """Return the last status of a device that stops, or vanishes."""
    return msgspec.structs.replace(
        status, link="offline", state="stopped", reasons=[reason], pace=None
    )
