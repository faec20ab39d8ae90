"""`Lent`: a service's courier, lent to an appliance for one session. It is not its to stop."""

from device.alerts import AlertSink
from device.alerts.maker import Draft
from device.protocol.record import Record
from device.protocol.status import StatusData


class Lent:
    """An `AlertSink` that neither starts nor stops what it stands for."""

    def __init__(self, sink: AlertSink) -> None:
        self._sink = sink

    def start(self) -> None:
        """Do nothing: it runs."""

    def stop(self) -> int:
        """Do nothing: it goes on delivering."""
        return 0

    def submit(self, draft: Draft) -> bool:
        """See `AlertSink.submit`."""
        return self._sink.submit(draft)

    def submit_record(self, record: Record) -> bool:
        """See `AlertSink.submit_record`."""
        return self._sink.submit_record(record)

    def report(self, status: StatusData) -> None:
        """See `AlertSink.report`."""
        self._sink.report(status)

    @property
    def fault(self) -> str | None:
        """See `AlertSink.fault`."""
        return self._sink.fault

    @property
    def alarms(self) -> list[str]:
        """See `AlertSink.alarms`."""
        return self._sink.alarms

    @property
    def alive(self) -> bool:
        """See `AlertSink.alive`."""
        return self._sink.alive
