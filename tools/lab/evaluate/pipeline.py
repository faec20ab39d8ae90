"""The device's own steps, called for pictures of a data set: nothing here judges or compares anew.

A picture becomes a reference as enrolment makes one, and probes as `passerby match` makes them. The
scores are the device's too; only the margin is applied here, to many probes at once, and a test
holds that to `device.matching.compare`.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

import device
import tools.desk
from device import __version__
from device.capture.frame import Picture
from device.capture.stills import read_still
from device.errors import ModelError, PictureError
from device.matching import Gallery
from device.protocol.alert import ModelHash
from device.protocol.watchlist import DemonstrationList, Reference
from device.protocol.wording import NO_PAD
from device.recognition import scale_of
from device.settings import (
    CameraSettings,
    DeviceSettings,
    ModelSettings,
    Settings,
    WatchlistSettings,
)
from device.vision import Catalogue, Eye, StillFace, find_faces
from device.vision.catalogue import ModelEntry
from device.vision.quality import faults_of_pose
from tools.desk.conflicts import conflicts
from tools.desk.enrolment import Report, template_of
from tools.desk.gate import LIMITS, prominence
from tools.lab.collection import Collection, models_of
from tools.lab.crops import Crops, Edges, device_scores
from tools.lab.evaluate.looks import Enrolment, Face, Look

_SEEING = ("capture", "vision", "matching")


@dataclass(frozen=True, slots=True)
class Hits:
    """The best reference of each probe: (n,) arrays.

    best: its place in the list. scores: its score, float64; -inf where the device would return no
    candidate at any threshold, since another reference comes nearer than the margin.
    """

    best: npt.NDArray[np.intp]
    scores: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Models that somebody named; empty: the collection's usual one, and no attack detector."""

    detector: str = ""
    embedder: str = ""
    attack_detector: str = ""


