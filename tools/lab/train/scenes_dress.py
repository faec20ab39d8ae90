"""What people wear and what stands in front of them; and things that are nearly faces.

Points are given in pixels of a crop of 160 (the ArcFace template in the middle), also far outside.
"""

from collections.abc import Callable

import numpy as np

from device.capture.frame import Pixels
from device.opencv import cv2
from device.vision.inference import Floats
from tools.lab.train.scenes_background import colour, ink
from tools.lab.train.scenes_paste import Canvas, Crop, FaceLook, between, chance, floats, whole
from tools.lab.train.sources import SIDE

_Ink = tuple[int, ...]


def body(rng: np.random.Generator, canvas: Canvas, look: FaceLook) -> None:
    """Draw hair behind the head, the neck and the shoulders; the face comes after it."""
    cloth = ink(rng)
    wide = rng.uniform(75, 120)
    drop = rng.uniform(-8, 14)
    shoulders = floats(
        [[56, 150], [104, 150], [80 + 0.75 * wide, 172 + drop], [80 + wide, 205], [85 + wide, 420]]
    )
    left = shoulders[::-1] * floats([-1, 1]) + floats([160, 0])
    canvas.polygon(look.around(np.concatenate([shoulders, left])), cloth)
    if chance(rng, 0.3):
        stripe = ink(rng)
        for height in range(180, 420, int(rng.integers(14, 40))):
            line = floats([[80 - wide, height], [80 + wide, height]])
            canvas.stroke(look.around(line), stripe, max(1, round(6 * look.pose.scale)))
    shade = tuple(int(channel * rng.uniform(0.6, 1)) for channel in look.skin)
    neck = floats([[54, 110], [106, 110], [110, 170], [80, 186], [50, 170]])
    canvas.polygon(look.around(neck), shade)
    if chance(rng, 0.6):
        axes = (rng.uniform(55, 78), rng.uniform(64, 92))
        canvas.polygon(look.around(_oval((80, rng.uniform(66, 84)), axes)), _hair(rng))


def _hair(rng: np.random.Generator) -> _Ink:
    tones = floats([[20, 20, 20], [25, 35, 55], [40, 65, 100], [90, 140, 180], [160, 160, 165]])
    tone = tones[int(rng.integers(5))] * np.float32(rng.uniform(0.5, 1.3))
    return tuple(int(channel) for channel in np.clip(tone, 0, 255))


def _oval(centre: tuple[float, float], axes: tuple[float, float]) -> Floats:
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    x, y = centre[0] + axes[0] * np.cos(angle), centre[1] + axes[1] * np.sin(angle)
    return np.stack([x, y], axis=1).astype(np.float32)


def accessories(rng: np.random.Generator, canvas: Canvas, look: FaceLook) -> None:
    """Sometimes put a hat, hair, glasses, a mask, a scarf or a hand on a face."""
    if chance(rng, 0.2):
        _hat(rng, canvas, look)
    elif chance(rng, 0.12):
        _fringe(rng, canvas, look)
    for share, wear in _WORN:
        if chance(rng, share):
            wear(rng, canvas, look)
            look.plain = False


def _hat(rng: np.random.Generator, canvas: Canvas, look: FaceLook) -> None:
    brim = rng.uniform(44, 64)
    top = rng.uniform(-25, 20)
    wide = rng.uniform(50, 64)
    hat = [[80 - wide, brim], [80 - 0.8 * wide, top], [80 + 0.8 * wide, top], [80 + wide, brim]]
    tone = ink(rng)
    canvas.polygon(look.around(floats(hat)), tone, hides=False)
    if chance(rng, 0.4):
        peak = _oval((80, brim), (wide * rng.uniform(0.9, 1.4), rng.uniform(5, 12)))
        canvas.polygon(look.around(peak), tone, hides=False)
    elif chance(rng, 0.3):
        # A hood or a headscarf leaves the face open.
        ring = np.concatenate([_oval((80, 84), (66, 86)), _oval((80, 88), (44, 58))[::-1]])
        canvas.polygon(look.around(ring), tone, hides=False)


def _fringe(rng: np.random.Generator, canvas: Canvas, look: FaceLook) -> None:
    tone = _hair(rng)
    low = rng.uniform(52, 72)
    side = [[30, 130], [26, 50], [50, 18], [110, 18], [134, 50], [130, 130], [118, 70]]
    points = floats([*side, [100, low], [60, low - 8], [44, 72]])
    canvas.polygon(look.around(points), tone, hides=False)


def _spectacles(rng: np.random.Generator, canvas: Canvas, look: FaceLook) -> None:
    tone = ink(rng) if chance(rng, 0.3) else (25, 25, 25)
    size = (rng.uniform(12, 17), rng.uniform(8, 13))
    thickness = max(1, round(rng.uniform(1, 4) * look.pose.scale))
    for x in (62.3, 97.6):
        ring = look.at(_oval((x, 76), size))
        canvas.stroke(np.concatenate([ring, ring[:1]]), tone, thickness)
    canvas.stroke(look.at(floats([[62.3 + size[0], 75], [97.6 - size[0], 75]])), tone, thickness)


