"""`Eye`: the models that see, opened once, and the steps from a landmark to a probe."""

from dataclasses import dataclass, replace

import numpy as np

from device.capture.frame import Picture
from device.protocol.wording import NO_PAD
from device.settings import ModelSettings, VisionSettings
from device.vision.attack import AttackDetector
from device.vision.catalogue import Catalogue, ModelEntry
from device.vision.detector import Detector
from device.vision.embedder import Embedder
from device.vision.inference import Floats, RuntimeInfo
from device.vision.quality import QualityLimits, appearance_of, faults_of_appearance
from device.vision.sample import Aligner, Probe


@dataclass(frozen=True, slots=True)
class Eye:
    """Detector, aligner and embedder with their limits. One thread owns it.

    attack: the attack detector, or None: then there is no presentation-attack detection.
    """

    detector: Detector
    aligner: Aligner
    embedder: Embedder
    limits: QualityLimits
    detector_entry: ModelEntry
    embedder_entry: ModelEntry
    runtime: RuntimeInfo
    attack: AttackDetector | None = None

    @classmethod
    def open(cls, catalogue: Catalogue, models: ModelSettings, vision: VisionSettings) -> "Eye":
        """Open the models that the settings name. Raises ModelError."""
        edge_tpu = models.edge_tpu == "auto"
        detector_entry = catalogue.entry(models.detector, "detector")
        embedder_entry = catalogue.entry(models.embedder, "embedder")
        detector = catalogue.open(detector_entry, models.threads, edge_tpu=edge_tpu)
        network = catalogue.open(embedder_entry, models.threads, edge_tpu=edge_tpu)
        embedder = Embedder(network)
        attack = AttackDetector.configured(catalogue, models, vision)
        runtimes = {"detector": detector.runtime, "embedder": network.runtime}
        if attack is not None:
            runtimes["attack detector"] = attack.runtime
        return cls(
            detector=Detector(detector, vision.detection_threshold),
            aligner=Aligner(embedder.side),
            embedder=embedder,
            limits=limits_from(vision),
            detector_entry=detector_entry,
            embedder_entry=embedder_entry,
            runtime=_joint(runtimes),
            attack=attack,
        )

    @property
    def entries(self) -> list[ModelEntry]:
        """The models that take part, for alerts and the status."""
        entries = [self.detector_entry, self.embedder_entry]
        return entries if self.attack is None else [*entries, self.attack.entry]

    @property
    def attack_detection(self) -> str:
        """What alerts and the status say of attack detection: "no PAD", or its threshold's id."""
        return NO_PAD if self.attack is None else self.attack.threshold_id

    def reference(self, main: Picture, landmarks: Floats) -> tuple[Probe | None, list[str]]:
        """Like `probe`, for enrolment: the mean of the face and its mirror image.

        A mirrored mean costs the device nothing and forgives a photograph that is turned aside.
        """
        probe, faults = self.probe(main, landmarks)
        if probe is None:
            return None, faults
        try:
            sample = self.aligner.align(main, landmarks)
            try:
                sample.pixels[:] = sample.pixels[:, ::-1].copy()
                mirrored = self.embedder.embed(sample)
            finally:
                sample.wipe()
            mean = probe.template + mirrored.template
            mirrored.wipe()
        finally:
            probe.wipe()
        return Probe(mean / np.linalg.norm(mean)), []

    @property
    def wiped(self) -> bool:
        """True when no pixel of a frame and no face is left in the buffers."""
        wiped = self.aligner.wiped and self.detector.wiped
        return wiped and (self.attack is None or self.attack.wiped)

    def probe(self, main: Picture, landmarks: Floats) -> tuple[Probe | None, list[str]]:
        """Cut out, judge and embed one face; the crop is wiped before this returns.

        landmarks: (5, 2) float32 in pixels of `main`. Returns the probe, or None and why not.
        """
        try:
            sample = self.aligner.align(main, landmarks)
            try:
                faults = faults_of_appearance(appearance_of(sample.pixels), self.limits)
                if faults:
                    return None, faults
                return self.embedder.embed(sample), []
            finally:
                sample.wipe()
        except ValueError as error:
            return None, [str(error)]


def _joint(runtimes: dict[str, RuntimeInfo]) -> RuntimeInfo:
    """Return one description of all, so that a fallback of any is seen."""
    first, *others = runtimes.values()
    if all(other == first for other in others):
        return first
    delegates = ", ".join(f"{runtime.delegate} ({name})" for name, runtime in runtimes.items())
    notes = "; ".join(dict.fromkeys(runtime.note for runtime in runtimes.values() if runtime.note))
    return replace(first, delegate=delegates, note=notes)


def limits_from(vision: VisionSettings) -> QualityLimits:
    """Return the limits that the configuration sets."""
    return QualityLimits(
        interocular_px=vision.interocular_px,
        yaw=vision.yaw,
        roll_degrees=vision.roll_degrees,
        sharpness=vision.sharpness,
    )
