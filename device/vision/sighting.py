"""`Sighting`: what a comparison gets to see of one face, for as long as the call lasts."""

from collections.abc import Callable

import numpy as np

from device.capture.frame import Ephemeral, Picture, Pixels
from device.errors import MessageError
from device.opencv import cv2
from device.vision.inference import Floats
from device.vision.quality import Pose
from device.vision.sample import Probe

PORTRAIT_PX = 160
"""Longest side of the crop that an alert carries."""
_PORTRAIT_MARGIN = 0.35
_JPEG_QUALITY = 85


class Sighting(Ephemeral):
    """One face in one frame, ready to be compared. Invalid after the comparison returns.

    track: number of its track. box: x, y, width, height in main-stream pixels.
    quality: shot score in [0, 1].
    """

    __slots__ = ("_main", "box", "pose", "probe", "quality", "track")

    def __init__(  # noqa: PLR0913 - what a comparison may see, and nothing else
        self, track: int, probe: Probe, box: Floats, pose: Pose, quality: float, *, main: Picture
    ) -> None:
        self.track = track
        self.probe = probe
        self.box = box
        self.pose = pose
        self.quality = quality
        self._main = main

    def portrait(self) -> bytes:
        """Return the face as a small JPEG, for the verifier of an alert. Only an alert calls this.

        Raises MessageError when it cannot be encoded.
        """
        region = _around(self.box, self._main)
        scale = min(1.0, PORTRAIT_PX / max(region.shape[:2]))
        size = (max(1, round(region.shape[1] * scale)), max(1, round(region.shape[0] * scale)))
        small = cv2.resize(region, size, interpolation=cv2.INTER_AREA)
        ok, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if not ok:
            msg = "The face of an alert could not be encoded."
            raise MessageError(msg)
        return encoded.tobytes()


Compare = Callable[[Sighting], bool]
"""Compares one face; returns True when another shot of this track is wanted soon."""


def _around(box: Floats, main: Picture) -> Pixels:
    x, y, width, height = (float(value) for value in box)
    margin = _PORTRAIT_MARGIN * max(width, height)
    left, top = int(max(0.0, x - margin)) // 2 * 2, int(max(0.0, y - margin)) // 2 * 2
    right = int(np.clip(x + width + margin, left + 2, main.width)) // 2 * 2
    bottom = int(np.clip(y + height + margin, top + 2, main.height)) // 2 * 2
    return main.region_bgr(min(left, right - 2), min(top, bottom - 2), right, bottom)
