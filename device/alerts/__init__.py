"""Alerts: the one type that may leave, and how it leaves.

In: confirmed candidates. Out: sealed alerts and the sealed status, over MQTT; orders of the desk
come the other way. `maker` words an alert, `post` and `outbox` keep it on the disk, sealed, until
the desk's signed receipt, `courier` carries it. Never: anything about a face that raised no alert,
a count, a score, an alert in the clear. Answers for R18, R20, R25, R45-R47, R51.
"""

from device.alerts.courier import Courier
from device.alerts.maker import AlertMaker
from device.alerts.post import Limits, Post
from device.alerts.sink import AlertSink

__all__ = ["AlertMaker", "AlertSink", "Courier", "Limits", "Post"]
