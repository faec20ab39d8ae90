"""What the device's steps made of pictures: faces, references, and the rows that are searched."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from device.vision.inference import Floats
from tools.lab.crops import Crops


class Face(Struct, frozen=True):
    """One face of a picture. box: x, y, width, height in pixels. score: the detector's.

    template: float32 of unit length, or empty where the face may not be compared; then `fault` says
    why, in the words of the quality gate. exact: that at exacter landmarks, closer: the mean of
    that and a second crop, likewise. attack: judged a presentation attack; None: not judged.
    """

    box: tuple[float, float, float, float]
    score: float
    template: bytes
    exact: bytes
    closer: bytes
    fault: str
    attack: bool | None


class Look(Struct, frozen=True):
    """What a picture held, the most prominent face first. fault: why it could not be read."""

    faces: list[Face]
    fault: str = ""


class Enrolment(Struct, frozen=True):
    """A reference's template, or empty and why enrolment refused the picture."""

    template: bytes
    fault: str = ""


def crops_of(faces: Sequence[Face | None], dimension: int) -> Crops:
    """Return faces as probes; one that is missing or may not be compared is nought."""
    blank = np.zeros(dimension, "<f4").tobytes()
    ways = ("template", "exact", "closer")
    rows = [[(getattr(face, way) if face else b"") or blank for face in faces] for way in ways]
    return Crops(*(matrix_of(each, dimension) for each in rows))


def matrix_of(templates: Sequence[bytes], dimension: int) -> Floats:
    """Return templates as rows, (n, dimension) float32."""
    return np.frombuffer(b"".join(templates), "<f4").reshape(len(templates), dimension)
