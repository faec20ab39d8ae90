"""Whose templates are attacked: people of a data set, or rendered ones."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track

from device.capture.frame import Picture
from device.errors import PictureError
from device.matching.protection import Floats
from device.recognition import scale_of
from device.settings import VisionSettings
from device.vision import Catalogue, Eye, default_directory
from device.vision.catalogue import ScoreScale
from tools.console import notes
from tools.lab.collection import models_of
from tools.lab.evaluate.gathering import Cache, Gatherer
from tools.lab.evaluate.looks import matrix_of
from tools.lab.evaluate.pipeline import Chosen, Pipeline
from tools.lab.manifest import Item, read_manifest
from tools.lab.people import Person, View, render
from tools.lab.people.pool import views

_SIMULATED = "sim_"
_SIDE = 240
_FIRST_SEED = 900_000


@dataclass(frozen=True, slots=True)
class People:
    """Templates of people. models: what made them, in words.

    references: (n, dimension) float32, of each one's first photograph, with the embedder's length.
    again: (m, dimension) float32, of another photograph of the first m. probes: (k, dimension)
    float32 of unit length. owner: (k,) place of each probe's reference, -1 for
    strangers; some probes are of the photograph that was enrolled.
    """

    models: str
    references: Floats
    again: Floats
    probes: Floats
    owner: npt.NDArray[np.intp]
    scale: ScoreScale
    margin: float


def of_data(folder: Path, cache: Path | None) -> People:
    """Return the people of a data set, through the operational models. Raises PasserbyError."""
    items = [item for item in read_manifest(folder) if _is_used(item)]
    catalogue = Catalogue.read(default_directory())
    pipeline = Pipeline.open(catalogue, "operational", Chosen())
    gatherer = Gatherer(pipeline, Cache(cache, pipeline.fingerprint))
    gatherer.enrol((item.path for item in items), "references")
    gatherer.look((item.path for item in items), "probes")
    enrolled = _enrolled(items, gatherer)
    # Those with a second photograph first, so that the lists of both are one list.
    names = sorted(enrolled, key=lambda name: (len(enrolled[name]) == 1, name))
    probes, owner = _probes(items, gatherer, {name: k for k, name in enumerate(names)})
    firsts, seconds = (
        [enrolled[name][k] for name in names if len(enrolled[name]) > k] for k in (0, 1)
    )
    size = pipeline.dimension
    embedder = next(model for model in pipeline.models if model.role == "embedder")
    return People(
        f"{embedder.name} {embedder.sha256[:16]}…, {pipeline.runtime}",
        matrix_of(firsts, size),
        matrix_of(seconds, size),
        matrix_of(probes, size),
        np.array(owner, np.intp),
        scale_of(catalogue.entry(embedder.name, "embedder")),
        pipeline.settings.matching.margin,
    )


def _is_used(item: Item) -> bool:
    simulated = item.subset.startswith(_SIMULATED)
    return item.role in {"gallery", "probe"} and len(item.identities) == 1 and not simulated


def _enrolled(items: list[Item], gatherer: Gatherer) -> dict[str, list[bytes]]:
    """Return the usable templates of everybody, those of the gallery first."""
    found: dict[str, list[bytes]] = {}
    for item in sorted(items, key=lambda item: (item.role != "gallery", str(item.path))):
        if template := gatherer.enrolments[item.path].template:
            found.setdefault(item.identities[0], []).append(template)
    if not found:
        raise PictureError("Nobody of this data set could be enrolled.")
    return found


def _probes(
    items: list[Item], gatherer: Gatherer, place_of: dict[str, int]
) -> tuple[list[bytes], list[int]]:
    """Return every picture's probe, and whose it is."""
    probes, owner = [], []
    for item in items:
        faces = gatherer.looks[item.path].faces
        if faces and faces[0].template:
            probes.append(faces[0].exact)
            owner.append(place_of.get(item.identities[0], -1))
    return probes, owner


def rendered(count: int) -> People:
    """Return rendered people, frontal and in one other view, through the built-in models."""
    catalogue = Catalogue.read(default_directory())
    eye = Eye.open(catalogue, models_of(catalogue, "built-in"), VisionSettings())
    seeds = range(_FIRST_SEED, _FIRST_SEED + count)
    shown = track(seeds, "people", console=notes, transient=True, disable=not notes.is_terminal)
    rows = []
    for seed in shown:
        person = Person.from_seed(seed)
        rows.append([_features(eye, person, view) for view in views(seed, 2)])
    frontal, other = np.array(rows, np.float32).transpose(1, 0, 2)
    lengths = np.linalg.norm(other, axis=1, keepdims=True)
    return People(
        f"{eye.embedder_entry.name} {eye.embedder_entry.sha256[:16]}…, {eye.runtime}",
        frontal,
        other,
        np.asarray(other / lengths, np.float32),
        np.arange(count),
        scale_of(eye.embedder_entry),
        0.03,
    )


def _features(eye: Eye, person: Person, view: View) -> Floats:
    shot = render(person, view, _SIDE)
    sample = eye.aligner.align(Picture.of_bgr(shot.image), shot.landmarks)
    found = eye.embedder.features(sample).copy()
    sample.wipe()
    return found
