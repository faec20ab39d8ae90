"""`Dispatcher`: sends the desk's orders, sealed anew each time, until they are obeyed or expire."""

import logging
import time
from collections.abc import Callable, Collection
from functools import partial

from device.alerts.refused import FAILURE
from device.errors import PasserbyError
from device.protocol.identifiers import utc_ns
from device.protocol.topics import parse_source
from tools.desk.gateway.intake import Envelopes
from tools.desk.gateway.link import Link, Parcel
from tools.desk.gateway.orderbook import Due, Orders

log = logging.getLogger(__name__)

_EVERY_S = 1.0


class Dispatcher:
    """Repeats an order after `again_s`. holder: names this gateway in leases."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it joins
        self,
        orders: Orders,
        envelopes: Envelopes,
        link: Link,
        holder: str,
        again_s: float,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._orders = orders
        self._envelopes = envelopes
        self._link = link
        self._holder = holder
        self._again_s = again_s
        self._now_ns = now_ns
        self._next_s = 0.0
        self._taken: list[str] = []
        self._faults: set[str] = set()

    def send(self, online: Collection[str]) -> None:
        """Send what is due. online: devices that have just reported; theirs goes at once."""
        now_s = time.monotonic()
        if not self._link.ready or (now_s < self._next_s and not online):
            return
        self._next_s = now_s + _EVERY_S
        try:
            taken, self._taken = self._taken, []
            if taken:
                self._orders.published(taken)
            due = self._orders.due(self._holder, self._again_s, tuple(online))
            faults = {fault for one in due if (fault := self._tried(one)) is not None}
        except PasserbyError as error:
            faults = {str(error)}
        for fault in sorted(faults - self._faults):
            log.error("orders: %s", fault)
        self._faults = faults

    def _tried(self, due: Due) -> str | None:
        """Publish an order; return why it could not be: orders of other devices go all the same."""
        try:
            self._publish(due)
        except PasserbyError as error:
            return f"The order {due.id} to {due.source} cannot be sent. {error}"
        return None

    def _publish(self, due: Due) -> None:
        left_s = int((utc_ns(due.expires_at) - self._now_ns()) / 1e9)
        if left_s < 1:
            return
        cell = self._envelopes.of(due.source, due.keys).cell(due.order)
        topic = parse_source(due.source).of("command")
        answered = partial(self._answered, due.id)
        self._link.send(Parcel(topic, cell, expiry_s=left_s, answered=answered))

    def _answered(self, order: str, code: int) -> None:
        # "No subscriber" (16) counts as sent: the device's next status brings the order back.
        if 0 <= code < FAILURE:
            self._taken.append(order)
