"""`Patience`: how long to wait after one failure more. Rules only: no clock."""

import random

_FIRST_S = 0.2
_LONGEST_S = 30.0


class Patience:
    """Doubles from a fifth of a second to half a minute; randomised, so that many do not beat."""

    def __init__(self) -> None:
        self._next_s = _FIRST_S

    def pause_s(self) -> float:
        """Return the seconds to wait now."""
        pause_s = self._next_s
        self._next_s = min(_LONGEST_S, 2 * pause_s)
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def reset(self) -> None:
        """Note that it works again."""
        self._next_s = _FIRST_S
