"""Where scenes are painted: a canvas that knows what hides what, and faces put onto it."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from device.capture.frame import Pixels
from device.opencv import cv2
from device.vision.geometry import ARCFACE_112
from device.vision.inference import Floats
from tools.lab.train.sources import SIDE

Owners = npt.NDArray[np.int16]
MARGIN: Final = (SIDE - 112) / 2
TEMPLATE: Final[Floats] = ARCFACE_112 + np.float32(MARGIN)
"""The five points of a face in a crop of 160 pixels."""
_MIDDLE: Final = (SIDE - 1) / 2
_WORK_SIDES: Final = (24, 36, 54, 80, 120, SIDE)
_NEUTRAL_DEPTH: Final = 24.0
_STEEPEST: Final = 0.75
_ON_TEMPLATE: Final = 6.0


def chance(rng: np.random.Generator, share: float) -> bool:
    """Return True in `share` of all cases."""
    return bool(rng.random() < share)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number that is evenly spread in its logarithm; low, high > 0."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def floats(values: object) -> Floats:
    """Return an array of float32."""
    return np.asarray(values, np.float32)


def whole(values: npt.NDArray[Any]) -> Pixels:
    """Return what OpenCV returns, known to be uint8."""
    return np.asarray(values, np.uint8)


@dataclass(frozen=True, slots=True)
class Crop:
    """A face that scenes are made of.

    pixels: (160, 160, 3) uint8 BGR, the ArcFace template about the middle; box: x, y, width, height
    and points: (5, 2), both in pixels of the crop, as the teacher sees them.
    """

    pixels: Pixels
    box: Floats
    points: Floats

    @property
    def frontal(self) -> bool:
        """True when the five points are where the template has them."""
        return bool(np.abs(self.points - TEMPLATE).max() < _ON_TEMPLATE)

    def mirrored(self) -> "Crop":
        """Return the crop in a mirror; the right eye is then the left one."""
        width = self.pixels.shape[1] - 1
        box = floats([width - self.box[0] - self.box[2], *self.box[1:]])
        points = (self.points * floats([-1, 1]) + floats([width, 0]))[[1, 0, 2, 4, 3]]
        return Crop(self.pixels[:, ::-1], box, points)


@lru_cache(maxsize=16)
def _depth(side: int) -> Floats:
    """Return how far a face stands out at each pixel of a crop of `side`: an egg with a nose."""
    axis = ((np.arange(side, dtype=np.float32) + 0.5) / side - 0.5) * SIDE
    x, y = np.meshgrid(axis, axis)
    egg = 1 - (x / 62) ** 2 - ((y - 2) / 80) ** 2
    nose = np.exp(-((x / 9) ** 2) - ((y - 16) / 16) ** 2)
    return np.asarray(48 * np.sqrt(np.clip(egg, 0, 1)) + 10 * nose, np.float32)


@lru_cache(maxsize=16)
def _grid(side: int) -> tuple[Floats, Floats]:
    axis = np.arange(side, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


@lru_cache(maxsize=64)
def _mask(kind: int, side: int) -> Pixels:
    """Return how opaque a crop is: 0 the whole square, 1 a rounded one, 2 a head, 3 a face."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if kind == 0:
        mask[2:-2, 2:-2] = 255
    elif kind == 1:
        cv2.ellipse(mask, (80, 84), (74, 78), 0, 0, 360, 255, -1)
    elif kind == 2:  # noqa: PLR2004 - a name of a shape
        cv2.ellipse(mask, (80, 84), (58, 76), 0, 0, 360, 255, -1)
    else:
        cv2.ellipse(mask, (80, 90), (47, 62), 0, 0, 360, 255, -1)
    mask = whole(cv2.GaussianBlur(mask, (0, 0), 3.0))
    return whole(cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA))


@dataclass(frozen=True, slots=True)
class Pose:
    """How a head is held. turn, nod, roll: in radians; scale: of the crop; aspect: of its width."""

    turn: float
    nod: float
    roll: float
    scale: float
    aspect: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, scale: float) -> "Pose":
        """Draw the pose of somebody who passes by."""
        return cls(
            turn=float(np.clip(rng.normal(0, 0.28), -_STEEPEST, _STEEPEST)),
            nod=float(np.clip(rng.normal(0, 0.12), -0.4, 0.4)),
            roll=float(np.clip(rng.normal(0, 0.16), -0.6, 0.6)),
            scale=scale,
            aspect=float(np.exp(rng.normal(0, 0.07))),
        )


