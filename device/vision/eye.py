"""`Eye`: the models that see, opened once, and the steps from a landmark to a probe."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np

from device.capture.frame import Picture
from device.protocol.wording import NO_PAD
from device.settings import ModelSettings, VisionSettings
from device.stack import DeadStack
from device.vision.attack import AttackDetector
from device.vision.catalogue import Catalogue, ModelEntry
from device.vision.detector import Detector
from device.vision.embedder import Embedder
from device.vision.geometry import Alignment, Nudge
from device.vision.inference import Floats, RuntimeInfo
from device.vision.quality import QualityLimits, appearance_of, faults_of_appearance
from device.vision.sample import Aligner, Probe
from device.vision.second_look import SecondLook
from device.vision.shadows import raised

_STACK: Final = DeadStack()
EDGE_TPU: Final = "Edge TPU"
"""The delegate of a network that runs its compiled file, and not the portable one."""
NUDGES: Final = (
    Nudge(),
    *(Nudge(size=size) for size in (0.90, 0.95, 1.05)),
    *(Nudge(degrees=degrees) for degrees in (-4.0, 4.0)),
    *(Nudge(right=right) for right in (-0.025, 0.025)),
    *(Nudge(down=down) for down in (-0.025, 0.025)),
)
"""Alignments of which a reference is the mean."""


@dataclass(frozen=True, slots=True)
class Eye:
    """Detector, aligner and embedder with their limits. One thread owns it.

    attack: the attack detector, or None: then there is no presentation-attack detection.
    second_look: finds the landmarks of a face that is compared again, more exactly. other_aligner:
    cuts out the second crop of a face that comes near a reference. run: what really runs, each with
    the SHA-256 of its own file: on a Coral that of the compiled one.
    """

    detector: Detector
    aligner: Aligner
    embedder: Embedder
    limits: QualityLimits
    detector_entry: ModelEntry
    embedder_entry: ModelEntry
    runtime: RuntimeInfo
    attack: AttackDetector | None = None
    second_look: SecondLook | None = None
    other_aligner: Aligner | None = None
    run: tuple[ModelEntry, ...] = ()

    @classmethod
    def open(cls, catalogue: Catalogue, models: ModelSettings, vision: VisionSettings) -> "Eye":
        """Open the models that the settings name. Raises ModelError."""
        edge_tpu = models.edge_tpu == "auto"
        detector_entry = catalogue.entry(models.detector, "detector")
        embedder_entry = catalogue.entry(models.embedder, "embedder")
        detecting = catalogue.open(detector_entry, models.threads, edge_tpu=edge_tpu)
        detector = Detector(detecting, vision.detection_threshold)
        network = catalogue.open(embedder_entry, models.threads, edge_tpu=edge_tpu)
        embedder = Embedder(network)
        attack = AttackDetector.configured(catalogue, models, vision)
        runtimes = {"detector": detecting.runtime, "embedder": network.runtime}
        if attack is not None:
            runtimes["attack detector"] = attack.runtime
        models_run = [
            _run(detector_entry, detecting.runtime),
            _run(embedder_entry, network.runtime),
        ]
        if attack is not None:
            models_run.append(_run(attack.entry, attack.runtime))
        return cls(
            detector=detector,
            aligner=Aligner(embedder.side, embedder_entry.contract.alignment),
            embedder=embedder,
            limits=limits_from(vision),
            detector_entry=detector_entry,
            embedder_entry=embedder_entry,
            runtime=_joint(runtimes),
            attack=attack,
            second_look=SecondLook(detector),
            other_aligner=Aligner(embedder.side, _other(embedder_entry.contract.alignment)),
            run=tuple(models_run),
        )

    @property
    def entries(self) -> list[ModelEntry]:
        """The models that take part, for policy, alerts and the status, with the hash that runs."""
        if self.run:
            return list(self.run)
        entries = [self.detector_entry, self.embedder_entry]
        return entries if self.attack is None else [*entries, self.attack.entry]

    @property
    def attack_detection(self) -> str:
        """What alerts and the status say of attack detection: "no PAD", or its threshold's id."""
        return NO_PAD if self.attack is None else self.attack.threshold_id

    def reference(self, main: Picture, landmarks: Floats) -> tuple[Probe | None, list[str]]:
        """Like `probe`, for enrolment: the mean of what slightly strayed alignments would give.

        It costs the device nothing, and a probe's alignment strays too. The photograph is judged as
        it is, before its shadows are raised. The template keeps the length of the embedder's
        output, by which a list knows its weaker photographs.
        """
        mean = np.zeros(self.embedder.dimension, np.float32)
        try:
            landmarks = self._exact(main, landmarks)
            faults = self._faults(main, landmarks)
            if faults:
                return None, faults
            for nudge in NUDGES:
                sample = self.aligner.align(main, landmarks, nudge)
                try:
                    raised(sample.pixels)
                    mean += self.embedder.features(sample) / np.float32(len(NUDGES))
                finally:
                    sample.wipe()
        except ValueError as error:
            mean.fill(0)
            return None, [str(error)]
        except BaseException:
            mean.fill(0)
            raise
        return Probe(mean), []

    @property
    def wiped(self) -> bool:
        """True when no pixel of a frame and no face is left in the buffers."""
        parts = (
            self.aligner,
            self.other_aligner,
            self.detector,
            self.second_look,
            self.embedder,
            self.attack,
        )
        return all(part is None or part.wiped for part in parts)

    def wipe(self) -> None:
        """Overwrite what the networks computed of this frame; call it when a frame ends (R13).

        And what all that looked at it has left on this thread's stack. All of it, also when a part
        fails; what that raised is raised then.
        """
        with ExitStack() as stack:
            stack.callback(_STACK.wipe)
            for part in (self.detector, self.embedder, self.attack):
                if part is not None:
                    stack.callback(part.wipe)

    def probe(self, main: Picture, landmarks: Floats) -> tuple[Probe | None, list[str]]:
        """Look again, cut out, raise its shadows if it lies in the dark, judge and embed one face.

        The crop is wiped before this returns; `main` must live as long as the probe.

        landmarks: (5, 2) float32 in pixels of `main`. Returns the probe, or None and why not.
        """
        try:
            exact = self._exact(main, landmarks)
            sample = self.aligner.align(main, exact)
            try:
                dark = raised(sample.pixels)
                seen = appearance_of(sample.pixels)
                faults = faults_of_appearance(seen, self.limits, raised=dark)
                if faults:
                    return None, faults
                template = self.embedder.embed(sample).template
            finally:
                sample.wipe()
        except ValueError as error:
            return None, [str(error)]
        other = self.other_aligner
        again = None if other is None else lambda: self._features(other, main, exact)
        return Probe(template, again), []

    def _features(self, aligner: Aligner, main: Picture, landmarks: Floats) -> Floats:
        """Return features of unit length, of a face cut out by an aligner. Raises ValueError."""
        sample = aligner.align(main, landmarks)
        try:
            raised(sample.pixels)
            return self.embedder.embed(sample).template
        finally:
            sample.wipe()

    def _exact(self, main: Picture, landmarks: Floats) -> Floats:
        return landmarks if self.second_look is None else self.second_look(main, landmarks)

    def _faults(self, main: Picture, landmarks: Floats) -> list[str]:
        sample = self.aligner.align(main, landmarks)
        try:
            return faults_of_appearance(appearance_of(sample.pixels), self.limits)
        finally:
            sample.wipe()


def _other(alignment: Alignment) -> Alignment:
    """Return an alignment that is not the embedder's own."""
    return "tight" if alignment == "arcface" else "arcface"


def _run(entry: ModelEntry, runtime: RuntimeInfo) -> ModelEntry:
    """Return an entry with the hash of the file that runs.

    What is compiled for a Coral is another file, and its hash stands in no signed place but in the
    authorisation: there it must be named itself (R34).
    """
    if runtime.delegate != EDGE_TPU or entry.edge_tpu_sha256 is None:
        return entry
    return msgspec.structs.replace(entry, sha256=entry.edge_tpu_sha256)


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
