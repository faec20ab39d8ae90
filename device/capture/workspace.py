"""Memory for pixels on their way, taken once and used again for every frame (R13).

A step that makes a picture of a picture (a region as BGR, a smaller copy) asks its workspace where
to put it. In the steady state nothing is allocated, so nothing is freed that somebody would have to
overwrite, and the pages are there already.
"""

import math
from typing import Final

import numpy as np

from device.capture.frame import Pixels

_GRAIN: Final = 1 << 16
"""Memory grows in steps of so many bytes: faces that come nearer need a little more each time."""


class Workspace:
    """A few pieces of memory, each as large as the largest that was ever asked for in its turn.

    One step owns it: `take` what is needed, then `wipe` it all. Not thread-safe.
    """

    def __init__(self) -> None:
        self._memory: list[Pixels] = []
        self._taken: list[Pixels] = []
        self._known_wiped = True

    def take(self, *shape: int) -> Pixels:
        """Return a black array of this shape, uint8, which is valid until it is given back."""
        turn, size = len(self._taken), math.prod(shape)
        if turn == len(self._memory):
            self._memory.append(np.zeros(0, np.uint8))
        if self._memory[turn].size < size:
            # What lies there is black: whoever had it gave it back.
            self._memory[turn] = np.zeros(-(-size // _GRAIN) * _GRAIN, np.uint8)
        taken = self._memory[turn][:size].reshape(shape)
        self._known_wiped = False
        self._taken.append(taken)
        return taken

    def give_back(self) -> None:
        """Overwrite what was taken last."""
        self._taken.pop().fill(0)

    def wipe(self) -> None:
        """Overwrite all that was taken."""
        while self._taken:
            self.give_back()

    @property
    def wiped(self) -> bool:
        """True when nothing of a picture is left. It is looked at once after it was used."""
        if not self._known_wiped:
            black = all(is_black(memory) for memory in self._memory)
            self._known_wiped = black and not self._taken
        return self._known_wiped

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(memory.nbytes for memory in self._memory)


def is_black(pixels: Pixels) -> bool:
    """Return whether an array of uint8 holds nothing but zeros; asked after every frame."""
    # Several times faster than `any`, which first turns numbers into truth values.
    return pixels.size == 0 or int(pixels.max()) == 0
