"""Alerts: the one type that may leave, and how it leaves.

In: confirmed candidates. Out: `Alert`s and the status, over MQTT. Never: anything about a face that
raised no alert, a count, a score. `AlertSink` is the interface that the sealed outbox and receipts
will fill; `Courier` is the plain courier behind it now. Answers for R18, R20, R45–R47, R51.
"""

from device.alerts.courier import Courier
from device.alerts.maker import AlertMaker
from device.alerts.sink import AlertSink

__all__ = ["AlertMaker", "AlertSink", "Courier"]
