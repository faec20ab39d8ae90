"""Smooth fields: the small vocabulary in which heads, skin and cloth are written down.

All lengths are millimetres of a head with 62 mm between its pupils. Arrays are float32.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from device.opencv import cv2

Floats = npt.NDArray[np.floating[Any]]
"""In fact float32; NumPy's types lose that as soon as a plain number joins in."""
Mask = npt.NDArray[np.bool_]
Rng = np.random.Generator


def smooth(low: float, high: float, x: Floats) -> Floats:
    """Return the smooth step 3t² - 2t³ from 0 at `low` to 1 at `high`; low > high falls."""
    t = np.clip((x - low) / (high - low), 0, 1).astype(np.float32)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def bump(x: Floats, y: Floats, centre: tuple[float, float], width: tuple[float, float]) -> Floats:
    """Return a Gaussian hill of height 1; width: its standard deviations along x and y."""
    dx, dy = (x - centre[0]) / width[0], (y - centre[1]) / width[1]
    return np.asarray(np.exp(-0.5 * (dx * dx + dy * dy)), np.float32)


def ridge(x: Floats, width: float) -> Floats:
    """Return a Gaussian of height 1 along 0; width: its standard deviation."""
    return np.asarray(np.exp(-0.5 * (x / width) ** 2), np.float32)


def between(x: Floats, low: float, high: float) -> Floats:
    """Return 1 between `low` and `high`, falling smoothly to 0 over a fifth of that outside."""
    soft = 0.2 * (high - low)
    return smooth(low - soft, low + soft, x) * smooth(high + soft, high - soft, x)


def curve(knots: Sequence[tuple[float, float]], x: Floats) -> Floats:
    """Return the smooth curve through (x, value) knots, flat beyond the first and the last.

    Piecewise cubic without overshoot: Fritsch, Carlson, "Monotone Piecewise Cubic Interpolation",
    SIAM J. Numer. Anal. 17(2), 1980, with averaged slopes.
    """
    xs, ys = np.array(knots, np.float64).T
    step = np.diff(xs)
    slope = np.diff(ys) / step
    tangent = np.concatenate([slope[:1], (slope[:-1] + slope[1:]) / 2, slope[-1:]])
    flat = np.concatenate([[False], slope[:-1] * slope[1:] <= 0, [False]])
    tangent[flat] = 0
    limit = 3 * np.minimum(np.abs(np.append(slope[:1], slope)), np.abs(np.append(slope, slope[-1])))
    tangent = np.clip(tangent, -limit, limit)
    at = np.clip(x, xs[0], xs[-1])
    index = np.clip(np.searchsorted(xs, at, side="right") - 1, 0, len(step) - 1)
    t = (at - xs[index]) / step[index]
    t2, t3 = t * t, t * t * t
    value = (
        (2 * t3 - 3 * t2 + 1) * ys[index]
        + (t3 - 2 * t2 + t) * step[index] * tangent[index]
        + (3 * t2 - 2 * t3) * ys[index + 1]
        + (t3 - t2) * step[index] * tangent[index + 1]
    )
    return np.asarray(value, np.float32)


def noise(rng: Rng, shape: tuple[int, int], cells: tuple[float, float], octaves: int = 1) -> Floats:
    """Return smooth noise of about zero mean and unit deviation.

    cells: how many hills along rows and columns in the first octave; each further one doubles them
    and halves its height.
    """
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        rows = max(2, min(shape[0], round(cells[0] * 2**octave)))
        columns = max(2, min(shape[1], round(cells[1] * 2**octave)))
        small = rng.standard_normal((rows, columns), dtype=np.float32)
        total += cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC) * 0.5**octave
    return np.asarray(total / max(1e-6, float(total.std())), np.float32)


def blur(field: Floats, sigma: float) -> Floats:
    """Return a Gaussian blur, sigma in cells."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma), np.float32)


def enlarge(field: Floats, shape: tuple[int, int]) -> Floats:
    """Resize a field to (rows, columns), linearly."""
    return np.asarray(cv2.resize(field, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def shrink(field: Floats, shape: tuple[int, int]) -> Floats:
    """Resize a field to fewer (rows, columns), by area."""
    return np.asarray(cv2.resize(field, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def unit(vectors: Floats) -> Floats:
    """Return vectors (..., 3) at length 1."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    scale = 1 / (np.sqrt(x * x + y * y + z * z) + np.float32(1e-9))
    return np.asarray(vectors * scale[..., None], np.float32)


def colour(values: Sequence[float]) -> Floats:
    """Return a colour as an array, (3,) float32."""
    return np.array(values, np.float32)


def mix(below: Floats, above: Floats, alpha: Floats) -> Floats:
    """Lay colour `above` (3,) or (..., 3) over `below` (..., 3) with alpha (...) in [0, 1]."""
    return np.asarray(below + (above - below) * alpha[..., None], np.float32)


def stretch_rows(field: Floats, places: Floats) -> Floats:
    """Move rows that are evenly spaced over `places`' range to those places.

    field: (rows, columns). places: (rows,) rising. Noise made in even rows keeps its scale in
    millimetres where the rows of a map lie close.
    """
    rows, columns = field.shape
    at = (places - places[0]) * ((rows - 1) / (places[-1] - places[0]))
    y = np.repeat(at.astype(np.float32)[:, None], columns, axis=1)
    x = np.repeat(np.arange(columns, dtype=np.float32)[None], rows, axis=0)
    return np.asarray(cv2.remap(field, x, y, cv2.INTER_CUBIC), np.float32)
