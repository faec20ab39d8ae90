"""`Frame` and `Picture`: pixels that live for one frame and are then overwritten (R13).

A frame shows the same instant twice: `lores`, small, for motion and detection, and `main`, full
size, from which only the few faces worth comparing are cut. Neither can be pickled, copied or
printed: what cannot be written down cannot leak.
"""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from device.opencv import cv2

Pixels = npt.NDArray[np.uint8]


class PixelFormat(StrEnum):
    """How a `Picture` stores its pixels."""

    BGR = "BGR"
    """(height, width, 3) uint8, blue first: what picamera2 calls RGB888."""
    I420 = "I420"
    """(height * 3 / 2, stride) uint8: a plane of Y, then quarter-size U and V; what picamera2
    calls YUV420. Rows may be padded to `stride` bytes."""


class Ephemeral:
    """Something that must not outlive its frame: no pickling, no copies, no content in `repr`."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        msg = f"{type(self).__name__} must not be stored (R13)."
        raise TypeError(msg)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__reduce__()

    def __getstate__(self) -> NoReturn:
        self.__reduce__()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Lender(Protocol):
    """Lends memory for a picture on its way: `device.capture.workspace.Workspace`."""

    def take(self, *shape: int) -> Pixels:
        """Return a black array of this shape, uint8."""
        ...

    def give_back(self) -> None:
        """Overwrite what was taken last."""
        ...


def _new(*shape: int) -> Pixels:
    return np.empty(shape, np.uint8)


class Picture(Ephemeral):
    """A view of pixels that somebody else owns.

    pixels: see `PixelFormat`. width, height: in pixels, both even for I420.
    """

    __slots__ = ("format", "height", "pixels", "width")

    def __init__(self, pixels: Pixels, width: int, height: int, format: PixelFormat) -> None:  # noqa: A002 - the field's term
        self.pixels = pixels
        self.width = width
        self.height = height
        self.format = format

    @classmethod
    def of_bgr(cls, pixels: Pixels) -> "Picture":
        """Wrap a (h, w, 3) uint8 BGR array without copying it."""
        return cls(pixels, pixels.shape[1], pixels.shape[0], PixelFormat.BGR)

    def luma(self, into: Lender | None = None, step: int = 1) -> Pixels:
        """Return brightness, (h / step, w) uint8; for I420 a view of the Y plane, without a copy.

        into: where the grey of a BGR picture is put; without it, a new array. step: take every so
        manieth row.
        """
        rows = self.pixels[: self.height : step]
        if self.format is PixelFormat.I420:
            return rows[:, : self.width]
        grey = _new(len(rows), self.width) if into is None else into.take(len(rows), self.width)
        cv2.cvtColor(rows, cv2.COLOR_BGR2GRAY, dst=grey)
        return grey

    def region_bgr(
        self, left: int, top: int, right: int, bottom: int, into: Lender | None = None
    ) -> Pixels:
        """Return the pixels of a region as (h, w, 3) uint8 BGR.

        The region must lie inside the picture, with even corners. For BGR it is a view; for I420
        only the region is converted, into an array of `into`, or a new one without it.
        """
        if self.format is PixelFormat.BGR:
            return self.pixels[top:bottom, left:right]
        shape = (bottom - top, right - left, 3)
        region = _new(*shape) if into is None else into.take(*shape)
        try:
            self._convert((left, top, right, bottom), region, into)
        except BaseException:
            region.fill(0)
            raise
        return region

    def write_bgr(self, target: Pixels, into: Lender) -> None:
        """Write the whole picture into `target`, (height, width, 3) uint8, as BGR.

        into: lends memory on the way; all of it has been given back, black, when this returns.
        """
        if self.format is PixelFormat.BGR:
            target[...] = self.pixels
        else:
            self._convert((0, 0, self.width, self.height), target, into)

    def _convert(
        self, region: tuple[int, int, int, int], target: Pixels, into: Lender | None
    ) -> None:
        """Write a region (left, top, right, bottom) of an I420 picture into `target` as BGR."""
        packed = (self.height * 3 // 2, self.width)
        if region == (0, 0, self.width, self.height) and self.pixels.shape == packed:
            cv2.cvtColor(self.pixels, cv2.COLOR_YUV2BGR_I420, dst=target)
            return
        left, top, right, bottom = region
        shape = ((bottom - top) * 3 // 2, right - left)
        block = _new(*shape) if into is None else into.take(*shape)
        try:
            self._gather(region, block)
            cv2.cvtColor(block, cv2.COLOR_YUV2BGR_I420, dst=target)
        finally:
            if into is None:
                block.fill(0)
            else:
                into.give_back()

    def _gather(self, region: tuple[int, int, int, int], block: Pixels) -> None:
        """Copy the three planes of a region of an I420 picture into a block of its own."""
        left, top, right, bottom = region
        y, u, v = self._planes()
        rows, columns = bottom - top, right - left
        block[:rows] = y[top:bottom, left:right]
        chroma = (slice(top // 2, bottom // 2), slice(left // 2, right // 2))
        quarter = rows * columns // 4
        flat = block.reshape(-1)
        # Straight into the block: an intermediate copy would have to be wiped.
        for start, plane in ((rows * columns, u[chroma]), (rows * columns + quarter, v[chroma])):
            flat[start : start + quarter].reshape(plane.shape)[:] = plane

    def _planes(self) -> tuple[Pixels, Pixels, Pixels]:
        """Return the Y, U and V planes of an I420 picture as views, padding left out."""
        stride = self.pixels.shape[1]
        flat = self.pixels.reshape(-1)
        luma_bytes, chroma_bytes = self.height * stride, self.height * stride // 4
        shape = (self.height // 2, stride // 2)
        y = flat[:luma_bytes].reshape(self.height, stride)[:, : self.width]
        u = flat[luma_bytes : luma_bytes + chroma_bytes].reshape(shape)
        v = flat[luma_bytes + chroma_bytes : luma_bytes + 2 * chroma_bytes].reshape(shape)
        return y, u[:, : self.width // 2], v[:, : self.width // 2]


class Frame(Ephemeral):
    """One moment, seen twice. Call `release` when its processing ends, whatever happened.

    number: counts frames of this source from 0; gaps are frames that were not taken in time.
    captured_at_ns: wall clock, UTC, nanoseconds since 1970.
    seconds: time on the source's own clock (a camera's sensor, a clip's position); for tracking.
    taken_ns: CLOCK_MONOTONIC in nanoseconds when the picture was taken, for its age; now by
    default.
    """

    __slots__ = ("_release", "captured_at_ns", "lores", "main", "number", "seconds", "taken_ns")

    def __init__(  # noqa: PLR0913 - a frame is these seven facts
        self,
        number: int,
        captured_at_ns: int,
        seconds: float,
        lores: Picture,
        main: Picture,
        *,
        release: Callable[[], None],
        taken_ns: int | None = None,
    ) -> None:
        self.number = number
        self.captured_at_ns = captured_at_ns
        self.seconds = seconds
        self.taken_ns = time.monotonic_ns() if taken_ns is None else taken_ns
        self.lores = lores
        self.main = main
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Wipe the pixels or give them back to the camera. Safe to call twice."""
        release, self._release = self._release, None
        if release is not None:
            release()

    @property
    def released(self) -> bool:
        """True once the pixels are gone."""
        return self._release is None
