"""Many frames as JPEG in one file: what is shown once or twice need not fill the disk.

`frames.jpg` holds one picture after the other, `frames.npy` where each begins, and the end. The
quality is that of a USB camera's stream; every contestant sees the same pixels. The small stream is
made of them when they are read, outside the clock.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from device.capture.frame import Pixels
from device.errors import StorageError
from device.opencv import cv2

FRAMES: Final = "frames.jpg"
PLACES: Final = "frames.npy"
_QUALITY: Final = 93


def packed(bgr: Pixels) -> bytes:
    """Return a picture (h, w, 3) uint8 BGR as JPEG. Raises StorageError."""
    ok, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not ok:
        raise StorageError("A frame could not be encoded.")
    return encoded.tobytes()


def write_packed(folder: Path, frames: Iterable[bytes]) -> None:
    """Write frames that `packed` made. Raises OSError."""
    places = [0]
    with (folder / FRAMES).open("wb") as file:
        for frame in frames:
            file.write(frame)
            places.append(places[-1] + len(frame))
    np.save(folder / PLACES, np.array(places, np.int64))


class Packed:
    """Frames of a folder, by number. Raises OSError, ValueError when it holds none."""

    def __init__(self, folder: Path) -> None:
        self._places: npt.NDArray[np.int64] = np.load(folder / PLACES)
        self._bytes: Pixels = np.memmap(folder / FRAMES, np.uint8, "r")
        if self._places[-1] != len(self._bytes):
            msg = f"{folder / FRAMES} was cut"
            raise ValueError(msg)

    def __len__(self) -> int:
        return len(self._places) - 1

    def bgr(self, number: int) -> Pixels:
        """Return a frame, (h, w, 3) uint8 BGR. Raises StorageError."""
        part = self._bytes[self._places[number] : self._places[number + 1]]
        pixels = cv2.imdecode(np.asarray(part), cv2.IMREAD_COLOR)
        if pixels is None:
            raise StorageError(f"Frame {number} of a clip is damaged: delete the cache.")
        return np.asarray(pixels, np.uint8)
