"""`Sample` and `Probe`: a face cut out, and its template. Both live for one frame (R13)."""

from collections.abc import Callable

import numpy as np

from device.capture.frame import Ephemeral, Picture, Pixels
from device.capture.workspace import Workspace, is_black
from device.opencv import cv2
from device.vision.cutting import View, region_of
from device.vision.geometry import Alignment, Nudge, nudged, similarity, template_points
from device.vision.inference import Floats

Again = Callable[[], Floats]
Exact = Callable[[], Floats | None]
_NO_NUDGE = Nudge()


class Sample(Ephemeral):
    """An aligned face crop.

    pixels: (side, side, 3) uint8 BGR, a buffer that is used again for the next face.
    """

    __slots__ = ("pixels",)

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels

    def wipe(self) -> None:
        """Overwrite the pixels with zeros."""
        self.pixels.fill(0)


class Probe(Ephemeral):
    """The features of one face, submitted to a comparison.

    template: (dimension,) float32 of unit length. again: cuts the face out another way and returns
    the features of that, likewise. exact: looks for exacter landmarks and returns the features
    there, likewise, or None where there are none; later crops are cut out there. Both may raise
    ValueError.
    """

    __slots__ = ("_again", "_exact", "template")

    def __init__(
        self, template: Floats, again: Again | None = None, exact: Exact | None = None
    ) -> None:
        self.template = template
        self._again = again
        self._exact = exact

    def look_again(self) -> bool:
        """Make the template that of exacter landmarks, once; return whether it is another one."""
        exact, self._exact = self._exact, None
        if exact is None:
            return False
        try:
            better = exact()
        except ValueError:
            return False
        if better is None:
            return False
        np.copyto(self.template, better)
        better.fill(0)
        return True

    def look_closer(self) -> bool:
        """Make the template the mean over a second crop, once; return whether that was possible."""
        again, self._again = self._again, None
        if again is None:
            return False
        try:
            second = again()
        except ValueError:
            return False
        self.template += second
        second.fill(0)
        length = length_of(self.template)
        if length > 0:
            self.template /= length
        return True

    def wipe(self) -> None:
        """Overwrite the template with zeros, and let go of the picture."""
        self.template.fill(0)
        self._again = self._exact = None


def length_of(features: Floats) -> np.float32:
    """Return the length of (n,) float32, the same to the last bit wherever they lie in memory.

    `np.linalg.norm` takes another order of adding for other addresses.
    """
    squares = np.square(features)
    try:
        return np.float32(np.sqrt(squares.sum()))
    finally:
        squares.fill(0)


class Aligner:
    """Cuts faces out of the main picture into one buffer, turned and scaled to the template."""

    def __init__(self, side: int, alignment: Alignment = "arcface") -> None:
        self._side = side
        self._target = template_points(side, alignment)
        self._buffer = np.zeros((side, side, 3), np.uint8)
        self._work = Workspace()

    def align(self, main: Picture, landmarks: Floats, nudge: Nudge = _NO_NUDGE) -> Sample:
        """Return the face as a `Sample`; what lies outside the picture is black.

        landmarks: (5, 2) float32, pixels of `main`. nudge: how far to stray from the template on
        purpose. Raises ValueError when the landmarks make no face or lie wholly outside.
        """
        if not np.all(np.isfinite(landmarks)):
            msg = "The landmarks are not finite."
            raise ValueError(msg)
        matrix = similarity(landmarks, nudged(self._target, self._side, nudge))
        side = (self._side, self._side)
        try:
            with region_of(main, matrix, View(self._side), self._work) as (region, local):
                # Cubic: a linear warp blurs, and the embedder lives on fine detail.
                cv2.warpAffine(region, local, side, dst=self._buffer, flags=cv2.INTER_CUBIC)
        except BaseException:
            # Nobody has a sample to wipe yet.
            self._buffer.fill(0)
            raise
        return Sample(self._buffer)

    @property
    def wiped(self) -> bool:
        """True when no face is left in the buffer and in the memory on the way to it."""
        return is_black(self._buffer) and self._work.wiped
