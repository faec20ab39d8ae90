"""What stands behind the people: colours, clouds, leaves, walls, letters, and torn pictures."""

from collections.abc import Callable

import numpy as np

from device.capture.frame import Pixels
from device.opencv import cv2
from device.vision.inference import Floats
from tools.lab.train.scenes_paste import Crop, between, chance, floats, whole

_SKIN = floats([[180, 200, 235], [130, 160, 210], [80, 110, 160], [45, 65, 100]])
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZ0123456789abcdefghknoprstuz&?!%#"


def draw(rng: np.random.Generator, height: int, width: int, crops: list[Crop]) -> Pixels:
    """Return a background (height, width, 3) uint8 BGR with nobody in it."""
    pixels = _one(rng, height, width, crops)
    for _ in range(int(rng.choice(3, p=(0.5, 0.35, 0.15)))):
        other = _one(rng, height, width, crops)
        pixels = np.where(_region(rng, height, width), pixels, other)
    pixels = np.ascontiguousarray(pixels)
    for _ in range(int(rng.choice(4, p=(0.35, 0.3, 0.2, 0.15)))):
        _ADDITIONS[int(rng.integers(len(_ADDITIONS)))](rng, pixels)
    return pixels


def colour(rng: np.random.Generator) -> Floats:
    """Return a colour (3,) float32 BGR: mostly dull, sometimes vivid, sometimes skin."""
    kind = rng.random()
    skin, dull = 0.2, 0.75
    if kind < skin:
        return np.asarray(_SKIN[int(rng.integers(4))] * np.float32(rng.uniform(0.6, 1.15)))
    if kind < dull:
        grey = rng.uniform(5, 250)
        return np.asarray(np.clip(grey + rng.normal(0, 18, 3), 0, 255), np.float32)
    return rng.uniform(0, 255, 3).astype(np.float32)


def ink(rng: np.random.Generator) -> tuple[int, int, int]:
    """Return a colour for OpenCV's brushes."""
    blue, green, red = np.clip(colour(rng), 0, 255)
    return int(blue), int(green), int(red)


