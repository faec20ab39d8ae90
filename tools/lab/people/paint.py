"""Paints a person on nothing: light, how opaque it is, and the truth about the face."""

from dataclasses import dataclass

import numpy as np

from tools.lab.people import wear
from tools.lab.people.fields import Floats, Mask
from tools.lab.people.layers import PIVOT, Layer, layers, rotation
from tools.lab.people.person import Person
from tools.lab.people.shade import Setting, lamp_of, shade
from tools.lab.people.shadow import cast
from tools.lab.people.splat import Lens, Surface, splat
from tools.lab.people.truth import Box, face_box, landmarks_of
from tools.lab.people.view import View

PUPILS_MM = 62.0
"""Between the pupils of the mean head."""
_FACE_MIDDLE = np.array([0, 34, 0], np.float32)
_FAR = -1e4


@dataclass(frozen=True)
class Canvas:
    """size: width and height in pixels. middle: where the middle of the face comes to lie.

    pixels_per_mm: at the middle of the face.
    """

    size: tuple[int, int]
    middle: tuple[float, float]
    pixels_per_mm: float


@dataclass(frozen=True)
class Painting:
    """light: (h, w, 3) linear, 0 where nothing is. alpha: (h, w) 0 or 1.

    landmarks: (5, 2) pixels. box: of the face, x, y, width, height.
    """

    light: Floats
    alpha: Floats
    landmarks: Floats
    box: Box


def paint(person: Person, view: View, canvas: Canvas) -> Painting:
    """Paint a person."""
    parts = layers(person, view)
    lens, reach = _lens(view, canvas)
    which, place = splat([_surface(p, reach) for p in parts], lens, canvas.size)
    lamp = lamp_of(view.light)
    lit = cast(parts, lamp, view.light.softness)
    setting = Setting(person, view, lamp, 1 / canvas.pixels_per_mm)
    light = np.zeros((*which.shape, 3), np.float32)
    depth = np.full(which.shape, _FAR, np.float32)
    for number, part in enumerate(parts):
        box = _bounds(which == number)
        if box is None:
            continue
        mine = which[box] == number
        patch = shade(_towards(part, reach), mine, place[box], lit[number], setting)
        light[box][mine] = patch.tone[mine]
        depth[box][mine] = patch.depth[mine]
    if person.wear.glasses != "none" and view.glasses:
        light = _with_glasses(person, view, lens, canvas, (light, depth))
    head = parts[0].points
    alpha = (which >= 0).astype(np.float32)
    return Painting(light * alpha[..., None], alpha, landmarks_of(head, lens), face_box(head, lens))


def _lens(view: View, canvas: Canvas) -> tuple[Lens, float]:
    """Return the camera that puts the face where it belongs, and its distance from the pivot."""
    anchor = (_FACE_MIDDLE - PIVOT) @ rotation(view.pose).T
    distance = view.camera.distance
    scale = canvas.pixels_per_mm
    middle = (
        canvas.middle[0] - float(anchor[0]) * scale,
        canvas.middle[1] - float(anchor[1]) * scale,
    )
    reach = distance + float(anchor[2])
    return Lens(reach, scale * distance, middle), reach


def _surface(layer: Layer, reach: float) -> Surface:
    return Surface(layer.points, layer.facing(reach), layer.cover, layer.cut)


def _towards(layer: Layer, reach: float) -> Layer:
    """Return a layer whose normals look at the camera, if both of its sides are seen."""
    if not layer.two_sided:
        return layer
    sign = np.where(layer.facing(reach) < 0, np.float32(-1), np.float32(1))
    return Layer(
        layer.kind, layer.points, layer.normal * sign[..., None], layer.tone, layer.cover, layer.cut
    )


def _bounds(mask: Mask) -> tuple[slice, slice] | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _with_glasses(
    person: Person, view: View, lens: Lens, canvas: Canvas, picture: tuple[Floats, Floats]
) -> Floats:
    turn = rotation(view.pose).T
    rims, others = (
        [lens.project((line - PIVOT) @ turn) for line in lines]
        for lines in (wear.lenses(person), wear.bridge_and_arms(person))
    )
    return wear.put_on(person, wear.Outline(rims, others, canvas.pixels_per_mm), *picture)
