"""Pictures for people: boxes around alerts, and every other face made unrecognisable (R15)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device.capture.frame import Pixels
from device.errors import StorageError
from device.opencv import cv2
from device.vision import StillFace
from device.vision.detector import iou
from device.vision.inference import Floats

_MOSAIC = 5
"""Cells across a blurred face: coarser than anything a face can be recognised in."""
_MARGIN = 0.25
_AMBER = (0, 170, 255)
_GREY = (150, 150, 150)
_SAME_FACE = 0.3
TILE = (480, 360)
"""Width and height of one picture on the sheet."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A face that raised an alert. box: x, y, width, height. label: what stands beside it."""

    box: tuple[int, int, int, int]
    label: str


def annotate(pixels: Pixels, faces: list[StillFace], alerts: list[Marked]) -> Pixels:
    """Return a copy in which faces without an alert are blurred and alerts have a box."""
    result = pixels.copy()
    for face in faces:
        if not any(_same(face.box, alert) for alert in alerts):
            _blur(result, face.box)
    scale = max(result.shape[1] / TILE[0], result.shape[0] / TILE[1])
    line = max(1, round(2 * scale))
    for alert in alerts:
        x, y, width, height = alert.box
        # Somebody near the camera, blurred with a margin, would hide it.
        own = slice(max(0, y), max(0, y + height)), slice(max(0, x), max(0, x + width))
        result[own] = pixels[own]
        cv2.rectangle(result, (x, y), (x + width, y + height), _AMBER, line)
    return result


def tile(pixels: Pixels, title: str, alerts: list[Marked]) -> Pixels:
    """Return one field of the sheet: the picture above its title and the alerts' labels."""
    width, height = TILE
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    field = np.full((height + 54, width, 3), 24, np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    field[top : top + size[1], left : left + size[0]] = cv2.resize(
        pixels, size, interpolation=cv2.INTER_AREA
    )
    words = "; ".join(alert.label for alert in alerts) or "no alert: every face blurred"
    _write(field, title, (8, height + 20), (235, 235, 235))
    _write(field, words, (8, height + 42), _AMBER if alerts else _GREY)
    return field


def write(path: Path, pixels: Pixels) -> None:
    """Write a picture. Raises StorageError."""
    if not cv2.imwrite(str(path), pixels):
        raise StorageError(f"{path} could not be written.")


def sheet(tiles: list[Pixels], columns: int = 4) -> Pixels:
    """Return the fields side by side."""
    blank = np.full_like(tiles[0], 24)
    rows = []
    for start in range(0, len(tiles), columns):
        row = tiles[start : start + columns]
        row += [blank] * (columns - len(row))
        rows.append(np.hstack(row))
    return np.asarray(np.vstack(rows), dtype=np.uint8)


def _same(box: Floats, alert: Marked) -> bool:
    other = np.array([alert.box], np.float32)
    return float(iou(box, other)[0]) > _SAME_FACE


def _blur(picture: Pixels, box: Floats) -> None:
    x, y, width, height = (float(value) for value in box)
    left, top = max(0, int(x - _MARGIN * width)), max(0, int(y - _MARGIN * height))
    right = max(0, min(picture.shape[1], int(x + (1 + _MARGIN) * width) + 1))
    bottom = max(0, min(picture.shape[0], int(y + (1 + _MARGIN) * height) + 1))
    region = picture[top:bottom, left:right]
    if not region.size:
        return
    cells = cv2.resize(region, (_MOSAIC, _MOSAIC), interpolation=cv2.INTER_AREA)
    size = (region.shape[1], region.shape[0])
    region[:] = cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR)


def _write(field: Pixels, text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    plain = text.encode("ascii", "replace").decode("ascii")
    cv2.putText(field, plain[:64], place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
