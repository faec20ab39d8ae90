"""Which detectors run, and on how many threads: what the settings name, leave open, or forbid.

What may run is signed (R34): where an authorisation is given, nothing that it does not name is
chosen here, and the policy looks once more at what was opened.
"""

from dataclasses import dataclass
from pathlib import Path

from device.errors import ModelError
from device.measured import Kept
from device.settings import CameraSettings, ModelSettings, Settings, VisionSettings
from device.vision import depth
from device.vision.catalogue import Catalogue, ModelEntry
from device.vision.depth import View
from device.vision.threads import here, measured, wanted_ms


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the choice depends on beside the models' own settings; None: not known.

    camera: what is seen, and from how far. kept: what was measured on this board before.
    authorised: SHA-256 of the models that may run; None: any (a demonstration, a tool).
    """

    camera: CameraSettings | None = None
    kept: Kept | None = None
    authorised: frozenset[str] | None = None

    @classmethod
    def of(cls, settings: Settings, authorised: frozenset[str] | None = None) -> "Surroundings":
        """Return those of a device with these settings."""
        return cls(settings.camera, Kept(Path(settings.device.state_directory)), authorised)

    def allows(self, entry: ModelEntry) -> bool:
        """Tell whether a model may run, as it is or as compiled for a Coral."""
        names = {entry.sha256, entry.edge_tpu_sha256}
        return self.authorised is None or not self.authorised.isdisjoint(names)


@dataclass(frozen=True, slots=True)
class Chosen:
    """small: for when less must do, or None. notes: how it came to this, for the status."""

    detector: ModelEntry
    small: ModelEntry | None
    threads: int
    notes: tuple[str, ...]


def choose(
    catalogue: Catalogue, models: ModelSettings, vision: VisionSettings, around: Surroundings
) -> Chosen:
    """Return what is to be opened. Raises ModelError."""
    detector, of_depth = _detector(catalogue, models, around)
    small, of_small = _small(catalogue, models, detector, around)
    threads, of_threads = _threads(catalogue, models, vision, detector, around)
    notes = (of_depth, of_small, of_threads)
    return Chosen(detector, small, threads, tuple(note for note in notes if note))


def input_size(entry: ModelEntry) -> tuple[int, int]:
    """Return width and height of a model's input."""
    _, height, width, _ = entry.contract.input_shape
    return width, height


def _detector(
    catalogue: Catalogue, models: ModelSettings, around: Surroundings
) -> tuple[ModelEntry, str]:
    named, camera = catalogue.entry(models.detector, "detector"), around.camera
    if not models.detector_by_depth or camera is None:
        return named, ""
    if not camera.farthest_m:
        return named, "detector as named: camera.farthest_m is not told"
    view, far = View.of(camera), camera.farthest_m
    family = catalogue.family(named)
    wanted = _cheapest(view, family, far)
    allowed = [entry for entry in family if around.allows(entry)]
    found = _cheapest(view, allowed, far) if allowed else None
    enough = min(far, _reach(view, wanted))
    if found is None or _reach(view, found) < enough:
        nearer = 0.0 if found is None else _reach(view, found)
        raise ModelError(_not_authorised(wanted, far, nearer))
    return found, _said(view, found, far)


def _cheapest(view: View, entries: list[ModelEntry], far: float) -> ModelEntry:
    return entries[depth.cheapest(view, [input_size(one) for one in entries], far)]


def _reach(view: View, entry: ModelEntry) -> float:
    return depth.reach_m(view, input_size(entry))


def _said(view: View, entry: ModelEntry, far: float) -> str:
    if _reach(view, entry) >= far:
        return f"detector chosen for {far:g} m"
    wide = depth.face_px(view, input_size(entry), far)
    return (
        f"no detector sees as far as {far:g} m: a face there is {wide:.0f} pixels wide; it sees to "
        f"{depth.metres(_reach(view, entry))} m (camera.lores_width, camera.farthest_m)"
    )


def _not_authorised(wanted: ModelEntry, far: float, reach: float) -> str:
    nearer = f"set camera.farthest_m to {depth.metres(reach)} or less, " if reach else ""
    return (
        f"camera.farthest_m = {far:g} asks for the detector {wanted.name}, which is not "
        f"authorised: {nearer}set models.detector_by_depth to false, or let the desk authorise "
        "that detector."
    )


def _small(
    catalogue: Catalogue, models: ModelSettings, detector: ModelEntry, around: Surroundings
) -> tuple[ModelEntry | None, str]:
    if not models.small_detector:
        return None, ""
    if models.small_detector == "auto":
        smaller = [one for one in catalogue.family(detector) if _is_smaller(one, detector)]
        if not smaller:
            return None, f"no small detector: there is none below {detector.name}"
        entry = smaller[-1]
    else:
        entry = catalogue.entry(models.small_detector, "detector")
    if not _is_smaller(entry, detector):
        return None, f"no small detector: {entry.name} is not smaller than {detector.name}"
    if not around.allows(entry):
        return None, f"no small detector: {entry.name} is not authorised"
    return entry, ""


def _is_smaller(one: ModelEntry, other: ModelEntry) -> bool:
    (width, height), (wide, high) = input_size(one), input_size(other)
    return width * height < wide * high


def _threads(
    catalogue: Catalogue,
    models: ModelSettings,
    vision: VisionSettings,
    detector: ModelEntry,
    around: Surroundings,
) -> tuple[int, str]:
    if models.threads:
        return models.threads, ""
    if models.edge_tpu == "auto" and catalogue.compiled(detector) is not None:
        return 1, "threads not measured: there is a model for an Edge TPU"
    return measured(
        lambda threads: catalogue.open_bare(detector, threads),
        detector.sha256,
        wanted_ms(vision),
        here(around.kept),
    )
