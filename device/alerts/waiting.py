"""The alerts that wait, in order, and those under way. Rules only: no thread, no socket, no clock.

In memory for now: a power cut loses what waits here, which is why the compliance matrix says so.
"""

from collections import deque

from device.protocol.alert import Alert


class Waiting:
    """Alerts in the order in which they were raised.

    limit: most that may wait. When it is reached the newest is refused and the oldest are kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: deque[Alert] = deque()
        self._under_way: dict[int, Alert] = {}

    def __len__(self) -> int:
        return len(self._queue) + len(self._under_way)

    def add(self, alert: Alert) -> bool:
        """Append an alert; False when the limit is reached."""
        if len(self) >= self._limit:
            return False
        self._queue.append(alert)
        return True

    def next(self, window: int) -> Alert | None:
        """Return the alert to send now, or None when none waits or `window` are under way."""
        if not self._queue or len(self._under_way) >= window:
            return None
        return self._queue[0]

    def drop_next(self) -> None:
        """Take the first alert out for good: the broker can never take it."""
        self._queue.popleft()

    def sent(self, message: int) -> None:
        """Note that the first alert left as this message."""
        self._under_way[message] = self._queue.popleft()

    def done(self, message: int) -> bool:
        """Note that a message arrived; False when it was not one of ours."""
        return self._under_way.pop(message, None) is not None

    def retry(self, message: int) -> bool:
        """Put a refused message back in its place; False when it was not one of ours."""
        alert = self._under_way.pop(message, None)
        if alert is None:
            return False
        self._put_back([alert])
        return True

    def retry_all(self) -> None:
        """Put everything under way back in front, in order: the connection is gone."""
        self._put_back(list(self._under_way.values()))
        self._under_way.clear()

    def _put_back(self, alerts: list[Alert]) -> None:
        self._queue = deque(sorted([*alerts, *self._queue], key=lambda alert: alert.data.sequence))