def _region(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Return where one of two backgrounds shows: (height, width, 1) bool, a half or islands."""
    if chance(rng, 0.5):
        y, x = np.ogrid[0:height, 0:width]
        angle = rng.uniform(0, np.pi) if chance(rng, 0.3) else rng.integers(2) * np.pi / 2
        where = (x - width * rng.uniform(0.2, 0.8)) * np.cos(angle)
        side = where + (y - height * rng.uniform(0.2, 0.8)) * np.sin(angle) > 0
        return np.asarray(side[..., None])
    noise = rng.standard_normal((int(rng.integers(3, 7)), int(rng.integers(3, 8)))).astype("f4")
    field = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field[..., None] > 0)


def _one(rng: np.random.Generator, height: int, width: int, crops: list[Crop]) -> Pixels:
    kind = int(rng.choice(6, p=(0.16, 0.24, 0.16, 0.12, 0.12, 0.2)))
    if kind == 5:  # noqa: PLR2004 - the one that needs crops
        return _torn(rng, height, width, crops)
    return (_plain, _clouds, _leaves, _pattern, _rooms)[kind](rng, height, width)


def _plain(rng: np.random.Generator, height: int, width: int) -> Pixels:
    rows, columns = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    base = colour(rng)
    knots = base + rng.normal(0, rng.uniform(2, 60), (rows, columns, 3)).astype(np.float32)
    knots = np.clip(knots, 0, 255).astype(np.uint8)
    return whole(cv2.resize(knots, (width, height), interpolation=cv2.INTER_LINEAR))


def _clouds(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Return noise of several octaves, each with a colour of its own."""
    total = np.zeros((height, width), np.float32)
    slope = rng.uniform(0.3, 0.9)
    for octave in range(1, 8):
        size = (2 + 2**octave, 2 + 2**octave)
        if size[0] > width:
            break
        noise = rng.standard_normal(size, np.float32) * np.float32(slope**octave)
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    total -= total.min()
    total *= np.float32(255 / max(float(total.max()), 1e-3))
    return _coloured(rng, total.astype(np.uint8))


def _coloured(rng: np.random.Generator, levels: Pixels) -> Pixels:
    """Return grey levels (h, w) in a scale of two to five random colours."""
    count = int(rng.integers(2, 6))
    knots = np.stack([colour(rng) for _ in range(count)])[None]
    scale = cv2.resize(knots, (256, 1), interpolation=cv2.INTER_LINEAR)
    table = np.clip(scale, 0, 255).astype(np.uint8)
    return whole(cv2.LUT(cv2.merge([levels] * 3), table))


def _leaves(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Return a thicket: fine noise, smoothed a little, with few hard levels."""
    zoom = between(rng, 1, 6)
    size = (max(4, round(height / zoom)), max(4, round(width / zoom)))
    noise = rng.integers(0, 256, size, np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), between(rng, 0.6, 2.5))
    low, high = int(blurred.min()), int(blurred.max())
    levels = (blurred.astype(np.float32) - low) * np.float32(255 / max(1, high - low))
    method = cv2.INTER_NEAREST if chance(rng, 0.2) else cv2.INTER_LINEAR
    enlarged = cv2.resize(levels, (width, height), interpolation=method)
    return _coloured(rng, np.asarray(enlarged, np.uint8))


def _pattern(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Return stripes, checks or rings."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), between(rng, 3, 60)
    u = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    v = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
    kind = int(rng.integers(3))
    turn = np.float32(2 * np.pi / period)
    if kind == 0:
        wave = np.sin(u * turn)
    elif kind == 1:
        wave = np.sin(u * turn) * np.sin(v * turn)
    else:
        wave = np.sin(np.hypot(x - rng.uniform(0, width), y - rng.uniform(0, height)) * turn)
    if chance(rng, 0.5):
        wave = np.clip(wave * 5, -1, 1)
    return _coloured(rng, (127.5 + 127.4 * wave).astype(np.uint8))


def _rooms(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Return walls: rectangles beside and upon each other, as windows, shelves and houses are."""
    pixels = _plain(rng, height, width)
    for _ in range(int(rng.integers(3, 25))):
        x, y = int(rng.integers(-20, width)), int(rng.integers(-20, height))
        w, h = int(between(rng, 6, width)), int(between(rng, 6, height))
        cv2.rectangle(pixels, (x, y), (x + w, y + h), ink(rng), -1)
        if chance(rng, 0.4):
            cv2.rectangle(pixels, (x, y), (x + w, y + h), ink(rng), int(rng.integers(1, 5)))
    return pixels


def _torn(rng: np.random.Generator, height: int, width: int, crops: list[Crop]) -> Pixels:
    """Return torn, much enlarged pieces from the edges of crops: hair, cloth, walls, skin."""
    pixels = _plain(rng, height, width)
    for _ in range(int(rng.integers(1, 7))):
        crop = crops[int(rng.integers(len(crops)))].pixels
        edge = crop[:, :36] if chance(rng, 0.5) else crop[132:, :]
        piece = np.ascontiguousarray(np.rot90(edge, int(rng.integers(4))))
        w, h = int(rng.integers(40, width + 1)), int(rng.integers(40, height + 1))
        piece = whole(cv2.resize(piece, (w, h), interpolation=cv2.INTER_LINEAR))
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        pixels[y : y + h, x : x + w] = piece
    return pixels


def _blobs(rng: np.random.Generator, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    for _ in range(int(rng.integers(1, 14))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(between(rng, 2, 70)), int(between(rng, 2, 70)))
        thickness = -1 if chance(rng, 0.75) else int(rng.integers(1, 6))
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(pixels, centre, axes, angle, 0, 360, ink(rng), thickness, cv2.LINE_AA)


def _lines(rng: np.random.Generator, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    for _ in range(int(rng.integers(2, 20))):
        ends = rng.integers(-20, [width + 20, height + 20], (2, 2))
        start, end = tuple(map(int, ends[0])), tuple(map(int, ends[1]))
        cv2.line(pixels, start, end, ink(rng), int(between(rng, 1, 12)), cv2.LINE_AA)


def _letters(rng: np.random.Generator, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    for _ in range(int(rng.integers(1, 6))):
        text = "".join(rng.choice(list(_LETTERS), int(rng.integers(1, 10))))
        where = (int(rng.integers(-20, width)), int(rng.integers(10, height + 20)))
        font, size = int(rng.integers(8)), between(rng, 0.3, 4)
        cv2.putText(pixels, text, where, font, size, ink(rng), max(1, int(size * 2)), cv2.LINE_AA)


def _polygons(rng: np.random.Generator, pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    for _ in range(int(rng.integers(1, 8))):
        middle = rng.uniform([0, 0], [width, height])
        corners = middle + rng.normal(0, between(rng, 8, 70), (int(rng.integers(3, 7)), 2))
        cv2.fillPoly(pixels, [corners.astype(np.int32)], ink(rng), cv2.LINE_AA)


_ADDITIONS: tuple[Callable[[np.random.Generator, Pixels], None], ...] = (
    _blobs,
    _lines,
    _letters,
    _polygons,
)
