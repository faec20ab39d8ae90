"""What the camera sees, and when: stretches of clips that follow each other round and round."""

from pathlib import Path
from typing import Final

import msgspec

from device.errors import StorageError

BUFFERS: Final = 6
"""As many as the appliance asks a camera for."""


class Stretch(msgspec.Struct, frozen=True):
    """A clip, shown for so many seconds; a shorter clip begins again. name: for the figures."""

    name: str
    clip: str
    seconds: float


class Schedule(msgspec.Struct, frozen=True):
    """Stretches, round and round, at one rate. rate: frames per second."""

    stretches: list[Stretch]
    rate: float = 15.0

    @property
    def round_frames(self) -> int:
        """Frames until it begins again."""
        return sum(self.frames(stretch) for stretch in self.stretches)

    def frames(self, stretch: Stretch) -> int:
        """How many frames a stretch takes, at least one."""
        return max(1, round(stretch.seconds * self.rate))

    def at(self, tick: int) -> tuple[int, int]:
        """Return which stretch is shown at a tick of the camera, and the frame within it."""
        left = tick % self.round_frames
        for number, stretch in enumerate(self.stretches):
            if left < self.frames(stretch):
                return number, left
            left -= self.frames(stretch)
        raise AssertionError(tick)  # pragma: no cover - the frames add up

    @classmethod
    def read(cls, file: Path) -> "Schedule":
        """Read one that `write` wrote. Raises StorageError."""
        try:
            return msgspec.json.decode(file.read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError) as error:
            raise StorageError(f"{file} holds no schedule ({error}).") from error

    def write(self, file: Path) -> None:
        """Write it for the sensor's process."""
        file.write_bytes(msgspec.json.encode(self))
