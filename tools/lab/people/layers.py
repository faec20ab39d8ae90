"""The surfaces that make up a person in one view, turned to the camera's axes."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from device.opencv import cv2
from tools.lab.people.body import ears, torso
from tools.lab.people.fields import Floats, shrink
from tools.lab.people.hair import has_shell, locks
from tools.lab.people.limbs import limbs
from tools.lab.people.person import Person
from tools.lab.people.shape import COLUMNS, ROWS, neutral, normals, posed
from tools.lab.people.skin import texture
from tools.lab.people.view import Pose, View

Kind = Literal["skin", "ear", "hair", "cloth"]

PIVOT: Final = np.array([0, 70, -95], np.float32)
"""Where the neck turns the head, on the head's axes."""
_BODY_SHARE = 0.3
"""How much of the head's turn the shoulders share."""
_EVERYTHING = -2.0
_THIN = ("receding", "ring")


@dataclass(frozen=True)
class Layer:
    """One surface.

    points, normal: (rows, columns, 3). tone: linear reflectance, any multiple of rows and columns.
    cover: drawn where above 0.5; None: everywhere. cut: what turns further away from the camera
    than this cosine is not drawn; below -1 both sides are.
    """

    kind: Kind
    points: Floats
    normal: Floats
    tone: Floats
    cover: Floats | None = None
    cut: float = -0.03

    @property
    def two_sided(self) -> bool:
        """Whether its back is seen too."""
        return self.cut < -1

    def facing(self, reach: float) -> Floats:
        """Return the cosine between normals and the way to the camera, `reach` before the pivot."""
        away = reach - self.points[..., 2]
        sight = self.normal * self.points
        dot = self.normal[..., 2] * away - sight[..., 0] - sight[..., 1]
        return np.asarray(dot / np.maximum(away, 1), np.float32)


def rotation(pose: Pose, share: float = 1.0) -> Floats:
    """Return the (3, 3) matrix that turns the head's axes to the camera's."""
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll]) * share
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(tilt @ nod @ turn, np.float32)


def layers(person: Person, view: View) -> list[Layer]:
    """Return all surfaces about the pivot; the head comes first."""
    turn, shoulders = rotation(view.pose), rotation(view.pose, _BODY_SHARE)
    head = posed(person, view.expression)
    normal = _calm(person) if head is neutral(person) else normals(head)
    points = (head - PIVOT) @ turn.T
    made = [Layer("skin", points, normal @ turn.T, texture(person).colour, _bare(person))]
    parts = list(_still(person))
    if view.stride is not None:
        parts += [_layer("cloth", limb.points, limb.tone) for limb in limbs(person, view.stride)]
    for part in parts:
        move = (shoulders if part.kind == "cloth" else turn).T
        made.append(replace(part, points=part.points @ move, normal=part.normal @ move))
    return made


@lru_cache(maxsize=8)
def _calm(person: Person) -> Floats:
    return normals(neutral(person))


@lru_cache(maxsize=8)
def _still(person: Person) -> tuple[Layer, ...]:
    """Return what no expression moves, on the head's axes about the pivot."""
    made = [_layer("ear", e.points, e.tone, e.cover, _EVERYTHING) for e in ears(person)]
    made += [_layer("hair", k.points, k.tone, k.cover, k.cut) for k in locks(person)]
    body = torso(person)
    return (*made, _layer("cloth", body.points, body.tone))


def _layer(
    kind: Kind, points: Floats, tone: Floats, cover: Floats | None = None, cut: float = -0.03
) -> Layer:
    return Layer(kind, points - PIVOT, normals(points), tone, cover, cut)


@lru_cache(maxsize=8)
def _bare(person: Person) -> Floats | None:
    """Return 1 where skin can show, 0 deep under hair, (ROWS, COLUMNS); None: all of it can."""
    if not has_shell(person) or person.hair.style in _THIN:
        return None
    hidden = cv2.erode(shrink(locks(person)[0].cover, (ROWS, COLUMNS)), np.ones((7, 7), np.uint8))
    return np.asarray(1 - hidden, np.float32)
