"""A clip of the benchmark on the disk: two streams, their times and the truth about them.

`main.npy` (n, h * 3 / 2, w) uint8 I420, `lores.npy` likewise, `seconds.npy` (n,) float64,
`truth.json`, and for everybody enrolled `references/ID.png`. A long clip has `frames.jpg` in the
place of the two streams (`tools.lab.bench.packed`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from device.capture.frame import Pixels
from device.capture.stills import shrunk
from device.errors import StorageError
from device.files import write_atomically
from device.opencv import cv2
from tools.lab.bench.contestant import View
from tools.lab.bench.packed import FRAMES, Packed

MAIN: Final = "main.npy"
LORES: Final = "lores.npy"
SECONDS: Final = "seconds.npy"
TRUTH: Final = "truth.json"
REFERENCES: Final = "references"


class Passage(msgspec.Struct, frozen=True):
    """Somebody is to be seen.

    identity: of an enrolled person the reference id. first, last: frames from and up to which, both
    included.
    """

    identity: str
    enrolled: bool
    first: int
    last: int


class Truth(msgspec.Struct, frozen=True):
    """What is true of a clip.

    size, lores: width and height in pixels. laps: how often it is shown without a pause; its end
    joins its start, and its passages are those of one lap.
    """

    name: str
    size: tuple[int, int]
    lores: tuple[int, int]
    passages: list[Passage]
    laps: int = 1


class _Planes:
    """Streams that are kept as they are. Raises OSError, ValueError."""

    def __init__(self, folder: Path) -> None:
        self._main: Pixels = np.load(folder / MAIN, mmap_mode="r")
        self._lores: Pixels = np.load(folder / LORES, mmap_mode="r")
        if len(self._main) != len(self._lores):
            msg = "the two streams have different lengths"
            raise ValueError(msg)

    def __len__(self) -> int:
        return len(self._main)

    def pair(self, number: int) -> tuple[Pixels, Pixels]:
        """Return main and small stream of a frame, I420."""
        return self._main[number], self._lores[number]


class _Pictures:
    """Streams that are made of packed frames. Raises OSError, ValueError."""

    def __init__(self, folder: Path, lores_width: int) -> None:
        self._packed = Packed(folder)
        self._width = lores_width

    def __len__(self) -> int:
        return len(self._packed)

    def pair(self, number: int) -> tuple[Pixels, Pixels]:
        """Return main and small stream of a frame, I420. Raises StorageError."""
        bgr = self._packed.bgr(number)
        return i420_of(bgr), i420_of(shrunk(bgr, self._width))


@dataclass(frozen=True)
class Clip:
    """An opened clip; its pixels stay on the disk until they are read."""

    folder: Path
    truth: Truth
    seconds: npt.NDArray[np.float64]
    streams: _Planes | _Pictures

    @classmethod
    def open(cls, folder: Path) -> "Clip":
        """Open a clip. Raises StorageError when it is none."""
        try:
            truth = msgspec.json.decode((folder / TRUTH).read_bytes(), type=Truth)
            seconds = np.load(folder / SECONDS)
            streams: _Planes | _Pictures = (
                _Pictures(folder, truth.lores[0])
                if (folder / FRAMES).is_file()
                else _Planes(folder)
            )
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise StorageError(f"{folder} holds no clip of the benchmark ({error}).") from error
        if len(streams) != len(seconds) or not len(seconds):
            raise StorageError(f"{folder} holds streams of different lengths: delete it.")
        return cls(folder, truth, seconds, streams)

    @property
    def references(self) -> list[Path]:
        """The photographs of everybody enrolled."""
        return sorted((self.folder / REFERENCES).glob("*.png"))

    def __len__(self) -> int:
        return self.truth.laps * len(self.seconds)

    def views(self, wants: frozenset[str]) -> Iterator[tuple[int, View, float]]:
        """Yield number, view and seconds of every frame of every lap.

        The same buffers each time, filled anew, as a camera's driver does. wants: see `Contestant`.
        """
        wide, high = self.truth.size
        small_wide, small_high = self.truth.lores
        main = np.empty((high * 3 // 2, wide), np.uint8)
        lores = np.empty((small_high * 3 // 2, small_wide), np.uint8)
        for number in range(len(self)):
            lap, frame = divmod(number, len(self.seconds))
            main[:], lores[:] = self.streams.pair(frame)
            main_bgr = bgr_of(main) if "main_bgr" in wants else None
            lores_bgr = bgr_of(lores) if "lores_bgr" in wants else None
            seconds = float(self.seconds[frame]) + lap * self._lap_s
            yield number, View(main, lores, main_bgr, lores_bgr), seconds

    @property
    def _lap_s(self) -> float:
        """Seconds from the start of one lap to that of the next."""
        step = float(np.median(np.diff(self.seconds))) if len(self.seconds) > 1 else 1.0
        return float(self.seconds[-1] - self.seconds[0]) + step


def bgr_of(i420: Pixels) -> Pixels:
    """Return I420 (h * 3 / 2, w) as (h, w, 3) uint8 BGR."""
    return np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), np.uint8)


def i420_of(bgr: Pixels) -> Pixels:
    """Return (h, w, 3) uint8 BGR with even sides as I420 (h * 3 / 2, w)."""
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8)


def write_truth(folder: Path, truth: Truth) -> None:
    """Write what is true of a clip; the last file of a folder, which without it is no clip."""
    write_atomically(folder / TRUTH, msgspec.json.encode(truth), mode=0o644)
