"""What stands behind people: walls, brick, foliage, streets, plain studio cloth; all made up."""

import numpy as np

from device.opencv import cv2
from tools.lab.people.fields import Floats, Rng, blur, noise, smooth

KINDS = ("plain", "wall", "brick", "foliage", "street", "shapes")


def backdrop(kind: str, size: tuple[int, int], rng: Rng) -> Floats:
    """Return linear light (height, width, 3) float32. size: width, height.

    kind: one of `KINDS`, or "any". Raises ValueError for another.
    """
    makers = {
        "any": _any,
        "plain": _plain,
        "wall": _wall,
        "brick": _brick,
        "foliage": _foliage,
        "street": _street,
        "shapes": _shapes,
    }
    if kind not in makers:
        msg = f'No backdrop is called "{kind}": {", ".join(KINDS)}.'
        raise ValueError(msg)
    width, height = size
    light = makers[kind](height, width, rng)
    return np.asarray(np.clip(light, 0.0, 1.2), np.float32)


def _any(height: int, width: int, rng: Rng) -> Floats:
    """Return one of any kind, most often out of focus."""
    kind = str(rng.choice(KINDS, p=(0.25, 0.2, 0.1, 0.15, 0.15, 0.15)))
    light = backdrop(kind, (width, height), rng)
    if _likely(rng, 0.6):
        light = blur(light, float(rng.uniform(0.005, 0.03)) * width + 0.1)
    return light


def _likely(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)


def _colour(rng: Rng, low: float = 0.02, high: float = 0.7, spread: float = 0.25) -> Floats:
    level = float(rng.uniform(low, high))
    return (level * np.exp(rng.normal(0, spread, 3))).astype(np.float32)


def _plain(height: int, width: int, rng: Rng) -> Floats:
    fall = noise(rng, (height, width), (2, 2)) * float(rng.uniform(0, 0.15))
    return _colour(rng, 0.05, 0.8, 0.08) * (1 + fall)[..., None]


def _wall(height: int, width: int, rng: Rng) -> Floats:
    stains = 0.12 * noise(rng, (height, width), (3, 3), 4)
    grain = 0.05 * noise(rng, (height, width), (height / 3, width / 3))
    light = _colour(rng, 0.1, 0.6, 0.12) * (1 + stains + grain)[..., None]
    if _likely(rng, 0.5):
        edge = int(rng.uniform(0.1, 0.9) * width)
        light[:, edge:] *= float(rng.uniform(0.5, 0.9))
    return light


def _brick(height: int, width: int, rng: Rng) -> Floats:
    tall = max(4, int(height * rng.uniform(0.03, 0.09)))
    long = int(tall * 2.6)
    rows, columns = np.mgrid[0:height, 0:width]
    course = rows // tall
    across = columns + (course % 2) * (long // 2)
    which = (course * 7919 + (across // long) * 104729) % 997
    tone = rng.uniform(0.6, 1.3, 997).astype(np.float32)[which]
    mortar = ((rows % tall) < max(1, tall // 8)) | ((across % long) < max(1, tall // 8))
    red = _colour(rng, 0.1, 0.3, 0.1) * np.array([0.55, 0.7, 1.3], np.float32)
    light = red * (tone * (1 + 0.1 * noise(rng, (height, width), (40, 40), 2)))[..., None]
    return np.where(mortar[..., None], np.float32(rng.uniform(0.1, 0.5)), light)


def _foliage(height: int, width: int, rng: Rng) -> Floats:
    leaves = noise(rng, (height, width), (12, 14), 4)
    dark = smooth(-0.5, 1.2, leaves)
    green = np.array([0.08, 0.30, 0.20], np.float32) * float(rng.uniform(0.4, 1.4))
    light = green * (0.15 + dark)[..., None]
    sky = smooth(1.1, 1.5, noise(rng, (height, width), (5, 5), 3))
    return light + (np.array([0.9, 0.8, 0.7], np.float32) - light) * (0.8 * sky)[..., None]


def _street(height: int, width: int, rng: Rng) -> Floats:
    """Return houses with windows, a pavement and some sky."""
    light = np.empty((height, width, 3), np.float32)
    horizon = int(height * rng.uniform(0.5, 0.75))
    light[:horizon] = np.array([0.75, 0.65, 0.55], np.float32) * float(rng.uniform(0.5, 1.2))
    light[horizon:] = _colour(rng, 0.1, 0.35, 0.05)
    left = 0
    while left < width:
        wide = int(width * rng.uniform(0.15, 0.45)) + 4
        top = int(horizon * rng.uniform(0.0, 0.5))
        house = light[top:horizon, left : left + wide]
        house[:] = _colour(rng, 0.08, 0.5, 0.15)
        _windows(house, rng)
        left += wide
    return light * (1 + 0.06 * noise(rng, (height, width), (30, 30), 3))[..., None]


def _windows(house: Floats, rng: Rng) -> None:
    """Draw rows of windows on a house, (h, w, 3), in place."""
    high, wide = house.shape[:2]
    glass = _colour(rng, 0.02, 0.4, 0.15)
    step_y, step_x = max(6, high // 4), max(5, wide // int(rng.integers(2, 6)))
    for y in range(step_y // 4, high - step_y // 2, step_y):
        for x in range(step_x // 4, wide - step_x // 2, step_x):
            house[y : y + step_y // 2, x : x + step_x // 2] = glass * float(rng.uniform(0.6, 1.4))


def _shapes(height: int, width: int, rng: Rng) -> Floats:
    light = np.ones((height, width, 3), np.float32) * _colour(rng)
    for _ in range(int(rng.integers(4, 22))):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = (int(rng.uniform(0.02, 0.3) * width) + 1, int(rng.uniform(0.02, 0.3) * height) + 1)
        colour = _colour(rng).tolist()
        turn = float(rng.uniform(0, 180))
        if _likely(rng, 0.5):
            cv2.ellipse(light, centre, axes, turn, 0, 360, colour, -1, cv2.LINE_AA)
        else:
            corners = cv2.boxPoints((centre, (2.0 * axes[0], 2.0 * axes[1]), turn))
            cv2.fillPoly(light, [np.rint(corners).astype(np.int32)], colour, cv2.LINE_AA)
    return light
