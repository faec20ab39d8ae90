"""`AlertSink`: where alerts go. The only thing that the rest of the appliance knows of it."""

from typing import Protocol

from device.alerts.maker import Draft
from device.protocol.record import Record
from device.protocol.status import StatusData


class AlertSink(Protocol):
    """Takes alerts, numbers and seals them, keeps them until the desk's receipt."""

    def start(self) -> None:
        """Begin to deliver. Returns at once; losing the broker is no failure."""
        ...

    def submit(self, draft: Draft) -> bool:
        """Take an alert. False when there was no room for it; `alarms` then says so."""
        ...

    def submit_record(self, record: Record) -> bool:
        """Take the record of a deployment, as `submit` takes an alert."""
        ...

    def report(self, status: StatusData) -> None:
        """Publish the status, retained, as soon as there is a connection."""
        ...

    @property
    def fault(self) -> str | None:
        """What is wrong with the connection, in a sentence, or None."""
        ...

    @property
    def alarms(self) -> list[str]:
        """What is wrong with keeping alerts, a sentence each."""
        ...

    @property
    def alive(self) -> bool:
        """False when delivering has died and only a restart helps."""
        ...

    def stop(self) -> int:
        """Deliver what can be delivered in time, say goodbye; return how many alerts still wait."""
        ...