@dataclass(slots=True)
class FaceLook:
    """One face on its way into a scene: how it is turned, where it will stand.

    matrix: (2, 3) from crop pixels to the scene; box, landmarks: where the scene will show them;
    ident: its mark on the canvas; plain: nothing is worn over the face.
    """

    crop: Crop
    other: Crop | None
    matrix: Floats
    pose: Pose
    box: Floats
    landmarks: Floats
    skin: tuple[int, int, int]
    ident: int = 0
    plain: bool = True

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        crop: Crop,
        other: Crop | None,
        centre: tuple[float, float],
        width: float,
    ) -> "FaceLook":
        """Draw the pose of a face whose box is about `width` wide around `centre`, in pixels."""
        pose = Pose.drawn(rng, width / float(crop.box[2]))
        if chance(rng, 0.5):
            crop = crop.mirrored()
        matrix = _matrix(crop.box, centre, pose)
        cheeks = crop.pixels[96:112, 60:100].reshape(-1, 3).mean(axis=0)
        return cls(
            crop=crop,
            other=other if other is not None and other.frontal and crop.frontal else None,
            matrix=matrix,
            pose=pose,
            box=_box_of(matrix, crop.box, pose),
            landmarks=_mapped(matrix, _turned(crop.points, pose)),
            skin=(int(cheeks[0]), int(cheeks[1]), int(cheeks[2])),
        )

    def at(self, points: Floats) -> Floats:
        """Return where points (n, 2) on the face's surface, in crop pixels, stand in the scene."""
        return _mapped(self.matrix, _turned(points, self.pose))

    def around(self, points: Floats) -> Floats:
        """Return where points (n, 2) beside the face, in crop pixels, stand in the scene."""
        return _mapped(self.matrix, points)


def _matrix(box: Floats, centre: tuple[float, float], pose: Pose) -> Floats:
    cos, sin = np.cos(pose.roll) * pose.scale, np.sin(pose.roll) * pose.scale
    linear = np.array([[cos * pose.aspect, -sin], [sin * pose.aspect, cos]], np.float32)
    middle = np.array([box[0] + box[2] / 2, box[1] + box[3] / 2], np.float32)
    shift = np.asarray(centre, np.float32) - linear @ middle
    return np.column_stack([linear, shift]).astype(np.float32)


def _mapped(matrix: Floats, points: Floats) -> Floats:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


def _turned(points: Floats, pose: Pose) -> Floats:
    """Return where points of the frontal crop are in the turned one (the inverse of `_posed`)."""
    depth = _depth(SIDE)
    frontal = points - _MIDDLE
    found = frontal.copy()
    for _ in range(3):
        column, row = np.clip(np.rint(found + _MIDDLE).astype(int), 0, SIDE - 1).T
        out = depth[row, column] - _NEUTRAL_DEPTH
        found[:, 0] = frontal[:, 0] * np.cos(pose.turn) + np.sin(pose.turn) * out
        found[:, 1] = frontal[:, 1] * np.cos(pose.nod) + np.sin(pose.nod) * out
    return np.asarray(found + _MIDDLE, np.float32)


def _box_of(matrix: Floats, box: Floats, pose: Pose) -> Floats:
    """Return the upright box around a turned face, taken for an ellipse."""
    middle = floats([[box[0] + box[2] / 2, box[1] + box[3] / 2]])
    # The middle of what shows of a head moves less than its nose.
    middle += floats([16 * np.sin(pose.turn), 16 * np.sin(pose.nod)])
    centre = _mapped(matrix, middle)[0]
    width = float(box[2]) * pose.scale * pose.aspect * (0.25 + 0.75 * np.cos(pose.turn))
    height = float(box[3]) * pose.scale
    wide = np.hypot(width * np.cos(pose.roll), height * np.sin(pose.roll))
    tall = np.hypot(width * np.sin(pose.roll), height * np.cos(pose.roll))
    return np.array([centre[0] - wide / 2, centre[1] - tall / 2, wide, tall], np.float32)


