"""What the camera adds: light, colour, movement, noise, compression, and black bars."""

from functools import lru_cache

import numpy as np

from device.capture.frame import Pixels
from device.opencv import cv2
from device.vision.inference import Floats
from tools.lab.train.scenes_paste import between, chance, whole


def photograph(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Return the scene (h, w, 3) uint8 BGR as a camera would hand it over."""
    pixels = _toned(rng, pixels)
    if chance(rng, 0.12):
        pixels = whole(cv2.merge([cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)] * 3))
    if chance(rng, 0.3):
        pixels = _softer(rng, pixels)
    if chance(rng, 0.35):
        pixels = _noisy(rng, pixels)
    if chance(rng, 0.4):
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 95))]
        written = cv2.imencode(".jpg", pixels, quality)[1]
        pixels = np.asarray(cv2.imdecode(written, cv2.IMREAD_COLOR), np.uint8)
    return pixels


def _toned(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    level = np.arange(256, dtype=np.float32) / 255
    level **= np.float32(np.exp(rng.normal(0, 0.25)))
    level = (level - 0.5) * np.float32(np.exp(rng.normal(0, 0.2))) + 0.5
    level += np.float32(rng.normal(0, 0.05))
    tables = level[:, None] * np.exp(rng.normal(0, 0.07, 3)).astype(np.float32)
    return whole(cv2.LUT(pixels, np.clip(tables * 255, 0, 255).astype(np.uint8)[None]))


def _softer(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Blur: out of focus, moved, or enlarged from a smaller picture."""
    kind = int(rng.integers(3))
    if kind == 0:
        return whole(cv2.GaussianBlur(pixels, (0, 0), between(rng, 0.4, 1.8)))
    if kind == 1:
        length = int(rng.integers(2, 7))
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, np.pi)
        reach = (length - 1) / 2
        steps = np.linspace(-reach, reach, 2 * length)
        rows = np.rint(reach + steps * np.sin(angle)).astype(int)
        columns = np.rint(reach + steps * np.cos(angle)).astype(int)
        kernel[rows, columns] = 1
        return whole(cv2.filter2D(pixels, -1, kernel / kernel.sum()))
    height, width = pixels.shape[:2]
    share = rng.uniform(0.4, 0.9)
    size = (round(width * share), round(height * share))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return whole(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


@lru_cache(maxsize=1)
def _grain() -> Floats:
    """Return a stock of noise of unit strength, (768, 768, 3): drawing it anew would be slow."""
    return np.random.default_rng(0).standard_normal((768, 768, 3), np.float32)


def _noisy(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    top, left = (int(rng.integers(768 - side)) for side in (height, width))
    channels = slice(0, 3) if chance(rng, 0.6) else slice(0, 1)
    noise = _grain()[top : top + height, left : left + width, channels]
    return np.clip(pixels + noise * np.float32(between(rng, 1, 14)), 0, 255).astype(np.uint8)


def frame(rng: np.random.Generator, height: int, width: int) -> tuple[int, int]:
    """Return the height and width that the picture fills of the detector's canvas; the rest is 0.

    The device fits pictures of any shape into the top left of the canvas.
    """
    if not chance(rng, 0.12):
        return height, width
    if chance(rng, 0.5):
        return height, int(rng.uniform(0.6, 0.98) * width)
    return int(rng.uniform(0.6, 0.98) * height), width
