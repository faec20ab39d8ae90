"""`Inbox`: what the courier's thread hears for the processing thread.

Answers and parts wait in queues until they are looked after: nothing of theirs happens in between
two steps of a frame.
"""

from queue import Full, Queue, SimpleQueue
from typing import Final

from device.protocol.part import LARGEST_BUNDLE_BYTES, BundlePartData, parts_of
from device.protocol.unlocking import Unlock

_MOST_PARTS: Final = parts_of(LARGEST_BUNDLE_BYTES)
"""Of the largest bundle: whoever repeats recorded ones fills no more memory than that."""


class Inbox:
    """Queues between the courier's thread and the processing thread.

    missed: a part found no place; whoever puts them together asks the broker for all of them again.
    """

    def __init__(self) -> None:
        self.unlocks: SimpleQueue[Unlock] = SimpleQueue()
        self.parts: Queue[BundlePartData] = Queue(_MOST_PARTS)
        self.missed = False

    def part(self, part: BundlePartData) -> None:
        """Take a part of a bundle; safe from any thread."""
        try:
            self.parts.put_nowait(part)
        except Full:
            self.missed = True