def _sunglasses(rng: np.random.Generator, canvas: Canvas, look: FaceLook) -> None:
    tone = tuple(int(level) for level in np.clip(rng.normal(25, 20, 3), 0, 120))
    size = (rng.uniform(13, 19), rng.uniform(10, 15))
    for x in (62.3, 97.6):
        canvas.polygon(look.at(_oval((x, 78), size)), tone, hides=False)
    thickness = max(1, round(3 * look.pose.scale))
    canvas.stroke(look.at(floats([[40, 74], [120, 74]])), tone, thickness)


def _mask(rng: np.random.Generator, canvas: Canvas, look: FaceLook) -> None:
    """Draw a medical or a cloth mask over nose and mouth."""
    top = rng.uniform(80, 96)
    if chance(rng, 0.7):
        tone: _Ink = ((235, 235, 235), (220, 200, 150), (210, 190, 120), (30, 30, 30))[
            int(rng.integers(4))
        ]
        tone = tuple(int(c) for c in np.clip(floats(tone) + rng.normal(0, 12, 3), 0, 255))
    else:
        tone = ink(rng)
    edge = [[44, 92], [62, top + 4], [80, top], [98, top + 4], [116, 92], [113, 122], [99, 142]]
    points = look.at(floats([*edge, [80, 149], [61, 142], [47, 122]]))
    canvas.polygon(points, tone, hides=False)
    fold = tuple(int(channel * 0.82) for channel in tone)
    thickness = max(1, round(1.6 * look.pose.scale))
    for y in (106, 118, 129):
        line = look.at(floats([[52, y], [80, y + 4], [108, y]]))
        canvas.stroke(line, fold, thickness)
    for ear, corner in (((32, 78), (44, 92)), ((128, 78), (116, 92))):
        canvas.stroke(look.at(floats([ear, corner])), tone, thickness)


def _scarf(rng: np.random.Generator, canvas: Canvas, look: FaceLook) -> None:
    top = rng.uniform(100, 130)
    points = [[34, top + 6], [80, top], [126, top + 6], [136, 178], [80, 188], [24, 178]]
    canvas.polygon(look.at(floats(points)), ink(rng), hides=False)


def _hand(rng: np.random.Generator, canvas: Canvas, look: FaceLook) -> None:
    """Lay some fingers over a part of the face."""
    start = floats([rng.uniform(40, 120), rng.uniform(90, 150)])
    angle = rng.uniform(0, 2 * np.pi)
    along = floats([np.cos(angle), np.sin(angle)])
    across = floats([-along[1], along[0]])
    shade = floats(look.skin) * np.float32(rng.uniform(0.7, 1.15))
    tone = tuple(int(channel) for channel in np.clip(shade, 0, 255))
    for finger in range(4):
        tip = start + across * finger * 11
        end = tip + along * rng.uniform(30, 50)
        canvas.stroke(look.around(np.stack([tip, end])), tone, max(2, round(11 * look.pose.scale)))


_WORN: tuple[tuple[float, Callable[[np.random.Generator, Canvas, FaceLook], None]], ...] = (
    (0.10, _spectacles),
    (0.09, _sunglasses),
    (0.17, _mask),
    (0.05, _scarf),
    (0.05, _hand),
)


def foreground(rng: np.random.Generator, canvas: Canvas) -> None:
    """Put something in front of everybody: a pole, a rail, a shoulder."""
    height, width = canvas.pixels.shape[:2]
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    thick = between(rng, 4, 40)
    if chance(rng, 0.5):
        corners = [[x, 0], [x + thick, 0], [x + thick, height], [x, height]]
    else:
        corners = [[0, y], [width, y], [width, y + thick], [0, y + thick]]
    canvas.polygon(floats(corners), ink(rng))


def decoys(rng: np.random.Generator, canvas: Canvas, crops: list[Crop]) -> Floats:
    """Put things into the scene that are nearly faces.

    Returns boxes (n, 4) x, y, width, height of those about which only the teacher can say. Muzzles
    and balls are none of them: they are no faces, whatever a teacher says.
    """
    doubtful: list[Floats] = []
    if not chance(rng, 0.4):
        return np.empty((0, 4), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.choice(5, p=(0.25, 0.15, 0.15, 0.25, 0.2)))
        height, width = canvas.pixels.shape[:2]
        side = between(rng, 14, 180)
        centre = (rng.uniform(0, width), rng.uniform(0, height))
        if kind == len(_PIECES):
            _muzzle(rng, canvas, centre, side)
        elif kind > len(_PIECES):
            _ball(rng, canvas, centre, side)
        else:
            crop = crops[int(rng.integers(len(crops)))].pixels
            doubtful.append(_laid(rng, canvas, _PIECES[kind](rng, crop), centre, side))
    return np.stack(doubtful) if doubtful else np.empty((0, 4), np.float32)


