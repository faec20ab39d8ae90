"""Eyebrows, drawn hair by hair."""

import numpy as np
import numpy.typing as npt

from device.opencv import cv2
from tools.lab.people.fields import Floats, Rng, blur, colour, mix
from tools.lab.people.person import Brows, Person
from tools.lab.people.texel import COLUMNS, ROWS, cell_at

_INK = 150
_STEPS = 4
"""OpenCV draws in fractions of a cell: 2 to this power."""


def paint_brows(person: Person, skin: Floats, rng: Rng) -> Floats:
    """Return the skin with both brows, (ROWS, COLUMNS, 3)."""
    mask = np.zeros((ROWS, COLUMNS), np.uint8)
    for side in (-1, 1):
        _draw(mask, _hairs(person.brows, side, rng))
    hairs = mask.astype(np.float32) / _INK
    cover = np.clip(0.5 * blur(hairs, 0.7) + 0.6 * blur(hairs, 2.4), 0, 1)
    cover *= 0.6 + 0.38 * person.brows.density
    return mix(skin, colour(person.brows.tone), np.clip(cover, 0, 0.97))


def _hairs(brows: Brows, side: int, rng: Rng) -> Floats:
    """Return both ends of each hair of one brow as column and row, (n, 2, 2)."""
    count = int(330 * brows.density * brows.length / 36 * (0.35 + brows.thickness / 9))
    along = rng.beta(1.1, 1.25, count)
    across = rng.uniform(-0.5, 0.5, count)
    body = np.clip(np.minimum(0.55 + along / 0.4, (1.05 - along) / 0.6), 0.15, 1)
    x = brows.gap + along * brows.length
    y = brows.height - brows.arch * _arch(along, brows.peak) + across * brows.thickness * body
    lean = np.interp(along, [0, 0.12, 0.3, 0.6, 1], [62, 42, 24, 10, -16])
    lean += np.where(across > 0, 9, -9) * np.clip(10 * along, 0, 1) + rng.normal(0, 7, count)
    size = rng.uniform(2.4, 4.8, count) * (0.7 + 0.3 * body)
    if brows.bridge > 0:
        between = _between(brows, rng)
        x, y, lean, size = (
            np.append(a, b) for a, b in zip((x, y, lean, size), between, strict=True)
        )
    tip_x, tip_y = x + size * np.cos(np.radians(lean)), y - size * np.sin(np.radians(lean))
    return np.stack([cell_at(side * x, y), cell_at(side * tip_x, tip_y)], axis=1)


def _arch(along: npt.NDArray[np.float64], peak: float) -> npt.NDArray[np.float64]:
    """Return the height of the arch, 0 at the inner end, 1 at its peak, below 0 at the outer."""
    rising = np.sin(np.pi / 2 * along / peak)
    falling = 1 - 1.5 * (1 - np.cos(np.pi / 2 * (along - peak) / (1 - peak)))
    return np.where(along < peak, rising, falling)


def _between(brows: Brows, rng: Rng) -> tuple[npt.NDArray[np.float64], ...]:
    count = int(50 * brows.bridge)
    return (
        rng.uniform(0, brows.gap + 3, count),
        brows.height + rng.normal(1, 2.0, count),
        rng.uniform(45, 110, count),
        rng.uniform(2, 3.5, count),
    )


def _draw(mask: npt.NDArray[np.uint8], hairs: Floats) -> None:
    for ends in np.rint(hairs * 2**_STEPS).astype(np.int32):
        cv2.polylines(mask, [ends], False, _INK, 1, cv2.LINE_AA, _STEPS)
