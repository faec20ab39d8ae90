"""Where light does not reach: folds of the face (from everywhere), cast shadows (from the lamp)."""

from functools import lru_cache

import numpy as np

from device.opencv import cv2
from tools.lab.people.fields import Floats, Mask, blur, enlarge, shrink, smooth, unit
from tools.lab.people.layers import Layer
from tools.lab.people.person import Person
from tools.lab.people.shape import neutral, normals

_CELL_MM = 2.8
_NOTHING = -1e6
_SURROUNDINGS = (4.0, 12.0)
"""Deviations of the two blurs that stand for a point's surroundings, cells."""
_CLEAR_MM, _HIDDEN_MM = 5.0, 9.0
"""Something that lies less far in front shades nothing; what lies further shades all."""


@lru_cache(maxsize=8)
def openness(person: Person) -> Floats:
    """Return how open to the light from everywhere each point of the head is, about 1.

    A point in a hollow, behind the mean of its surroundings along its normal, sees less of the sky.
    """
    head, out = neutral(person), normals(neutral(person))
    near, far = (((blur(head, cells) - head) * out).sum(axis=-1) for cells in _SURROUNDINGS)
    share = 1 - 0.16 * np.clip(near, -1, 4) - 0.07 * np.clip(far, -2, 6)
    return np.asarray(np.clip(share, 0.3, 1.15), np.float32)


def cast(layers: list[Layer], lamp: Floats, softness: float) -> list[Floats]:
    """Return the share of the lamp's light that reaches each point of each layer.

    A shadow map: what is nearest to the lamp in each cell of a plane across its light shades what
    lies behind (L. Williams, "Casting curved shadows on curved surfaces", SIGGRAPH 1978).
    """
    axes = _across(lamp)
    coarse = [layer.points[::2, ::2] for layer in layers]
    seen = [points.reshape(-1, 3) @ axes for points in coarse]
    solid = np.concatenate(
        [s[_solid(layer, p.shape)] for s, p, layer in zip(seen, coarse, layers, strict=True)]
    )
    low = solid[:, :2].min(axis=0)
    nearest = _nearest(solid, low)
    lit = []
    for points, layer, shape in zip(seen, layers, coarse, strict=True):
        share = _reached(points, low, nearest).reshape(shape.shape[:2])
        soft = blur(share, softness / 2 + 0.3)
        lit.append(enlarge(soft, layer.points.shape[:2]))
    return lit


def _across(lamp: Floats) -> Floats:
    """Return two axes across the lamp's light and the one towards it, as columns (3, 3)."""
    side = unit(np.cross(np.array([0.05, 1, 0.02], np.float32), lamp).astype(np.float32))
    return np.stack([side, np.cross(lamp, side).astype(np.float32), lamp], axis=1)


def _solid(layer: Layer, shape: tuple[int, ...]) -> Mask:
    """Return which of the coarse points throw shadows."""
    if layer.cover is None:
        return np.ones(shape[0] * shape[1], np.bool_)
    covered = shrink(layer.cover, (shape[0], shape[1])).ravel() > 0.5  # noqa: PLR2004 - half
    return np.asarray(covered, np.bool_)


def _nearest(points: Floats, low: Floats) -> Floats:
    cells = ((points[:, :2] - low) / _CELL_MM).astype(np.int32)
    width, height = (int(side) + 1 for side in cells.max(axis=0))
    near = np.full(width * height, _NOTHING, np.float32)
    order = np.argsort(points[:, 2])
    near[(cells[:, 1] * width + cells[:, 0])[order]] = points[order, 2]
    return np.asarray(cv2.dilate(near.reshape(height, width), np.ones((3, 3), np.uint8)))


def _reached(points: Floats, low: Floats, nearest: Floats) -> Floats:
    cells = ((points[:, :2] - low) / _CELL_MM).astype(np.int32)
    column = np.clip(cells[:, 0], 0, nearest.shape[1] - 1)
    row = np.clip(cells[:, 1], 0, nearest.shape[0] - 1)
    return smooth(_HIDDEN_MM, _CLEAR_MM, nearest[row, column] - points[:, 2])
