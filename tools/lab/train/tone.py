"""Light, skin and camera: what changes a crop's pixels and leaves its shape alone."""

import numpy as np

from device.opencv import cv2
from tools.lab.train.sources import Pixels
from tools.lab.train.warp import CROP_SIDE, Field, smooth_field


def lit(rng: np.random.Generator, crop: Pixels) -> Pixels:
    """Return a crop (128, 128, 3) in another light, of another skin, sometimes grey."""
    x = crop.astype(np.float32) * np.float32(1 / 255)
    if rng.random() < 0.5:  # noqa: PLR2004 - here and below: how often, chosen by hand
        x = np.power(x, np.float32(np.exp(rng.normal(0, 0.35))))
    gain = np.exp(rng.normal(0, 0.08, 3) + rng.normal(0, 0.25)).astype(np.float32)
    x = (x - 0.4) * gain + np.float32(0.4 + rng.normal(0, 0.1)) + _cast(rng)
    if rng.random() < 0.5:  # noqa: PLR2004
        x *= _shading(rng)
    if rng.random() < 0.15:  # noqa: PLR2004
        x = np.repeat(x.mean(axis=2, keepdims=True), 3, axis=2)
    return np.asarray(np.clip(x * 255, 0, 255), np.uint8)


def _cast(rng: np.random.Generator) -> Field:
    return rng.normal(0, 0.03, 3).astype(np.float32)


def _shading(rng: np.random.Generator) -> Field:
    """Return a factor (128, 128, 1): light from a side, and sometimes the edge of a shadow."""
    axis = np.linspace(-1, 1, CROP_SIDE, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
    if rng.random() < 0.4:  # noqa: PLR2004
        ramp = np.tanh((ramp + rng.normal(0, 0.5)) * rng.uniform(2, 10))
    strength = np.float32(rng.uniform(0.1, 0.6))
    rough = smooth_field(rng, CROP_SIDE, 4, 1)[..., 0] * np.float32(rng.uniform(0, 0.15))
    return (1 + strength * ramp.astype(np.float32) + rough)[..., None]


def hidden(rng: np.random.Generator, crop: Pixels) -> Pixels:
    """Return a crop of which something is covered: by a bar, a disc, glasses or a scarf."""
    crop = crop.copy()
    colour = tuple(int(c) for c in rng.integers(0, 256, 3))
    kind = rng.integers(4)
    if kind == 0:
        x, y, w, h = rng.integers(0, 100), rng.integers(0, 100), *rng.integers(12, 60, 2)
        crop[y : y + h, x : x + w] = colour
    elif kind == 1:
        middle = tuple(int(v) for v in rng.integers(0, CROP_SIDE, 2))
        cv2.circle(crop, middle, int(rng.integers(8, 30)), colour, -1, cv2.LINE_AA)
    elif kind == 2:  # noqa: PLR2004
        _spectacles(rng, crop, colour)
    else:
        crop[int(rng.integers(78, 115)) :] = colour
    return crop


def _spectacles(rng: np.random.Generator, crop: Pixels, colour: tuple[int, ...]) -> None:
    """Draw spectacles around the eyes of the template, dark ones at times."""
    size = (int(rng.integers(14, 22)), int(rng.integers(10, 18)))
    width = -1 if rng.random() < 0.3 else int(rng.integers(1, 4))  # noqa: PLR2004
    for x in (43, 85):
        cv2.ellipse(crop, (x, 58), size, 0, 0, 360, colour, width, cv2.LINE_AA)
    cv2.line(crop, (43 + size[0], 57), (85 - size[0], 57), colour, 2, cv2.LINE_AA)


def photographed(rng: np.random.Generator, crop: Pixels) -> Pixels:
    """Return a crop as a camera hands it over: smaller, blurred, noisy, compressed."""
    if rng.random() < 0.5:  # noqa: PLR2004
        crop = _smaller(crop, round(CROP_SIDE * float(rng.uniform(0.22, 0.9))))
    if rng.random() < 0.3:  # noqa: PLR2004
        crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), float(rng.uniform(0.4, 1.8))), np.uint8)
    if rng.random() < 0.15:  # noqa: PLR2004
        crop = _moved(rng, crop)
    if rng.random() < 0.4:  # noqa: PLR2004
        noise = rng.standard_normal(crop.shape, np.float32) * np.float32(rng.uniform(1, 11))
        crop = np.clip(crop + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:  # noqa: PLR2004
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 95))]
        packed = cv2.imencode(".jpg", crop, quality)[1]
        crop = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return crop


def _smaller(crop: Pixels, side: int) -> Pixels:
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.uint8)


def _moved(rng: np.random.Generator, crop: Pixels) -> Pixels:
    length = int(rng.integers(3, 9))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = (length - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])
    middle = (length - 1) / 2
    start, end = np.rint(middle - reach).astype(int), np.rint(middle + reach).astype(int)
    cv2.line(kernel, tuple(map(int, start)), tuple(map(int, end)), 1.0)
    return np.asarray(cv2.filter2D(crop, -1, kernel / kernel.sum()), np.uint8)
