"""Cooldown: one alert per reference and passage, not one per second."""


class Cooldown:
    """Remembers when each reference last alerted."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._alerted_s: dict[str, float] = {}

    def ready(self, reference_id: str, now_s: float) -> bool:
        """Tell whether a reference may alert at `now_s` (monotonic), and note that it does."""
        last = self._alerted_s.get(reference_id)
        if last is not None and 0 <= now_s - last < self._seconds:
            return False
        self._alerted_s[reference_id] = now_s
        return True