def _laid(
    rng: np.random.Generator,
    canvas: Canvas,
    piece: Pixels,
    centre: tuple[float, float],
    side: float,
) -> Floats:
    scale = side / SIDE
    angle = rng.uniform(0, 2 * np.pi) if chance(rng, 0.3) else 0.0
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    linear = floats([[cos, -sin], [sin, cos]])
    shift = floats(centre) - linear @ floats([SIDE / 2, SIDE / 2])
    opacity = np.zeros((SIDE, SIDE), np.uint8)
    opacity[4:-4, 4:-4] = 255
    opacity = whole(cv2.GaussianBlur(opacity, (0, 0), 2))
    canvas.lay(np.ascontiguousarray(piece), opacity, np.column_stack([linear, shift]))
    reach = side * (abs(np.cos(angle)) + abs(np.sin(angle)))
    return floats([centre[0] - reach / 2, centre[1] - reach / 2, reach, reach])


def _part(rng: np.random.Generator, crop: Pixels) -> Pixels:
    """Return a part of a face, enlarged: an eye, a cheek, half a mouth."""
    side = int(rng.integers(30, 70))
    x, y = (int(rng.integers(20, 140 - side)) for _ in range(2))
    part = crop[y : y + side, x : x + side]
    return whole(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))


def _upended(rng: np.random.Generator, crop: Pixels) -> Pixels:
    """Return a face that lies on its side or stands on its head."""
    return np.rot90(crop, int(rng.integers(1, 4)))


def _shuffled(rng: np.random.Generator, crop: Pixels) -> Pixels:
    """Return a face whose parts have changed places."""
    count = int(rng.integers(2, 5))
    side = SIDE // count
    tiles = [
        crop[y * side : (y + 1) * side, x * side : (x + 1) * side]
        for y in range(count)
        for x in range(count)
    ]
    order = rng.permutation(count * count)
    rows = [np.hstack([tiles[i] for i in order[r * count : (r + 1) * count]]) for r in range(count)]
    shuffled = np.vstack(rows)
    return whole(cv2.resize(shuffled, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST))


_PIECES: tuple[Callable[[np.random.Generator, Pixels], Pixels], ...] = (_part, _upended, _shuffled)


def _muzzle(
    rng: np.random.Generator, canvas: Canvas, centre: tuple[float, float], side: float
) -> None:
    """Draw an animal's head: fur, ears, round eyes far apart, a dark nose on a long muzzle."""
    unit = side / 100
    middle = floats(centre)

    def put(shape: Floats, tone: _Ink) -> None:
        canvas.polygon(middle + shape * np.float32(unit), tone)

    fur = colour(rng)
    tone = tuple(int(channel) for channel in np.clip(fur, 0, 255))
    ear = floats([[-38, -20], [-34, -62 - rng.uniform(0, 20)], [-6, -38]])
    for flip in (1, -1):
        put(ear * floats([flip, 1]), tone)
    put(_oval((0, 0), (rng.uniform(36, 50), rng.uniform(36, 52))), tone)
    light = tuple(int(min(255, channel * rng.uniform(0.9, 1.4))) for channel in fur)
    put(_oval((0, 24), (rng.uniform(14, 24), rng.uniform(14, 26))), light)
    eye = (rng.uniform(4, 9), rng.uniform(4, 9))
    for flip in (1, -1):
        put(_oval((flip * rng.uniform(16, 24), -6), eye), (20, 25, 30))
    put(_oval((0, 18), (rng.uniform(5, 11), rng.uniform(4, 8))), (15, 15, 20))
    _ruffled(rng, canvas, middle, side)


def _ruffled(rng: np.random.Generator, canvas: Canvas, middle: Floats, side: float) -> None:
    """Roughen the square around a point, as fur is rough."""
    height, width = canvas.pixels.shape[:2]
    left, top = np.maximum(middle - 0.6 * side, 0).astype(int)
    right, bottom = np.minimum(middle + 0.6 * side, [width, height]).astype(int)
    if right - left < 2 or bottom - top < 2:  # noqa: PLR2004 - nothing to roughen
        return
    area = canvas.pixels[top:bottom, left:right]
    noise = rng.standard_normal((bottom - top, right - left), np.float32)
    noise = floats(cv2.GaussianBlur(noise, (0, 0), between(rng, 0.5, 2)))[..., None]
    area[:] = np.clip(area + noise * np.float32(between(rng, 8, 60)), 0, 255).astype(np.uint8)


def _ball(
    rng: np.random.Generator, canvas: Canvas, centre: tuple[float, float], side: float
) -> None:
    """Draw a ball, a plate, a bare shoulder: round, often as skin is, with some marks."""
    middle = floats(centre)
    axes = (0.35 * side, 0.35 * side * rng.uniform(0.7, 1.5))
    canvas.polygon(middle + _oval((0, 0), axes), ink(rng))
    for _ in range(int(rng.integers(0, 4))):
        spot = rng.normal(0, 0.15 * side, 2).astype(np.float32)
        size = (side * rng.uniform(0.01, 0.08), side * rng.uniform(0.01, 0.08))
        canvas.polygon(middle + spot + _oval((0, 0), size), ink(rng))
