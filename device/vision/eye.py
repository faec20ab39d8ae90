"""`Eye`: the models that see, opened once, and the steps from a landmark to a probe."""

from dataclasses import dataclass, replace

import numpy as np

from device.capture.frame import Picture
from device.settings import ModelSettings, VisionSettings
from device.vision.catalogue import Catalogue, ModelEntry
from device.vision.detector import Detector
from device.vision.embedder import Embedder
from device.vision.inference import Floats, RuntimeInfo
from device.vision.quality import QualityLimits, appearance_of, faults_of_appearance
from device.vision.sample import Aligner, Probe


@dataclass(frozen=True, slots=True)
class Eye:
    """Detector, aligner and embedder with their limits. One thread owns it."""

    detector: Detector
    aligner: Aligner
    embedder: Embedder
    limits: QualityLimits
    detector_entry: ModelEntry
    embedder_entry: ModelEntry
    runtime: RuntimeInfo

    @classmethod
    def open(cls, catalogue: Catalogue, models: ModelSettings, vision: VisionSettings) -> "Eye":
        """Open the models that the settings name. Raises ModelError."""
        edge_tpu = models.edge_tpu == "auto"
        detector_entry = catalogue.entry(models.detector, "detector")
        embedder_entry = catalogue.entry(models.embedder, "embedder")
        detector = catalogue.open(detector_entry, models.threads, edge_tpu=edge_tpu)
        network = catalogue.open(embedder_entry, models.threads, edge_tpu=edge_tpu)
        embedder = Embedder(network)
        return cls(
            detector=Detector(detector, vision.detection_threshold),
            aligner=Aligner(embedder.side),
            embedder=embedder,
            limits=limits_from(vision),
            detector_entry=detector_entry,
            embedder_entry=embedder_entry,
            runtime=_joint(detector.runtime, network.runtime),
        )

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
        return self.aligner.wiped and self.detector.wiped

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


def _joint(detector: RuntimeInfo, embedder: RuntimeInfo) -> RuntimeInfo:
    """Return one description of both, so that a fallback of either is seen."""
    if detector == embedder:
        return embedder
    delegates = f"{detector.delegate} (detector), {embedder.delegate} (embedder)"
    notes = "; ".join(dict.fromkeys(filter(None, (detector.note, embedder.note))))
    return replace(embedder, delegate=delegates, note=notes)


def limits_from(vision: VisionSettings) -> QualityLimits:
    """Return the limits that the configuration sets."""
    return QualityLimits(
        interocular_px=vision.interocular_px,
        yaw=vision.yaw,
        roll_degrees=vision.roll_degrees,
        sharpness=vision.sharpness,
    )
