"""`Eye`: the models that see, opened once, and the steps from a landmark to a probe."""

from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
import numpy as np

from device.capture.frame import Picture
from device.capture.workspace import Workspace
from device.protocol.wording import NO_PAD
from device.settings import ModelSettings, VisionSettings
from device.stack import SHALLOW, DeadStack
from device.vision.attack import AttackDetector
from device.vision.catalogue import Catalogue, ModelEntry
from device.vision.choice import Surroundings, choose
from device.vision.detector import Detector
from device.vision.embedder import Embedder
from device.vision.geometry import NUDGES, Alignment
from device.vision.inference import Floats, Network
from device.vision.quality import QualityLimits, appearance_of, faults_of_appearance
from device.vision.runtimes import RuntimeInfo
from device.vision.sample import Again, Aligner, Exact, Probe
from device.vision.second_look import SecondLook
from device.vision.shadows import raised

_STACK: Final = DeadStack()
EDGE_TPU: Final = "Edge TPU"
"""The delegate of a network that runs its compiled file, and not the portable one."""
ANYWHERE: Final = Surroundings()


@dataclass(frozen=True, slots=True)
class Eye:
    """Detector, aligner and embedder with their limits. One thread owns it.

    attack: the attack detector, or None: then there is no presentation-attack detection.
    second_look: finds a face's landmarks again, more exactly. other_aligner:
    cuts out the second crop of a face that comes near a reference. run: what really runs, each with
    the SHA-256 of its own file: on a Coral that of the compiled one. small_detector: one with a
    smaller input, for when less must do; None: there is none. work: memory on a crop's way.
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
    small_detector: Detector | None = None
    work: Workspace = field(default_factory=Workspace)

    @classmethod
    def open(
        cls,
        catalogue: Catalogue,
        models: ModelSettings,
        vision: VisionSettings,
        around: Surroundings = ANYWHERE,
    ) -> "Eye":
        """Open the models that the settings name or leave to be chosen. Raises ModelError.

        around: what the choice depends on; by default nothing is known: the detector is the one
        that is named, and a measured count of threads is not kept.
        """
        chosen = choose(catalogue, models, vision, around)
        models = msgspec.structs.replace(models, threads=chosen.threads)
        entries = {"detector": chosen.detector, "small detector": chosen.small}
        embedder_entry = entries["embedder"] = catalogue.entry(models.embedder, "embedder")
        networks = _networks(catalogue, models, entries)
        attack = AttackDetector.configured(catalogue, models, vision)
        runs = {name: (entry, network.runtime) for name, (entry, network) in networks.items()}
        if attack is not None:
            runs["attack detector"] = (attack.entry, attack.runtime)
        detectors = {
            name: Detector(network, vision.detection_threshold)
            for name, (entry, network) in networks.items()
            if entry.role == "detector"
        }
        embedder = Embedder(networks["embedder"][1])
        return cls(
            detector=detectors["detector"],
            aligner=Aligner(embedder.side, embedder_entry.contract.alignment),
            embedder=embedder,
            limits=limits_from(vision),
            detector_entry=chosen.detector,
            embedder_entry=embedder_entry,
            runtime=_joint({name: runtime for name, (_, runtime) in runs.items()}, chosen.notes),
            attack=attack,
            second_look=SecondLook(detectors["detector"]),
            other_aligner=Aligner(embedder.side, _other(embedder_entry.contract.alignment)),
            run=tuple(_run(entry, runtime) for entry, runtime in runs.values()),
            small_detector=detectors.get("small detector"),
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
                    raised(sample.pixels, self.work)
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
            self.small_detector,
            self.second_look,
            self.embedder,
            self.attack,
            self.work,
        )
        return all(part is None or part.wiped for part in parts)

    def wipe(self) -> None:
        """Overwrite what the networks computed of this frame; call it when a frame ends (R13).

        And what all that looked at it has left on this thread's stack. All of it, also when a part
        fails; what that raised is raised then.
        """
        parts = (self.detector, self.small_detector, self.embedder, self.attack)
        computed = False
        failed: BaseException | None = None
        for part in parts:
            try:
                if part is not None and part.wipe():
                    computed = True
            except BaseException as error:  # noqa: BLE001 - raised below, when all is done
                computed, failed = True, error
        if computed:
            _STACK.wipe()
        else:
            # Nobody was looked for: what the motion gate left lies in a small part of it.
            _STACK.wipe(SHALLOW)
        if failed is not None:
            raise failed

    def probe(self, main: Picture, landmarks: Floats) -> tuple[Probe | None, list[str]]:
        """Cut out, raise its shadows if it lies in the dark, judge and embed one face.

        Where the embedder's scale says from which score on, the second look is left to the probe
        (`Probe.look_again`), unless the face is too poor without it; else it comes first. The crop
        is wiped before this returns; `main` must live as long as the probe.

        landmarks: (5, 2) float32 in pixels of `main`. Returns the probe, or None and why not.
        """
        scale = self.embedder_entry.scores
        if scale is not None and scale.second_look_from is not None:
            probe, _ = self._probe(main, landmarks, looked=False)
            if probe is not None:
                return probe, []
        return self._probe(main, landmarks, looked=True)

    def _probe(
        self, main: Picture, landmarks: Floats, *, looked: bool
    ) -> tuple[Probe | None, list[str]]:
        try:
            at = self._exact(main, landmarks) if looked else landmarks
            sample = self.aligner.align(main, at)
            try:
                dark = raised(sample.pixels, self.work)
                seen = appearance_of(sample.pixels)
                faults = faults_of_appearance(seen, self.limits, raised=dark)
                if faults:
                    return None, faults
                template = self.embedder.embed(sample).template
            finally:
                sample.wipe()
        except ValueError as error:
            return None, [str(error)]
        again, exact = self._ways(main, at)
        return Probe(template, again, None if looked else exact), []

    def _ways(self, main: Picture, landmarks: Floats) -> tuple[Again | None, Exact]:
        """Return how a probe comes by its second crop, and by its second look."""
        other = self.other_aligner

        def exact() -> Floats | None:
            nonlocal landmarks
            found = self._exact(main, landmarks)
            if found is landmarks:
                return None
            features = self._features(self.aligner, main, found)
            landmarks = found
            return features

        return None if other is None else lambda: self._features(other, main, landmarks), exact

    def _features(self, aligner: Aligner, main: Picture, landmarks: Floats) -> Floats:
        """Return features of unit length, of a face cut out by an aligner. Raises ValueError."""
        sample = aligner.align(main, landmarks)
        try:
            raised(sample.pixels, self.work)
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


def _networks(
    catalogue: Catalogue, models: ModelSettings, entries: dict[str, ModelEntry | None]
) -> dict[str, tuple[ModelEntry, Network]]:
    """Open what there is. Raises ModelError."""
    edge_tpu = models.edge_tpu == "auto"
    return {
        name: (entry, catalogue.open(entry, models.threads, edge_tpu=edge_tpu))
        for name, entry in entries.items()
        if entry is not None
    }


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


def _joint(runtimes: dict[str, RuntimeInfo], chosen: tuple[str, ...] = ()) -> RuntimeInfo:
    """Return one description of all, so that a fallback of any is seen.

    chosen: how it came to these models and threads.
    """
    first, *others = runtimes.values()
    said = (runtime.note for runtime in runtimes.values())
    notes = "; ".join(dict.fromkeys(note for note in (*said, *chosen) if note))
    if all(other == first for other in others):
        return replace(first, note=notes)
    delegates = ", ".join(f"{runtime.delegate} ({name})" for name, runtime in runtimes.items())
    return replace(first, delegate=delegates, note=notes)


def limits_from(vision: VisionSettings) -> QualityLimits:
    """Return the limits that the configuration sets."""
    return QualityLimits(
        interocular_px=vision.interocular_px,
        yaw=vision.yaw,
        roll_degrees=vision.roll_degrees,
        sharpness=vision.sharpness,
    )
