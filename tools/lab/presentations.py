"""Presentations to the camera: which of a data set are attacks, and how often they are misjudged.

Words of ISO/IEC 30107-3: the *bona fide* presentation is a person before the camera; APCER is the
share of attack presentations of one kind that pass for one, BPCER the share of bona fide ones that
are taken for attacks. Both count only faces that the pipeline would compare; the others are "not
acquired" and stand beside them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from device.capture.frame import Picture, Pixels
from device.capture.stills import read_still
from device.capture.video import VideoSource
from device.vision import AttackDetector, Eye, StillFace, find_faces
from device.vision.quality import faults_of_pose
from tools.lab.manifest import Item

MOST_PEOPLE = 500
"""Of one set; beyond it the interval hardly narrows and the measurement takes longer."""
EVERY_FRAMES = 10
"""Of a clip every so many-th frame is judged: neighbours show the same."""
_FRAME_WAIT_S = 30.0
_GENERATED = "S"
_SIMULATED = "sim_"


@dataclass(frozen=True, slots=True)
class Presentation:
    """One file to judge. group: kind of attack, or the set that bona fide ones come from.

    subject: what repeats itself: a person, or the file where the person is not known.
    """

    path: Path
    group: str
    subject: str
    attack: bool
    clip: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """One face that was shown to the attack detector, or one that was not acquired.

    live_score: 0 to 1; NaN where the detector had no answer; None: no face that would be compared.
    """

    group: str
    subject: str
    attack: bool
    live_score: float | None


@dataclass(frozen=True, slots=True)
class Figure:
    """One group's count. errors of total: APCER of an attack, BPCER of a bona fide group.

    subjects: how many people or clips the total is made of; where they are fewer than the total,
    its members are not independent. not_acquired: not in the total.
    """

    group: str
    attack: bool
    errors: int
    total: int
    subjects: int
    not_acquired: int

    @property
    def simulated(self) -> bool:
        """True for what software made of other pictures; no camera saw it."""
        return self.group.startswith(_SIMULATED)


def presentations(items: Iterable[Item], people: int = MOST_PEOPLE) -> list[Presentation]:
    """Return what of a data set can be judged, by group.

    Attacks are the files of role "spoof", by subset: all of them. Bona fide are probes, references
    and clips of people, one picture for each person of a set (or of a simulated condition), so that
    they are independent; generated faces are left out, for nobody was there. people: at most so
    many of one bona fide set, spread evenly over it.
    """
    groups: dict[tuple[bool, str], dict[str, Presentation]] = {}
    for shown in filter(None, map(_presentation, items)):
        # Attacks and clips all count; of a person in a bona fide set the first picture does.
        key = str(shown.path) if shown.attack or shown.clip else shown.subject
        groups.setdefault((shown.attack, shown.group), {}).setdefault(key, shown)
    found: list[Presentation] = []
    for (attack, _), members in groups.items():
        every = list(members.values())
        few = attack or len(every) <= people
        found += every if few else [every[n * len(every) // people] for n in range(people)]
    return found


def _presentation(item: Item) -> Presentation | None:
    subject = "|".join(item.identities) or str(item.path)
    if item.role == "spoof":
        return Presentation(item.path, item.subset or item.source_set, subject, attack=True)
    if item.role == "video":
        group = item.subset or item.source_set
        return Presentation(item.path, group, subject, attack=False, clip=True)
    if item.role not in {"gallery", "probe"} or item.licence_class == _GENERATED:
        return None
    simulated = item.subset.startswith(_SIMULATED)
    group = item.subset if simulated else item.source_set
    return Presentation(item.path, group, subject, attack=False)


def judge(shown: Presentation, eye: Eye, detector: AttackDetector) -> Iterator[Judged]:
    """Show one presentation to the detector: its largest face, or in a clip every face.

    Raises PictureError or CameraError when the file cannot be read.
    """
    for pixels in _frames(shown.path) if shown.clip else [read_still(shown.path)]:
        try:
            picture = Picture.of_bgr(pixels)
            faces = [face for face in find_faces(eye, pixels) if _compared(eye, picture, face)]
            if not shown.clip:
                faces = sorted(faces, key=_area)[-1:]
                if not faces:
                    yield Judged(shown.group, shown.subject, shown.attack, None)
            for face in faces:
                score = detector.live_score(picture, face.box)
                yield Judged(shown.group, shown.subject, shown.attack, score)
        finally:
            pixels.fill(0)


def figures(judged: Iterable[Judged], threshold: float) -> list[Figure]:
    """Count the errors of each group at a threshold of the live score; attacks first, by name."""
    groups: dict[tuple[bool, str], list[Judged]] = {}
    for one in judged:
        groups.setdefault((not one.attack, one.group), []).append(one)
    return [_figure(members, threshold) for _, members in sorted(groups.items())]


def attack_figures(items: Iterable[Item], eye: Eye, detector: AttackDetector) -> list[Figure]:
    """Judge a data set and return its figures at the detector's own threshold."""
    judged = [one for shown in presentations(items) for one in judge(shown, eye, detector)]
    return figures(judged, detector.threshold)


def _figure(members: list[Judged], threshold: float) -> Figure:
    scores = [one.live_score for one in members if one.live_score is not None]
    # A NaN does not pass: `not >=`, as in the appliance.
    passed = sum(score >= threshold for score in scores)
    first = members[0]
    return Figure(
        group=first.group,
        attack=first.attack,
        errors=passed if first.attack else len(scores) - passed,
        total=len(scores),
        subjects=len({one.subject for one in members if one.live_score is not None}),
        not_acquired=len(members) - len(scores),
    )


def _compared(eye: Eye, picture: Picture, face: StillFace) -> bool:
    """Tell whether the pipeline would compare a face; nothing of it is kept."""
    if faults_of_pose(face.pose, eye.limits):
        return False
    probe, _ = eye.probe(picture, face.landmarks)
    if probe is None:
        return False
    probe.wipe()
    return True


def _area(face: StillFace) -> float:
    return float(face.box[2] * face.box[3])


def _frames(path: Path) -> Iterator[Pixels]:
    source = VideoSource(path, fast=True)
    source.open()
    try:
        while (frame := source.read(_FRAME_WAIT_S)) is not None:
            try:
                if frame.number % EVERY_FRAMES == 0:
                    yield frame.main.pixels
            finally:
                frame.release()
    finally:
        source.close()
