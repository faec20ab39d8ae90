"""The quality gate of enrolment: which photograph may become a reference, and why not.

Stricter than for a passing face where it can be: a poor reference matches everyone
(ISO/IEC 29794-5 in spirit: what failed, and by how much). Pure rules over measured figures.
"""

import math
from dataclasses import dataclass

from device.vision import StillFace
from device.vision.quality import QualityLimits

LIMITS = QualityLimits(
    interocular_px=20,
    yaw=0.40,
    roll_degrees=35,
    sharpness=0.05,
    pitch=0.35,
    brightness=(25, 235),
    contrast=12,
)
"""What a reference photograph must reach; units as in `device.vision.quality`."""

RECOMMENDED_INTEROCULAR_PX = 60
"""ISO/IEC 19794-5 asks for 90 pixels between the eyes of a booking photograph, 60 at the least."""
_RECOMMENDED_YAW = 0.15
_RIVAL = 0.7
_CERTAIN = 0.85
"""Lowest detector score of a reference photograph; animals reach it too, but fewer of them."""
_BYSTANDER = 0.1


@dataclass(frozen=True, slots=True)
class Choice:
    """The subject among the faces of a photograph, or why there is none; remarks do not reject."""

    face: StillFace | None
    faults: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def choose_subject(faces: list[StillFace], width: int, height: int) -> Choice:
    """Choose the face that the photograph is of: large and central.

    width, height: of the photograph in pixels. A second face that is nearly as prominent rejects
    the photograph: enrolling the wrong person would stop an innocent one.
    """
    if not faces:
        return Choice(None, ("no face was found",))
    ranked = sorted(faces, key=lambda face: -prominence(face, width, height))
    subject = ranked[0]
    if subject.score < _CERTAIN:
        fault = f"not surely a face: detector score {subject.score:.2f}, at least {_CERTAIN:.2f}"
        return Choice(None, (fault,))
    if len(ranked) == 1:
        return Choice(subject)
    rivalry = prominence(ranked[1], width, height) / prominence(subject, width, height)
    if rivalry >= _RIVAL:
        fault = f"{len(faces)} faces, and it is not clear whose photograph it is: crop it"
        return Choice(None, (fault,))
    if rivalry >= _BYSTANDER:
        return Choice(subject, remarks=("another face is in the picture; the main one was taken",))
    return Choice(subject)


def prominence(face: StillFace, width: int, height: int) -> float:
    """Return area times centrality, in square pixels."""
    x, y, w, h = (float(value) for value in face.box)
    off_centre = math.hypot((x + w / 2) / width - 0.5, (y + h / 2) / height - 0.5)
    centrality = max(0.05, 1 - 2 * off_centre)
    return w * h * centrality


def remarks_on(face: StillFace) -> list[str]:
    """Return what a better photograph would have; none of it rejects."""
    remarks = []
    if face.pose.interocular_px < RECOMMENDED_INTEROCULAR_PX:
        remarks.append(
            f"{face.pose.interocular_px:.0f} pixels between the eyes, "
            f"{RECOMMENDED_INTEROCULAR_PX} are recommended"
        )
    if abs(face.pose.yaw) > _RECOMMENDED_YAW:
        remarks.append(
            f"turned aside: yaw {abs(face.pose.yaw):.2f}, {_RECOMMENDED_YAW:.2f} is recommended"
        )
    return remarks
