"""What `passerby-lab steps` compares: one picture's template by each way of making it."""

from dataclasses import dataclass, replace

import numpy as np

from device.capture.frame import Picture, Pixels
from device.capture.stills import read_still
from device.vision import Eye, StillFace, find_faces
from device.vision.inference import Floats
from device.vision.quality import (
    appearance_of,
    faults_of_appearance,
    faults_of_pose,
    shot_score,
)
from device.vision.sample import Aligner, Sample
from device.vision.shadows import raised
from tools.desk.gate import prominence
from tools.lab.manifest import Item


@dataclass(frozen=True, slots=True)
class Templates:
    """One picture's subject as the embedder sees it; each (dimension,) float32.

    plain: ArcFace's alignment, the detector's first landmarks. aligned: the embedder's alignment.
    looked: that after a second look. raised: that with its shadows raised. mirrored: the same,
    mirrored. first: what the device compares first: raised, or that of the first landmarks where it
    looks again only near a reference. closer: the mean over raised and a second crop, both of unit
    length. reference: what enrolment makes, with the embedder's length; zeros where it is not asked
    for or refuses.
    acquired: passed the gate of a passing face; lit: also without raising any shadow. What was not
    acquired is missed. quality: 0 to 1.
    """

    plain: Floats
    aligned: Floats
    looked: Floats
    raised: Floats
    mirrored: Floats
    first: Floats
    closer: Floats
    reference: Floats
    acquired: bool
    lit: bool
    quality: float = 0.0


class TemplateMaker:
    """Makes all templates of a picture with one device's models."""

    def __init__(self, eye: Eye) -> None:
        self._eye = eye
        self._plain = Aligner(eye.embedder.side)
        self._zeros = np.zeros(eye.embedder.dimension, np.float32)

    def make(self, item: Item, *, enrol: bool) -> Templates:
        """Return the templates of a picture's most prominent face, zeros where there is none."""
        pixels = read_still(item.path)
        try:
            return self._of(pixels, enrol=enrol)
        finally:
            pixels.fill(0)

    def _of(self, pixels: Pixels, *, enrol: bool) -> Templates:
        picture, zeros = Picture.of_bgr(pixels), self._zeros
        faces = find_faces(self._eye, pixels)
        if not faces:
            return Templates(*(zeros,) * 8, acquired=False, lit=False)
        face = max(faces, key=lambda face: prominence(face, picture.width, picture.height))
        first = face.landmarks
        exact = first if self._eye.second_look is None else self._eye.second_look(picture, first)
        # The second look was taken already.
        eye = replace(self._eye, second_look=None)
        reference, _ = eye.reference(picture, exact) if enrol else (None, [])
        crops, faults = self._probed(picture, first)
        well_posed = not faults_of_pose(face.pose, self._eye.limits)
        return Templates(
            plain=self._features(self._plain.align(picture, first)),
            aligned=self._features(self._eye.aligner.align(picture, first)),
            looked=self._features(self._eye.aligner.align(picture, exact)),
            raised=crops[1],
            mirrored=self._features(_mirrored(self._eye.aligner.align(picture, exact))),
            first=crops[0],
            closer=crops[2],
            reference=zeros if reference is None else reference.template,
            acquired=not faults and well_posed,
            lit=well_posed and self._lit(picture, face, exact),
            quality=shot_score(face.pose, face.score),
        )

    def _probed(self, picture: Picture, landmarks: Floats) -> tuple[list[Floats], list[str]]:
        """Return the device's templates of one face: first, exact and closer; and its faults."""
        probe, faults = self._eye.probe(picture, landmarks)
        if probe is None:
            return [self._zeros] * 3, faults
        first = probe.template.copy()
        probe.look_again()
        exact = probe.template.copy()
        probe.look_closer()
        return [first, exact, probe.template], []

    def _features(self, sample: Sample) -> Floats:
        try:
            return self._eye.embedder.features(sample)
        finally:
            sample.wipe()

    def _lit(self, picture: Picture, face: StillFace, landmarks: Floats) -> bool:
        """Return whether the face would be found and pass the gate as it is."""
        sample = self._eye.aligner.align(picture, landmarks)
        faults = faults_of_appearance(appearance_of(sample.pixels), self._eye.limits)
        sample.wipe()
        return not faults and not face.dark


def _mirrored(sample: Sample) -> Sample:
    raised(sample.pixels)
    sample.pixels[:] = sample.pixels[:, ::-1].copy()
    return sample
