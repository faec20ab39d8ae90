"""A second look at one face: where exactly its eyes, nose and mouth are.

A detector's landmarks stray by a few hundredths of the eye distance, differently at every size and
on either side, and more where the face is small in the small stream. So the face is cut from the
main picture and shown to the detector again, six times in one picture: larger and smaller, turned a
little, mirrored. What it answers is averaged. One more pass of the detector for a face that is
compared; nothing is kept.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.capture.frame import Picture
from device.capture.workspace import Workspace, is_black
from device.opencv import cv2
from device.vision.cutting import View, region_of
from device.vision.detector import LANDMARKS, Detector
from device.vision.geometry import similarity, template_points
from device.vision.inference import Floats
from device.vision.shadows import raised

_COLUMNS, _ROWS = 3, 2
_POSES = ((1.0, 0.0), (0.7, 4.0), (1.35, -4.0))
"""Size and turn in degrees of the face in a tile; each also mirrored."""
_FILL = 0.5
"""Side of the face's template over the tile's, at size 1."""
_BEYOND = 0.3
"""How far a turned or smaller face lets see beyond the tile of size 1, as part of its side."""
_SAME_FACE = 0.5
"""Landmarks farther than so many eye distances from the first ones belong to somebody else."""
_FEWEST = 2
_MIRRORED = [1, 0, 2, 4, 3]
"""Order of a mirrored face's landmarks: what looks like the right eye is the left one."""

_Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Tile:
    """One view of the face. onto: (3, 3), from the upright face of size 1 to the canvas."""

    left: int
    top: int
    onto: _Matrix
    mirrored: bool


class SecondLook:
    """Finds the landmarks of one face again, more exactly. One thread owns it."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        width, height = detector.input_size
        self._side = min(width // _COLUMNS, height // _ROWS)
        self._canvas = np.zeros((height, width, 3), np.uint8)
        self._work = Workspace()
        self._known_wiped = False
        edge = self._side * (1 - _FILL) / 2
        self._upright = template_points(self._side) * np.float32(_FILL) + np.float32(edge)
        self._tiles = _tiles(self._side)

    def __call__(self, main: Picture, landmarks: Floats) -> Floats:
        """Return better landmarks, (5, 2) float32 in pixels of `main`.

        landmarks: those that the detector gave, likewise; they come back unchanged when the second
        look does not find that face. Raises ValueError when they make no face or lie outside.
        """
        if not np.all(np.isfinite(landmarks)):
            msg = "The landmarks are not finite."
            raise ValueError(msg)
        upright = similarity(landmarks, self._upright)
        self._known_wiped = False
        try:
            self._show(main, upright)
            rows = self._detector.detect(Picture.of_bgr(self._canvas), self._canvas.shape[1])
        finally:
            self._canvas.fill(0)
        found = rows[:, LANDMARKS].reshape(-1, 5, 2)
        answers = [_answer(tile, _square(upright), found, landmarks) for tile in self._tiles]
        kept = [answer for answer in answers if answer is not None]
        if len(kept) < _FEWEST:
            return landmarks
        return np.asarray(np.mean(kept, axis=0), np.float32)

    @property
    def wiped(self) -> bool:
        """True when no face is left in the canvas and in the memory on the way to it."""
        if not self._known_wiped:
            self._known_wiped = is_black(self._canvas) and self._work.wiped
        return self._known_wiped

    def _show(self, main: Picture, upright: Floats) -> None:
        side = self._side
        with region_of(main, upright, View(side, _BEYOND), self._work) as (pixels, local):
            for tile in self._tiles:
                slot = self._canvas[tile.top : tile.top + side, tile.left : tile.left + side]
                matrix = (tile.onto @ _square(local))[:2]
                matrix[:, 2] -= (tile.left, tile.top)
                cv2.warpAffine(pixels, matrix, (side, side), dst=slot, flags=cv2.INTER_LINEAR)
                raised(slot, self._work)


def _tiles(side: int) -> list[_Tile]:
    tiles = []
    for index, (size, degrees) in enumerate(_POSES):
        for row, mirrored in enumerate((False, True)):
            left, top = index * side, row * side
            turn = _about_the_middle(side, size, degrees, mirrored=mirrored)
            shift = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)
            tiles.append(_Tile(left, top, shift @ turn, mirrored))
    return tiles


def _about_the_middle(side: int, size: float, degrees: float, *, mirrored: bool) -> _Matrix:
    """Return the (3, 3) transform that sizes, turns and mirrors a tile about its middle."""
    angle = np.radians(degrees)
    linear = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirrored:
        linear[0] *= -1
    middle = np.full(2, (side - 1) / 2)
    return _square(np.column_stack([linear, middle - linear @ middle]))


def _square(matrix: npt.NDArray[np.floating]) -> _Matrix:
    return np.vstack([matrix, [0.0, 0.0, 1.0]])


def _answer(tile: _Tile, upright: _Matrix, found: Floats, expected: Floats) -> Floats | None:
    """Return what the detector found in one tile, in pixels of the main picture."""
    if not len(found):
        return None
    back = np.linalg.inv(tile.onto @ upright)
    points = found @ back[:2, :2].T + back[:2, 2]
    if tile.mirrored:
        points = points[:, _MIRRORED]
    eyes = float(np.hypot(*(expected[1] - expected[0])))
    distance = np.hypot(*np.moveaxis(points - expected, -1, 0)).mean(axis=1)
    nearest = int(distance.argmin())
    if not distance[nearest] <= _SAME_FACE * eyes:
        return None
    return np.asarray(points[nearest], np.float32)
