"""From surfaces to light: what each pixel of a layer sends to the camera."""

from dataclasses import dataclass

import numpy as np

from device.opencv import cv2
from tools.lab.people import eyes, mouth
from tools.lab.people.fields import Floats, Mask, colour, unit
from tools.lab.people.grid import EYE, grid, row_places
from tools.lab.people.layers import Layer
from tools.lab.people.person import Person
from tools.lab.people.shadow import openness
from tools.lab.people.shape import COLUMNS, ROWS
from tools.lab.people.skin import texture
from tools.lab.people.view import Light, View

# Light that bleeds round an edge: red goes furthest through skin.
_WRAP = {"skin": (0.08, 0.14, 0.28), "ear": (0.08, 0.14, 0.28)}
_WRAP_ELSE = (0.15, 0.15, 0.15)
_EAR_SHINE = 0.12


@dataclass(frozen=True)
class Setting:
    """What all layers of one picture share. lamp: (3,) direction to the light."""

    person: Person
    view: View
    lamp: Floats
    pixel_mm: float


@dataclass
class Patch:
    """The pixels of one layer inside its bounding box, (h, w) or (h, w, 3) each.

    mine: which pixels show the layer. column, row: their places on its grid. reach: the share of
    the lamp's light, sky: of the light from everywhere. depth: millimetres towards the camera.
    """

    mine: Mask
    column: Floats
    row: Floats
    tone: Floats
    normal: Floats
    depth: Floats
    reach: Floats
    sky: Floats
    shine: Floats
    glint: Floats


def lamp_of(light: Light) -> Floats:
    """Return the direction to the lamp on the camera's axes, (3,) of unit length."""
    around, up = np.radians([light.azimuth, light.elevation])
    return np.array(
        [np.sin(around) * np.cos(up), -np.sin(up), np.cos(around) * np.cos(up)], np.float32
    )


def shade(layer: Layer, mine: Mask, place: Floats, lit: Floats, setting: Setting) -> Patch:
    """Return a patch whose `tone` has become light.

    mine: (h, w). place: (h, w, 2) column and row on the layer's grid. lit: what the lamp reaches.
    """
    patch = _looked_up(layer, mine, place, lit)
    if layer.kind == "skin":
        _add_face(patch, setting)
    patch.normal = unit(patch.normal)
    light = setting.view.light
    patch.tone = patch.tone * _received(
        patch, light, setting.lamp, _WRAP.get(layer.kind, _WRAP_ELSE)
    )
    half = unit(setting.lamp + np.array([0, 0, 1], np.float32))
    shown = light.key * (1 - light.shadow * (1 - patch.reach))
    if layer.kind == "hair":
        patch.tone = patch.tone + _sheen(layer, patch, half) * shown[..., None]
        return patch
    mirrored = np.clip(patch.normal @ half, 0, 1)
    gloss = (0.16 * mirrored**10 + 0.16 * mirrored**40) * patch.shine * shown
    if layer.kind != "cloth":
        gloss += 0.05 * (1 - np.clip(patch.normal[..., 2], 0, 1)) ** 3 * light.ambient
    patch.tone = patch.tone + (gloss + 0.9 * light.key * patch.glint)[..., None]
    return patch


def _looked_up(layer: Layer, mine: Mask, place: Floats, lit: Floats) -> Patch:
    column, row = (np.ascontiguousarray(place[..., axis]) for axis in range(2))
    rows, columns = layer.points.shape[:2]
    fine, wide = layer.tone.shape[0] / rows, layer.tone.shape[1] / columns
    ear = layer.kind == "ear"
    return Patch(
        mine=mine,
        column=column,
        row=row,
        tone=_look(layer.tone, (column + 0.5) * wide - 0.5, (row + 0.5) * fine - 0.5),
        normal=_look(layer.normal, column, row),
        depth=_look(np.ascontiguousarray(layer.points[..., 2]), column, row),
        reach=_look(lit, column, row),
        sky=np.ones(mine.shape, np.float32),
        shine=np.full(mine.shape, _EAR_SHINE if ear else 0.0, np.float32),
        glint=np.zeros(mine.shape, np.float32),
    )


def _look(field: Floats, column: Floats, row: Floats) -> Floats:
    return np.asarray(
        cv2.remap(field, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def _add_face(patch: Patch, setting: Setting) -> None:
    """Add what only a face has: relief of the skin, gloss, eyes, the open mouth."""
    person, view = setting.person, setting.view
    skin = texture(person)
    fine, wide = skin.shine.shape[0] / ROWS, skin.shine.shape[1] / COLUMNS
    column, row = (patch.column + 0.5) * wide - 0.5, (patch.row + 0.5) * fine - 0.5
    patch.shine = _look(skin.shine, column, row)
    patch.sky = _look(openness(person), patch.column, patch.row)
    patch.normal[..., :2] -= _look(skin.slope, column, row)
    across = _look(grid(ROWS, COLUMNS).across, patch.column, patch.row)
    down = np.interp(patch.row, np.arange(ROWS), row_places(ROWS)).astype(np.float32)
    beside = np.abs(across)
    near = patch.mine & (np.abs(beside - EYE[0]) < eyes.REACH[0]) & (np.abs(down) < eyes.REACH[1])
    if near.any():
        site = eyes.Site(
            across[near],
            down[near],
            0.35 + 0.5 * setting.pixel_mm,
            (float(setting.lamp[0]), float(setting.lamp[1])),
        )
        seen = eyes.draw(person, view.expression, patch.tone[near], site)
        patch.tone[near], patch.glint[near] = seen.colour, seen.glint
        patch.normal[near, :2] += 0.5 * seen.lean
        patch.shine[near] *= 1 - seen.ball
    if view.expression.mouth > 0:
        inside = patch.mine & mouth.opening(across, down)
        patch.tone[inside] = mouth.draw(view.expression.mouth, across[inside], down[inside])
        patch.shine[inside] = 0


def _received(patch: Patch, light: Light, lamp: Floats, wrap: tuple[float, float, float]) -> Floats:
    """Return the light that falls on each pixel, (h, w, 3): lamp with soft edges, and sky."""
    bleed = colour(wrap)
    lambert = np.clip(((patch.normal @ lamp)[..., None] + bleed) / (1 + bleed), 0, None)
    shown = light.key * (1 - light.shadow * (1 - patch.reach))
    sky = light.ambient * (0.76 - 0.2 * patch.normal[..., 1]) * patch.sky
    from_lamp = lambert * shown[..., None] * colour(light.key_colour)
    return np.asarray(from_lamp + sky[..., None] * colour(light.ambient_colour), np.float32)


def _sheen(layer: Layer, patch: Patch, half: Floats) -> Floats:
    """Return the gloss of strands that run down the rows.

    After J. Kajiya, T. Kay, "Rendering fur with three dimensional textures", SIGGRAPH 1989.
    """
    strand = np.empty_like(layer.points)
    strand[:-1] = layer.points[1:] - layer.points[:-1]
    strand[-1] = strand[-2]
    along = _look(unit(strand), patch.column, patch.row) @ half
    gloss = 0.25 * np.clip(1 - along * along, 0, 1) ** 24 * np.clip(patch.normal[..., 2], 0, 1)
    body = np.sqrt(np.clip(patch.tone, 0, 1)) * 0.35 + 0.05
    return np.asarray(body * gloss[..., None], np.float32)
