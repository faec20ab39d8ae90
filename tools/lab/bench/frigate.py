"""A pipeline like Frigate's face recognition, restated from its public documentation.

Restated (docs.frigate.video, "Face Recognition", "Motion Detection"; defaults as documented):
motion in a grey picture 100 rows high, five times a second; in what moves, OpenCV's face detector
at the crop's own size; faces of 0.7 and of 750 pixels at least; alignment, embedding, cosine; per
tracked person a score over all attempts, weighted by the face's area, 12 attempts at most and 6
once there is a name. The detector's model, the alignment and the embedder are those of the other
contestants. The name's threshold, which ends the attempts, is the embedder's own.

Left out, all in its favour: the person detector (what moves counts as persons, and every face in it
as a person's; the real one runs a network first, and searches each person's crop anew), the
conversion of every searched frame to colour, decoding of the camera's stream, recording, snapshots
and the saved face crops, the processes and queues between these, and the blur filter, which only
lowers scores.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from device.capture.frame import Pixels
from device.errors import WatchlistError
from device.opencv import cv2
from device.vision import Catalogue, default_directory
from device.vision.detector import LANDMARKS, iou
from device.vision.inference import Floats
from tools.lab.bench.contestant import FrameResult, Score, Setup, View
from tools.lab.bench.loop import WithOpenCv
from tools.lab.collection import Collection, models_of

_LOOKS_S: Final = 1 / 5
_ROWS: Final = 100
_MOVED: Final = 30
_LEAST_CONTOUR: Final = 10
_LEARNING: Final = 0.01
_MARGIN: Final = 0.15
"""How much larger than what moved a person is taken to be, on every side."""
_DETECTION: Final = 0.7
_LEAST_AREA: Final = 750
_ATTEMPTS: Final = 12
_ATTEMPTS_NAMED: Final = 6
_SAME_PERSON: Final = 0.1
_LOST_AFTER_S: Final = 1.5

Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels."""


