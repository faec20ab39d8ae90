"""`Inbox`: what the courier's thread hears for the processing thread.

Answers and parts wait in queues until they are looked after: nothing of theirs happens in between
two steps of a frame.
"""

from queue import SimpleQueue

from device.protocol.part import BundlePartData
from device.protocol.unlocking import Unlock


class Inbox:
    """Queues between the courier's thread and the processing thread."""

    def __init__(self) -> None:
        self.unlocks: SimpleQueue[Unlock] = SimpleQueue()
        self.parts: SimpleQueue[BundlePartData] = SimpleQueue()