@dataclass(slots=True)
class Canvas:
    """A picture under the brush. pixels: (h, w, 3) uint8 BGR; owners: whose face shows where."""

    pixels: Pixels
    owners: Owners = field(init=False)
    _count: int = 0

    def __post_init__(self) -> None:
        self.owners = np.zeros(self.pixels.shape[:2], np.int16)

    def polygon(self, points: Floats, colour: tuple[int, ...], *, hides: bool = True) -> None:
        """Fill a polygon (n, 2); what lies under it no longer shows, unless `hides` is False."""
        corners = np.rint(np.clip(points, -4000, 4000) * 8).astype(np.int32)
        cv2.fillPoly(self.pixels, [corners], colour, cv2.LINE_AA, 3)
        if hides:
            cv2.fillPoly(self.owners, [corners], 0, cv2.LINE_8, 3)

    def stroke(self, points: Floats, colour: tuple[int, ...], thickness: int) -> None:
        """Draw a line through points (n, 2); thin enough to hide nothing."""
        corners = np.rint(np.clip(points, -4000, 4000) * 8).astype(np.int32)
        cv2.polylines(self.pixels, [corners], False, colour, thickness, cv2.LINE_AA, 3)

    def claim(self, look: FaceLook) -> None:
        """Note that the face of `look` is now in front where it stands."""
        self._count += 1
        look.ident = self._count
        corners = np.rint(_ellipse(look.box) * 8).astype(np.int32)
        cv2.fillPoly(self.owners, [corners], self._count, cv2.LINE_8, 3)

    def visible(self, look: FaceLook) -> float:
        """Return the share of a face that nothing hides and that lies inside, in [0, 1]."""
        area = np.pi / 4 * float(look.box[2]) * float(look.box[3])
        seen = int(np.count_nonzero(self.owners == look.ident))
        return float(min(1.0, seen / max(area, 1.0)))

    def lay(self, image: Pixels, opacity: Pixels, matrix: Floats) -> None:
        """Lay an image (n, n, 3) with opacity (n, n) 0-255 onto the canvas; matrix: (2, 3)."""
        side = image.shape[0]
        corners = _mapped(matrix, floats([[0, 0], [side, 0], [side, side], [0, side]]))
        height, width = self.owners.shape
        left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
        right, bottom = np.minimum(np.ceil(corners.max(axis=0)), [width, height]).astype(int)
        if right <= left or bottom <= top:
            return
        shifted = matrix.copy()
        shifted[:, 2] -= (left, top)
        size = (int(right - left), int(bottom - top))
        laid = cv2.warpAffine(image, shifted, size, borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.warpAffine(opacity, shifted, size)[..., None].astype(np.int16)
        area = self.pixels[top:bottom, left:right]
        change = (laid.astype(np.int16) - area) * np.float32(1 / 255) * alpha
        area[:] = (area + change).astype(np.uint8)


def _ellipse(box: Floats) -> Floats:
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    x = box[0] + box[2] / 2 * (1 + np.cos(angle))
    y = box[1] + box[3] / 2 * (1 + np.sin(angle))
    return np.stack([x, y], axis=1).astype(np.float32)


def paste_face(rng: np.random.Generator, canvas: Canvas, look: FaceLook) -> None:
    """Put the face of `look` onto the canvas, in a light of its own."""
    wanted = look.pose.scale * SIDE * 1.2
    side = next((s for s in _WORK_SIDES if s >= wanted), SIDE)
    face = _resized(look.crop.pixels, side)
    if look.other is not None:
        face = _blended(rng, face, _resized(look.other.pixels, side))
    if abs(look.pose.turn) + abs(look.pose.nod) > 0.05:  # noqa: PLR2004 - below, nobody sees it
        face = _posed(face, look.pose)
    face = _lit(rng, face)
    kind = int(rng.choice(4, p=(0.25, 0.2, 0.35, 0.2)))
    canvas.lay(face, _mask(kind, side), look.matrix @ _from_side(side))
    canvas.claim(look)


def _resized(pixels: Pixels, side: int) -> Pixels:
    if side == pixels.shape[0]:
        return pixels
    return whole(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA))


def _from_side(side: int) -> Floats:
    """Return the (3, 3) transform from pixels of a crop of `side` to those of a whole one."""
    factor = SIDE / side
    shift = 0.5 * factor - 0.5
    return floats([[factor, 0, shift], [0, factor, shift], [0, 0, 1]])


def _blended(rng: np.random.Generator, face: Pixels, other: Pixels) -> Pixels:
    """Mix two faces that lie on the same five points."""
    share = float(rng.uniform(0.3, 0.7))
    return whole(cv2.addWeighted(face, share, np.ascontiguousarray(other), 1 - share, 0))


def _posed(face: Pixels, pose: Pose) -> Pixels:
    """Turn a head by moving its pixels according to their depth."""
    side = face.shape[0]
    unit = np.float32(side / SIDE)
    x, y = _grid(side)
    middle = np.float32((side - 1) / 2)
    out = (_depth(side) - np.float32(_NEUTRAL_DEPTH)) * unit
    at_x = (x - middle - np.float32(np.sin(pose.turn)) * out) / np.float32(np.cos(pose.turn))
    at_y = (y - middle - np.float32(np.sin(pose.nod)) * out) / np.float32(np.cos(pose.nod))
    at_x, at_y = at_x + middle, at_y + middle
    return whole(cv2.remap(face, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def _lit(rng: np.random.Generator, face: Pixels) -> Pixels:
    """Return a face in another light: gain, offset, gamma, a ramp from one side, the sun's edge."""
    if chance(rng, 0.25):
        return face
    table = np.arange(256, dtype=np.float32) / 255
    table **= np.float32(np.exp(rng.normal(0, 0.3)))
    table = (table - 0.45) * np.float32(np.exp(rng.normal(0, 0.22))) + np.float32(
        0.45 + rng.normal(0, 0.08)
    )
    tables = table[:, None] * np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    lut = np.clip(tables * 255, 0, 255).astype(np.uint8)[None]
    face = whole(cv2.LUT(np.ascontiguousarray(face), lut))
    if chance(rng, 0.35):
        face = _shaded(rng, face)
    return face


def _shaded(rng: np.random.Generator, face: Pixels) -> Pixels:
    side = face.shape[0]
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.float32(np.cos(angle)) * axis[None, :] + np.float32(np.sin(angle)) * axis[:, None]
    if chance(rng, 0.4):
        ramp = np.tanh((ramp + np.float32(rng.normal(0, 0.4))) * np.float32(rng.uniform(2, 9)))
    factor = (1 + np.float32(rng.uniform(0.1, 0.65)) * ramp)[..., None]
    return np.clip(face * factor, 0, 255).astype(np.uint8)
