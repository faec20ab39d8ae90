"""When what goes wrong in a passage: by the number of the frame, so that every run is the same."""

from dataclasses import dataclass

_FAULT_EVERY = 5
_PLANT_EVERY = 20
_TROUBLES = {
    "broker refuses": (0.30, 0.34),
    "broker hangs": (0.40, 0.44),
    "disk full": (0.50, 0.54),
    "no memory left": (0.60, 0.62),
}
"""From which part of the passage to which."""
_CROWDS = (0.25, 0.75)
_POOR_EVERY, _EMPTY_EVERY = 50, 50


@dataclass(frozen=True)
class Plan:
    """number: frames of the passage. around: whether the surroundings fail, too."""

    number: int
    around: bool = True

    def begins(self, place):
        """Return the troubles that begin before this frame."""
        return self._at(place, 0)

    def over(self, place):
        """Return the troubles that are over before this frame."""
        return self._at(place, 1)

    def _at(self, place, end):
        if not self.around:
            return []
        return [name for name, parts in _TROUBLES.items() if self._frame(parts, end) == place]

    def _frame(self, parts, end):
        first = round(parts[0] * self.number)
        return max(first + 1, round(parts[1] * self.number)) if end else first

    @staticmethod
    def faulty(place):
        return place % _FAULT_EVERY == _FAULT_EVERY - 1

    def plants(self, place):
        return place % min(_PLANT_EVERY, max(2, self.number // 3)) == 1

    def extra(self, place):
        """Return what is shown behind this frame: a crowd, poor faces, nobody."""
        found = ["crowd"] if place in {round(part * self.number) for part in _CROWDS} else []
        found += ["poor"] if place % _POOR_EVERY == min(10, self.number // 2) else []
        return found + (["empty"] if place % _EMPTY_EVERY == min(30, self.number // 2) else [])
