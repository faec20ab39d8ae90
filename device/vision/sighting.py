"""`Sighting`: what a comparison gets to see of one face, for as long as the call lasts."""

from collections.abc import Callable

import numpy as np

from device.capture.frame import Ephemeral, Picture, Pixels
from device.errors import MessageError
from device.opencv import cv2
from device.vision.inference import Floats
from device.vision.quality import Pose
from device.vision.sample import Probe

_PORTRAITS = ((160, 85), (160, 70), (160, 50), (128, 50), (96, 40), (64, 40))
"""Longest side in pixels and JPEG quality of the crop that an alert carries, best first."""
_PORTRAIT_MARGIN = 0.35
_HIDDEN_MARGIN = 0.15
_GREY = 128


class Sighting(Ephemeral):
    """One face in one frame, ready to be compared. Invalid after the comparison returns.

    track: number of its track. box: x, y, width, height in main-stream pixels.
    quality: shot score in [0, 1]. others: boxes of all faces of the frame, (n, 4) float32.
    """

    __slots__ = ("_main", "_others", "box", "pose", "probe", "quality", "track")

    def __init__(  # noqa: PLR0913 - what a comparison may see, and nothing else
        self,
        track: int,
        probe: Probe,
        box: Floats,
        *,
        pose: Pose,
        quality: float,
        main: Picture,
        others: Floats,
    ) -> None:
        self.track = track
        self.probe = probe
        self.box = box
        self.pose = pose
        self.quality = quality
        self._main = main
        self._others = others

    def portrait(self, largest_bytes: int) -> bytes:
        """Return the face as a small JPEG, for the verifier of an alert. Only an alert calls this.

        largest_bytes: what there is room for; a busy picture is compressed more, then made smaller.
        Other faces beside it are painted over: they raised no alert (R13, R15). Raises MessageError
        when it cannot be encoded.
        """
        left, top, right, bottom = _around(self.box, self._main)
        source = self._main.region_bgr(left, top, right, bottom)
        region = source.copy()
        if not np.shares_memory(source, self._main.pixels):
            source.fill(0)
        try:
            _hide_others(region, self.box, self._others, left, top)
            return _jpeg_within(region, largest_bytes)
        except cv2.error as error:
            raise MessageError("The face of an alert could not be encoded.") from error
        finally:
            region.fill(0)


Compare = Callable[[Sighting], bool]
"""Compares one face; returns True when another shot of this track is wanted soon."""


def _jpeg_within(region: Pixels, largest_bytes: int) -> bytes:
    for longest_px, quality in _PORTRAITS:
        encoded = _jpeg(region, longest_px, quality)
        if len(encoded) <= largest_bytes:
            return encoded
    raise MessageError("The face of an alert could not be made small enough.")


def _jpeg(region: Pixels, longest_px: int, quality: int) -> bytes:
    scale = min(1.0, longest_px / max(region.shape[:2]))
    size = (max(1, round(region.shape[1] * scale)), max(1, round(region.shape[0] * scale)))
    small = cv2.resize(region, size, interpolation=cv2.INTER_AREA)
    ok, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
    small.fill(0)
    if not ok:
        raise MessageError("The face of an alert could not be encoded.")
    return encoded.tobytes()


def _around(box: Floats, main: Picture) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the crop, even and inside the picture."""
    x, y, width, height = (float(value) for value in box)
    margin = _PORTRAIT_MARGIN * max(width, height)
    right = int(np.clip(x + width + margin, 2, main.width)) // 2 * 2
    bottom = int(np.clip(y + height + margin, 2, main.height)) // 2 * 2
    left = int(np.clip(x - margin, 0, right - 2)) // 2 * 2
    top = int(np.clip(y - margin, 0, bottom - 2)) // 2 * 2
    return left, top, right, bottom


def _hide_others(region: Pixels, own: Floats, boxes: Floats, left: int, top: int) -> None:
    """Paint over every other face in a crop that starts at left, top; keep the alerting one."""
    kept = _slices(own, left, top, region.shape, 0.0)
    face = region[kept].copy()
    for box in boxes:
        if not np.array_equal(box[:4], own):
            region[_slices(box, left, top, region.shape, _HIDDEN_MARGIN)] = _GREY
    region[kept] = face
    face.fill(0)


def _slices(
    box: Floats, left: int, top: int, shape: tuple[int, ...], margin: float
) -> tuple[slice, slice]:
    x, y, width, height = (float(value) for value in box[:4])
    rows = np.clip([y - top - margin * height, y - top + (1 + margin) * height], 0, shape[0])
    columns = np.clip([x - left - margin * width, x - left + (1 + margin) * width], 0, shape[1])
    return slice(int(rows[0]), int(rows[1] + 0.999)), slice(
        int(columns[0]), int(columns[1] + 0.999)
    )
