"""From light to a picture: lens, sensor, tone curve, noise, transmission."""

import numpy as np

from device.capture.frame import Pixels
from device.opencv import cv2
from tools.lab.people.fields import Floats, Rng
from tools.lab.people.view import Camera

_REFERENCE = 160
"""Blur and smear are given for a picture of this many pixels."""


def develop(light: Floats, camera: Camera, rng: Rng, blur_scale: float | None = None) -> Pixels:
    """Return what the camera makes of linear light (h, w, 3), uint8 BGR of the same size.

    blur_scale: pixels per pixel of a 160-pixel picture; the picture's width over 160 by default.
    """
    height, width = light.shape[:2]
    scale = width / _REFERENCE if blur_scale is None else blur_scale
    seen = light * (np.array(camera.balance, np.float32) * np.float32(2.0**camera.exposure))
    seen = smear(seen, camera.motion[0] * scale, camera.motion[1] * scale)
    if camera.defocus * scale > 0.15:  # noqa: PLR2004 - less is no blur
        seen = cv2.GaussianBlur(seen, (0, 0), camera.defocus * scale)
    if camera.detail < 1:
        few = (max(8, round(width * camera.detail)), max(8, round(height * camera.detail)))
        seen = cv2.resize(seen, few, interpolation=cv2.INTER_AREA)
    picture = _tone(np.asarray(seen, np.float32), camera)
    if camera.noise > 0:
        grain = rng.standard_normal(picture.shape[:2], np.float32)[..., None]
        colour = rng.standard_normal(picture.shape, np.float32)
        picture = picture + camera.noise * (0.8 * grain + 0.5 * colour)
    pixels = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
    pixels = _transmit(pixels, camera)
    if pixels.shape[:2] != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(pixels, np.uint8)


def smear(light: Floats, dx: float, dy: float) -> Floats:
    """Return light smeared evenly over a way of (dx, dy) pixels; (h, w, channels)."""
    length = float(np.hypot(dx, dy))
    if length < 0.7:  # noqa: PLR2004 - less than a pixel
        return light
    side = int(np.ceil(length)) | 1
    kernel = np.zeros((side, side), np.float32)
    middle = side // 2
    reach = np.array([dx, dy]) / length * middle
    one, other = np.rint(middle - reach).astype(int), np.rint(middle + reach).astype(int)
    cv2.line(kernel, one.tolist(), other.tolist(), 1.0, 1, cv2.LINE_AA)
    return np.asarray(cv2.filter2D(light, -1, kernel / kernel.sum()), np.float32)


def _tone(seen: Floats, camera: Camera) -> Floats:
    """Return display values in [0, 1]: a soft shoulder, contrast, gamma 2.2."""
    bright = np.clip(seen * 1.15, 0, None)
    shown = np.clip(bright / (1 + 0.18 * bright), 0, 1) ** np.float32(1 / 2.2)
    shown = np.clip(0.45 + camera.contrast * (shown - 0.45), 0, 1)
    if camera.grey:
        grey = shown @ np.array([0.114, 0.587, 0.299], np.float32)
        shown = np.repeat(grey[..., None], 3, axis=-1)
    return np.asarray(shown, np.float32)


def _transmit(pixels: Pixels, camera: Camera) -> Pixels:
    if not camera.jpeg:
        return pixels
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, camera.jpeg])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