class Motion:
    """Boxes of what differs from a slow mean of a small grey picture."""

    def __init__(self) -> None:
        self._mean: Floats | None = None

    def boxes(self, luma: Pixels) -> list[Box]:
        """Return what moves, in pixels of `luma` (h, w); what overlaps is one box."""
        factor = luma.shape[0] / _ROWS
        size = (round(luma.shape[1] / factor), _ROWS)
        small = cv2.GaussianBlur(cv2.resize(luma, size, interpolation=cv2.INTER_NEAREST), (3, 3), 1)
        if self._mean is None:
            self._mean = np.asarray(small, np.float32)
        apart = cv2.absdiff(small, cv2.convertScaleAbs(self._mean))
        _, moved = cv2.threshold(apart, _MOVED, 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(
            cv2.dilate(moved, np.ones((3, 3), np.uint8)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        cv2.accumulateWeighted(small, self._mean, _LEARNING)
        found = [cv2.boundingRect(c) for c in contours if cv2.contourArea(c) > _LEAST_CONTOUR]
        grown = [_grown((x, y, x + w, y + h), factor, luma.shape) for x, y, w, h in found]
        return joined(grown)


def _grown(box: tuple[int, int, int, int], factor: float, shape: tuple[int, ...]) -> Box:
    left, top, right, bottom = (value * factor for value in box)
    aside, above = _MARGIN * (right - left), _MARGIN * (bottom - top)
    return (
        max(0, int(left - aside)),
        max(0, int(top - above)),
        min(shape[1], int(right + aside) + 1),
        min(shape[0], int(bottom + above) + 1),
    )


def joined(boxes: list[Box]) -> list[Box]:
    """Return boxes of which none overlaps another, each round those that did."""
    apart: list[Box] = []
    for new in boxes:
        box = new
        while True:
            touching = [other for other in apart if _overlap(box, other)]
            if not touching:
                break
            apart = [other for other in apart if other not in touching]
            both = np.array([box, *touching])
            left, top = both[:, :2].min(axis=0).tolist()
            right, bottom = both[:, 2:].max(axis=0).tolist()
            box = (left, top, right, bottom)
        apart.append(box)
    return apart


def _overlap(one: Box, other: Box) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


@dataclass
class Person:
    """One tracked person.

    box: of the face, x, y, width, height. attempts: reference, score and area of each.
    """

    box: Floats
    seen_s: float
    attempts: list[tuple[str, float, float]] = field(default_factory=list)
    named: bool = False

    @property
    def settled(self) -> bool:
        """True when no further attempt is made."""
        most = _ATTEMPTS_NAMED if self.named else _ATTEMPTS
        return len(self.attempts) >= most

    def decision(self) -> Score:
        """Return the name that weighs most and its score, the mean weighted by area."""
        weights: dict[str, float] = defaultdict(float)
        areas: dict[str, float] = defaultdict(float)
        for name, score, area in self.attempts:
            weights[name] += score * area
            areas[name] += area
        name = max(weights, key=lambda each: weights[each])
        return name, weights[name] / areas[name]


class FrigateLike(WithOpenCv):
    """A contestant."""

    def __init__(self, setup: Setup, collection: Collection) -> None:
        super().__init__(setup, collection, _DETECTION)
        same = "the same embedder" if collection == "operational" else "the built-in embedder"
        self.name = f"Frigate-like stages + {same}"
        self.wants = frozenset({"main_bgr"})
        self._threshold = threshold_of(collection)
        self.begin()

    def begin(self) -> None:
        """See `Contestant`."""
        self._motion = Motion()
        self._people: list[Person] = []
        self._next_s = float("-inf")

    def frame(self, view: View, seconds: float) -> FrameResult:
        """See `Contestant`."""
        if self._list is None or view.main_bgr is None:
            raise WatchlistError("Nobody was enrolled, or a picture is missing.")
        # A thousandth early: frames lie on a grid, and must not miss it by a rounding.
        if seconds < self._next_s - 1e-3:
            return FrameResult(0, 0)
        self._next_s = seconds + _LOOKS_S
        self._people = [p for p in self._people if seconds - p.seen_s < _LOST_AFTER_S]
        height = view.main_bgr.shape[0]
        faces = [
            face
            for box in self._motion.boxes(view.main_i420[:height])
            for face in self._faces(view.main_bgr, box)
        ]
        begun, best = 0, []
        for face in faces:
            person = self._person(face, seconds)
            begun += not person.attempts
            if not person.settled:
                best += self._attempt(view.main_bgr, face, person)
        return FrameResult(len(faces), len(best), best, tracks=begun)

    def _faces(self, bgr: Pixels, box: Box) -> list[Floats]:
        left, top, right, bottom = box
        rows = self._detector.detect(np.ascontiguousarray(bgr[top:bottom, left:right]))
        rows[:, [0, *range(4, 14, 2)]] += left
        rows[:, [1, *range(5, 14, 2)]] += top
        return [row for row in rows if row[2] * row[3] >= _LEAST_AREA]

    def _person(self, face: Floats, seconds: float) -> Person:
        """Return whose face it is; somebody new where nobody's lay there."""
        for person in self._people:
            if float(iou(person.box, face[np.newaxis])[0]) >= _SAME_PERSON:
                person.box, person.seen_s = face[:4].copy(), seconds
                return person
        person = Person(face[:4].copy(), seconds)
        self._people.append(person)
        return person

    def _attempt(self, bgr: Pixels, face: Floats, person: Person) -> list[Score]:
        template = self._embedder.template(bgr, face[LANDMARKS].reshape(5, 2))
        if template is None or self._list is None:
            return []
        person.attempts.append((*self._list.best(template), float(face[2] * face[3])))
        decision = person.decision()
        person.named = decision[1] >= self._threshold
        return [decision]


def threshold_of(collection: Collection) -> float:
    """Return the default threshold of a collection's embedder; 1 when it names none."""
    catalogue = Catalogue.read(default_directory())
    entry = catalogue.entry(models_of(catalogue, collection).embedder, "embedder")
    return 1.0 if entry.scores is None else entry.scores.threshold


def operational(setup: Setup) -> FrigateLike:
    """Return it with the embedder of Passerby's default."""
    return FrigateLike(setup, "operational")


def built_in(setup: Setup) -> FrigateLike:
    """Return it with the embedder that learnt from rendered people."""
    return FrigateLike(setup, "built-in")
