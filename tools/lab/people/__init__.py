"""People who do not exist, rendered: for tests, for the demonstration and for training.

In goes a seed; out come pictures with their truth (box, landmarks, identity). A `Person` is all
that stays the same from one picture to the next, a `View` all that changes. Nothing here was
measured from, copied from or fitted to any real face: heads are sums of smooth hand-written
displacements, skin and hair are painted noise.
"""

import argparse

from tools.lab.people.person import Person
from tools.lab.people.rendered import Rendered, render
from tools.lab.people.scene import Face, Scene, scene
from tools.lab.people.view import Camera, Expression, Light, Pose, View
from tools.lab.people.walk import Street, walk_past

__all__ = [
    "Camera",
    "Expression",
    "Face",
    "Light",
    "Person",
    "Pose",
    "Rendered",
    "Scene",
    "Street",
    "View",
    "render",
    "scene",
    "walk_past",
]


def run(options: argparse.Namespace) -> int:
    """Run `passerby-lab people`."""
    # Loaded late: it opens models, which rendering does not need.
    from tools.lab.people.sheet import run as draw_and_measure  # noqa: PLC0415

    return draw_and_measure(options)
