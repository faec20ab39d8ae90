"""People cut out of the renderer once, and pasted into many frames at nearly their own size.

A full rendering of one person takes a third of a second; a clip needs thousands. So a person is
painted a few times a second, at the nearer end of each stretch of the way, and between is only
shrunk and moved: never enlarged by more than a hundredth, so a face keeps its detail.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from device.opencv import cv2
from tools.lab.people.camera import smear
from tools.lab.people.fields import Floats, shrink
from tools.lab.people.paint import PUPILS_MM, Canvas, paint
from tools.lab.people.rendered import SUPERSAMPLING
from tools.lab.people.scene import Walker

_SIDE_MM, _ABOVE_MM, _BELOW_MM = 340.0, 260.0, 1720.0
"""How far a person reaches from the middle of the face."""
_SPARE: Final = 1.5
"""How much farther down a sprite reaches than its own frame shows: it is shrunk later."""


@dataclass(frozen=True, slots=True)
class Sprite:
    """Somebody on nothing.

    both: (h, w, 4) float32, linear light times opacity, then opacity. anchor: where the middle of
    the face lies in it, x and y in pixels. eyes_px: between the eyes of a frontal face.
    """

    both: Floats
    anchor: tuple[float, float]
    eyes_px: float


def sprite_of(walker: Walker, height: int) -> Sprite:
    """Paint a person. height: of the picture, in pixels; what lies far below it is left out."""
    scale = walker.eyes_px / PUPILS_MM
    anchor = (_SIDE_MM * scale, _ABOVE_MM * scale)
    below = min(_BELOW_MM * scale, _SPARE * max(8.0, height - walker.middle[1]))
    wide, high = int(2 * anchor[0]) + 1, int(anchor[1] + below) + 1
    canvas = Canvas(
        (wide * SUPERSAMPLING, high * SUPERSAMPLING),
        (anchor[0] * SUPERSAMPLING, anchor[1] * SUPERSAMPLING),
        scale * SUPERSAMPLING,
    )
    painting = paint(walker.person, walker.view, canvas)
    both = shrink(np.dstack([painting.light, painting.alpha]), (high, wide))
    both = smear(np.asarray(both, np.float32), *walker.motion)
    return Sprite(np.asarray(both, np.float32), anchor, walker.eyes_px)


def put(light: Floats, sprite: Sprite, middle: tuple[float, float], eyes_px: float) -> None:
    """Paste a person into linear light (h, w, 3), in place.

    middle: where the middle of the face comes to lie, in pixels. eyes_px: how large.
    """
    factor = eyes_px / sprite.eyes_px
    high, wide = sprite.both.shape[:2]
    left_px, top_px = middle[0] - factor * sprite.anchor[0], middle[1] - factor * sprite.anchor[1]
    left, top = max(0, int(left_px)), max(0, int(top_px))
    right = min(light.shape[1], int(np.ceil(left_px + factor * wide)))
    bottom = min(light.shape[0], int(np.ceil(top_px + factor * high)))
    if right <= left or bottom <= top:
        return
    move = np.array([[factor, 0, left_px - left], [0, factor, top_px - top]], np.float64)
    size = (right - left, bottom - top)
    both = cv2.warpAffine(sprite.both, move, size, flags=cv2.INTER_LINEAR)
    area = light[top:bottom, left:right]
    area *= 1 - both[..., 3:]
    area += both[..., :3]
