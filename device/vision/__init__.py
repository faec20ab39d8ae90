"""Vision: the only room that sees faces.

In: `Frame`s. Out: `Sighting`s, handed to a comparison while their frame lives. Never: keeps pixels
or a template past its frame, writes a file, infers age, sex, emotion or anything but where a face
is, how good its picture is (R50) and, as an option, whether it is a picture of a picture. Answers
for R13, R14, R33 and R34.
"""

from device.vision.attack import AttackDetector
from device.vision.catalogue import Catalogue, ModelEntry, default_directory
from device.vision.choice import Surroundings
from device.vision.eye import Eye
from device.vision.observer import Observation, Observer
from device.vision.sample import Probe
from device.vision.sighting import Compare, Sighting
from device.vision.stills import StillFace, find_faces

__all__ = [
    "AttackDetector",
    "Catalogue",
    "Compare",
    "Eye",
    "ModelEntry",
    "Observation",
    "Observer",
    "Probe",
    "Sighting",
    "StillFace",
    "Surroundings",
    "default_directory",
    "find_faces",
]
