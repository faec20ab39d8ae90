"""The alerts that wait, in order, and those under way. Rules only: no thread, no socket, no clock.

In memory for now: a power cut loses what waits here, which is why the compliance matrix says so.
"""

from collections import deque

from device.protocol.alert import Alert

_LOSSES_BEFORE_ASIDE = 3


class Waiting:
    """Alerts in the order in which they were raised.

    limit: most that may wait. When it is reached the newest is refused and the oldest are kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: deque[Alert] = deque()
        self._aside: deque[Alert] = deque()
        self._under_way: dict[int, Alert] = {}
        self._alone: str | None = None
        self._losses = 0

    def __len__(self) -> int:
        return len(self._queue) + len(self._aside) + len(self._under_way)

    @property
    def under_way(self) -> int:
        """How many were sent and are not answered yet."""
        return len(self._under_way)

    def add(self, alert: Alert) -> bool:
        """Append an alert; False when the limit is reached."""
        if len(self) >= self._limit:
            return False
        self._queue.append(alert)
        return True

    def next(self, window: int) -> Alert | None:
        """Return the alert to send now, or None when none waits or `window` are under way.

        After a connection broke with alerts under way they go one by one, to find the one to blame.
        """
        allowed = min(window, 1) if self._losses else window
        if self.under_way >= allowed:
            return None
        if not self._queue:
            self._queue, self._aside = self._aside, deque()
        return self._queue[0] if self._queue else None

    def drop_next(self) -> Alert:
        """Take the first alert out for good: the broker has said that it can never take it."""
        return self._queue.popleft()

    def sent(self, message: int) -> None:
        """Note that the first alert left as this message."""
        self._under_way[message] = self._queue.popleft()

    def done(self, message: int) -> bool:
        """Note that a message arrived; False when it was not one of ours."""
        self._losses = 0
        return self._under_way.pop(message, None) is not None

    def retry(self, message: int) -> bool:
        """Put a refused message back in its place; False when it was not one of ours."""
        alert = self._under_way.pop(message, None)
        if alert is None:
            return False
        self._put_back([alert])
        return True

    def retry_all(self) -> None:
        """Put everything under way back, in order: the connection is gone.

        An alert that was alone under way when this happened three times in a row is set aside, so
        that one that the broker cannot bear does not hold up the others. It is tried again last.
        """
        alerts = list(self._under_way.values())
        self._under_way.clear()
        if not alerts:
            return
        alone = alerts[0].id if len(alerts) == 1 else None
        same = alone is not None and alone == self._alone
        self._losses = self._losses + 1 if same else 1
        self._alone = alone
        if same and self._losses >= _LOSSES_BEFORE_ASIDE:
            self._aside.append(alerts[0])
            self._losses = 1
        else:
            self._put_back(alerts)

    def _put_back(self, alerts: list[Alert]) -> None:
        self._queue = deque(sorted([*alerts, *self._queue], key=lambda alert: alert.data.sequence))
