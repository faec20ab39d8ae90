"""`AlertSink`: where alerts go. The only thing that the rest of the appliance knows of it."""

from typing import Protocol

from device.protocol.alert import Alert
from device.protocol.status import StatusData


class AlertSink(Protocol):
    """Takes alerts and the status. The sealed outbox with receipts will be another one."""

    def start(self) -> None:
        """Begin to deliver. Returns at once; losing the broker is no failure."""
        ...

    def submit(self, alert: Alert) -> bool:
        """Take an alert. False when it had to be refused because too many wait."""
        ...

    def report(self, status: StatusData) -> None:
        """Publish the status, retained, as soon as there is a connection."""
        ...

    @property
    def fault(self) -> str | None:
        """What is wrong with the delivery, in a sentence, or None."""
        ...

    def stop(self) -> int:
        """Deliver what can be delivered in time, say goodbye; return how many alerts are left."""
        ...
