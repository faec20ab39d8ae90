"""A fixed set of frame buffers, allocated once and wiped each time one comes back (R13)."""

from collections import deque
from threading import Condition

import numpy as np

from device.capture.frame import Pixels

# One being processed, one waiting as the latest, one being filled.
POOL_SIZE = 3


class BufferPool:
    """`POOL_SIZE` buffers of one shape, uint8. `take` waits for one; `give_back` wipes it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._free = deque(np.zeros(shape, np.uint8) for _ in range(POOL_SIZE))
        self._returned = Condition()

    def take(self, timeout_s: float) -> Pixels | None:
        """Return a wiped buffer, or None when none came free within `timeout_s` seconds."""
        with self._returned:
            if not self._returned.wait_for(lambda: bool(self._free), timeout_s):
                return None
            return self._free.popleft()

    def give_back(self, buffer: Pixels) -> None:
        """Overwrite a buffer with zeros and make it available again."""
        buffer.fill(0)
        with self._returned:
            self._free.append(buffer)
            self._returned.notify()
