"""Faces in a still picture: more patient than the camera, for enrolment and for `passerby match`.

A still may show a face that fills it or a crowd, so the detector looks three times: at the whole
picture, at a smaller copy (large faces), and at overlapping tiles of a big picture (small faces).
Where it finds nothing, it looks once more, with the shadows raised.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from device.capture.frame import Picture, Pixels
from device.opencv import cv2
from device.vision.detector import COLUMNS, LANDMARKS, SCORE, suppress
from device.vision.eye import Eye
from device.vision.inference import Floats
from device.vision.quality import Pose, pose_of
from device.vision.shadows import raise_shadows

_TILE_ABOVE = 1.5
"""A picture this many times wider than the detector's input is also looked at in tiles."""
_FAR = 0.25
"""How far around each pixel of a whole picture its light is looked for, as part of the side."""
_TILE_OVERLAP = 0.25
_MOST_TILES = 16


@dataclass(frozen=True, slots=True)
class StillFace:
    """One face of a still. box: x, y, width, height; landmarks: (5, 2); pixels of the picture.

    dark: it was found only after the picture's shadows had been raised.
    """

    box: Floats
    landmarks: Floats
    score: float
    pose: Pose
    dark: bool = False


def find_faces(eye: Eye, pixels: Pixels) -> list[StillFace]:
    """Return the faces of a picture (h, w, 3) uint8 BGR, the most certain first."""
    found = [rows for rows in _looks(eye, pixels) if len(rows)]
    dark = not found
    if dark:
        found = [rows for rows in _looks_in_the_dark(eye, pixels) if len(rows)]
    rows = suppress(np.concatenate(found)) if found else np.empty((0, COLUMNS), np.float32)
    faces = []
    for row in rows:
        landmarks = row[LANDMARKS].reshape(5, 2)
        faces.append(StillFace(row[:4], landmarks, float(row[SCORE]), pose_of(landmarks), dark))
    return faces


def _looks_in_the_dark(eye: Eye, pixels: Pixels) -> Iterator[Floats]:
    height, width, _ = pixels.shape
    # A copy that is twice the detector's input at most: small faces in the dark show nothing.
    across, down = eye.detector.input_size
    factor = min(1.0, 2 * across / width, 2 * down / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    raised = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    try:
        raise_shadows(raised, _FAR)
        for rows in _looks(eye, raised):
            rows[:, :SCORE] *= np.float32(width / size[0])
            yield rows
    finally:
        raised.fill(0)


def _looks(eye: Eye, pixels: Pixels) -> Iterator[Floats]:
    height, width, _ = pixels.shape
    detector = eye.detector
    input_width, input_height = detector.input_size
    yield detector.detect(Picture.of_bgr(pixels), width)
    # A face that fills the input is beyond the detector's largest anchor: show it on half the size.
    shrunk = _quarter(pixels, input_width, input_height)
    yield detector.detect(Picture.of_bgr(shrunk), 2 * width)
    shrunk.fill(0)
    if max(width / input_width, height / input_height) >= _TILE_ABOVE:
        for left, top, tile in _tiles(pixels, input_width, input_height):
            rows = detector.detect(Picture.of_bgr(tile), tile.shape[1])
            rows[:, [0, *range(4, 14, 2)]] += left
            rows[:, [1, *range(5, 14, 2)]] += top
            yield rows


def _quarter(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return a black picture with this one, no larger than the input, in its top left quarter."""
    scale = min(width / pixels.shape[1], height / pixels.shape[0], 1.0)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    canvas = np.zeros((2 * size[1], 2 * size[0], 3), np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return canvas


def _tiles(pixels: Pixels, width: int, height: int) -> Iterator[tuple[int, int, Pixels]]:
    """Yield overlapping tiles as (left, top, view), at most `_MOST_TILES` of them.

    Tiles have the detector's shape, and its size unless the picture is so large that they must be
    coarser.
    """
    full_height, full_width, _ = pixels.shape
    factor = 1.0
    while True:
        lefts = _starts(full_width, round(width * factor))
        tops = _starts(full_height, round(height * factor))
        if len(lefts) * len(tops) <= _MOST_TILES:
            break
        factor *= 1.25
    for top in tops:
        for left in lefts:
            yield (
                left,
                top,
                pixels[top : top + round(height * factor), left : left + round(width * factor)],
            )


def _starts(full: int, size: int) -> list[int]:
    if full <= size:
        return [0]
    count = int(np.ceil((full - size) / (size * (1 - _TILE_OVERLAP)))) + 1
    return [round(start) for start in np.linspace(0, full - size, count)]