class Pipeline:
    """The models and settings of a device, opened once."""

    def __init__(self, eye: Eye, settings: Settings) -> None:
        self._eye = eye
        self._strict = replace(eye, limits=LIMITS)
        self.settings = settings
        self.collection: Collection = eye.embedder_entry.collection
        self.dimension = eye.embedder.dimension

    @classmethod
    def open(cls, catalogue: Catalogue, collection: Collection, chosen: Chosen) -> "Pipeline":
        """Open a collection's models with the device's default settings. Raises ModelError.

        chosen: models to take instead of the collection's usual ones.
        """
        if chosen.detector:
            _refuse_foreign(catalogue.entry(chosen.detector, "detector"), collection)
        if chosen.embedder:
            _refuse_foreign(catalogue.entry(chosen.embedder, "embedder"), collection)
        usual = models_of(catalogue, collection)
        detector = chosen.detector or usual.detector
        embedder = chosen.embedder or usual.embedder
        models = ModelSettings(
            detector=detector,
            embedder=embedder,
            attack_detector=chosen.attack_detector,
            edge_tpu="off",
        )
        settings = Settings(
            device=DeviceSettings("lab", "lab"),
            camera=CameraSettings("stills"),
            watchlist=WatchlistSettings(""),
            models=models,
        )
        return cls(Eye.open(catalogue, models, settings.vision), settings)

    @property
    def models(self) -> list[ModelHash]:
        """Return the models that take part."""
        entries = [self._eye.detector_entry, self._eye.embedder_entry]
        if self._eye.attack is not None:
            entries.append(self._eye.attack.entry)
        return [ModelHash(entry.role, entry.name, entry.sha256) for entry in entries]

    @property
    def attack_detection(self) -> str:
        """Return the attack detector's name and threshold, or "no PAD"."""
        return NO_PAD if self._eye.attack is None else self._eye.attack.threshold_id

    @property
    def deciding_settings(self) -> dict[str, float]:
        """Return the settings that decide what is compared and when a candidate is returned."""
        vision, matching = self.settings.vision, self.settings.matching
        return {
            "vision.detection_threshold": vision.detection_threshold,
            "vision.interocular_px": vision.interocular_px,
            "vision.yaw": vision.yaw,
            "vision.roll_degrees": vision.roll_degrees,
            "vision.sharpness": vision.sharpness,
            "matching.margin": matching.margin,
            "second_crop_from": self._edges.crop,
            **({"second_look_from": self._edges.look} if self._looks_later else {}),
        }

    @property
    def _edges(self) -> Edges:
        scale = scale_of(self._eye.embedder_entry)
        return Edges(scale.look_from, scale.second_crop_from)

    @property
    def _looks_later(self) -> bool:
        return math.isfinite(self._edges.look)

    @property
    def runtime(self) -> str:
        """Return what runs the models."""
        return str(self._eye.runtime)

    @property
    def fingerprint(self) -> str:
        """Return a hash of all that decides a template: models, settings, code."""
        parts = [
            *(model.sha256 for model in self.models),
            msgspec.json.encode(self.settings.vision).decode(),
            repr(LIMITS),
            "looks later" if self._looks_later else "looks first",
            code_sha256(),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def look(self, path: Path) -> Look:
        """Find the faces of a picture and make probes of them, as `passerby match` does."""
        try:
            pixels = read_still(path)
        except PictureError:
            return Look([], "the picture cannot be read")
        try:
            picture = Picture.of_bgr(pixels)
            faces = find_faces(self._eye, pixels)
            faces.sort(key=lambda face: -prominence(face, picture.width, picture.height))
            return Look([self._face(picture, face) for face in faces])
        finally:
            pixels.fill(0)

    def _face(self, picture: Picture, face: StillFace) -> Face:
        faults = faults_of_pose(face.pose, self._eye.limits)
        template = exact = closer = b""
        if not faults:
            probe, faults = self._eye.probe(picture, face.landmarks)
            if probe is not None:
                try:
                    template = probe.template.astype("<f4").tobytes()
                    probe.look_again()
                    exact = probe.template.astype("<f4").tobytes()
                    probe.look_closer()
                    closer = probe.template.astype("<f4").tobytes()
                finally:
                    probe.wipe()
        attack = self._eye.attack
        x, y, width, height = (float(value) for value in face.box)
        return Face(
            (x, y, width, height),
            face.score,
            template,
            exact,
            closer,
            _kinds(faults),
            None if attack is None else attack.is_attack(picture, face.box),
        )

    def enrol(self, path: Path) -> Enrolment:
        """Make a reference of a picture, as `passerby-desk enrol` does."""
        report = Report()
        template = template_of(self._strict, path, path.parent, report)
        if template is not None:
            return Enrolment(template)
        ((_, reason),) = report.rejected
        return Enrolment(b"", _kinds(reason.split("; ")))

    def gallery(self, references: Sequence[Sequence[bytes]]) -> Gallery:
        """Return a watchlist in memory; its references are named by their places."""
        entry = self._eye.embedder_entry
        listed = DemonstrationList(
            list_id="",
            version=1,
            created_at="",
            embedder=entry.name,
            embedder_sha256=entry.sha256,
            dimension=self.dimension,
            references=[Reference(str(k), list(each)) for k, each in enumerate(references)],
        )
        return Gallery(listed, entry.sha256, self.dimension)

    def search(self, gallery: Gallery, probes: Crops) -> Hits:
        """Return what each probe's search would return: the best reference, if it leads enough."""
        scores = device_scores(gallery, probes, self._edges)
        best = scores.argmax(axis=1)
        first = scores[np.arange(len(scores)), best].astype(np.float64)
        if scores.shape[1] > 1:
            second = np.partition(scores, -2, axis=1)[:, -2].astype(np.float64)
            first = np.where(first - second >= self.settings.matching.margin, first, -np.inf)
        return Hits(best, first)

    def conflicting(self, references: Mapping[str, Sequence[bytes]]) -> set[str]:
        """Return the names of the references that enrolment refuses because of each other."""
        edges = scale_of(self._eye.embedder_entry)
        listed = [Reference(name, list(templates)) for name, templates in references.items()]
        return set(conflicts(listed, edges.same, edges.twin))


def _refuse_foreign(entry: ModelEntry, collection: Collection) -> None:
    if entry.collection != collection:
        raise ModelError(
            f"{entry.name} is {entry.collection}, not {collection}: say --models "
            f"{entry.collection}, or name another."
        )


def _kinds(faults: Iterable[str]) -> str:
    """Return faults without their figures: "too small: 9 pixels…" is "too small"."""
    return " and ".join(fault.partition(":")[0].lstrip("0123456789 ") for fault in faults)


def code_sha256() -> str:
    """Return a hash of the code that sees and compares, so that a changed line shows."""
    digest = hashlib.sha256(__version__.encode())
    home, desk = Path(device.__file__).parent, Path(tools.desk.__file__ or "").parent
    files = [path for room in _SEEING for path in sorted((home / room).glob("*.py"))]
    for path in [
        *files,
        home / "search.py",
        home / "recognition.py",
        desk / "enrolment.py",
        desk / "gate.py",
    ]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
