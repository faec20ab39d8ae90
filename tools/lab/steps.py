"""`passerby-lab steps`: what each step beyond the plain pipeline is worth, on one data set.

All pictures of the gallery are enrolled; probes of enrolled people are mated, those of others
non-mated. Simulated pictures are left out. A face that is not acquired is missed. Each step is
compared with the one before it, or, where it is not part of the device, with the device.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct
from rich.progress import track

from device.errors import PictureError
from device.files import write_atomically
from device.matching import Gallery
from device.protocol.watchlist import DemonstrationList, Reference
from device.recognition import scale_of
from device.settings import VisionSettings
from device.vision import Catalogue, Eye, default_directory
from device.vision.inference import Floats
from tools.console import console, notes
from tools.lab.collection import models_of
from tools.lab.crops import Crops, Edges, device_scores
from tools.lab.manifest import Item, read_manifest
from tools.lab.step_figures import Codes, Gain, Rate, Searches, gains, rates, search
from tools.lab.step_looks import Probed, Spared, When, spared
from tools.lab.step_templates import TemplateMaker, Templates
from tools.lab.step_tracks import searches_of_tracks

_SIMULATED = "sim_"
_MISSED = np.float32(-9)
_FEWEST_PROBES = 3
_DEVICE = ("first", "raised", "closer")


class Step(Struct, frozen=True):
    """One line of the table. compared_with: the step that `gains` are over."""

    name: str
    rates: list[Rate]
    compared_with: str = ""
    gains: list[Gain] = []


@dataclass(frozen=True, slots=True)
class People:
    """Who is searched for: templates of the gallery, mated and non-mated probes.

    owner: (m,) place of each mated probe's reference.
    """

    gallery: list[Templates]
    mated: list[Templates]
    non_mated: list[Templates]
    owner: Codes
    strangers: Codes


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, write JSON; 0."""
    catalogue = Catalogue.read(default_directory())
    eye = Eye.open(catalogue, models_of(catalogue, options.models), VisionSettings())
    people = gather(TemplateMaker(eye), read_manifest(options.data))
    scale = scale_of(eye.embedder_entry)
    edges = Edges(scale.look_from, scale.second_crop_from)
    steps = measure(people, edges)
    console.print(
        f"{len(people.gallery)} references, {len(people.mated)} mated and "
        f"{len(people.non_mated)} non-mated probes; {eye.embedder_entry.name} "
        f"{eye.embedder_entry.sha256[:16]}…, {eye.runtime}",
        markup=False,
    )
    for step in steps:
        console.print(_line(step), markup=False)
    looked = _Searcher(people, edges).spared(scale.threshold)
    console.print(looked.said(scale.threshold), markup=False)
    if options.json is not None:
        write_atomically(Path(options.json), msgspec.json.format(msgspec.json.encode(steps)), 0o644)
    return 0


def gather(maker: TemplateMaker, items: list[Item]) -> People:
    """Make the templates of all real pictures. Raises PictureError when there is nobody to find."""
    items = [i for i in items if not i.subset.startswith(_SIMULATED) and len(i.identities) == 1]
    enrolled = {i.identities[0]: i for i in items if i.role == "gallery"}
    gallery = {
        name: made
        for name, item in track(enrolled.items(), "gallery", console=notes, transient=True)
        if (made := maker.make(item, enrol=True)).reference.any()
    }
    place_of = {name: place for place, name in enumerate(gallery)}
    probes = [i for i in items if i.role == "probe"]
    mated = [i for i in probes if i.identities[0] in place_of]
    others = [i for i in probes if i.identities[0] not in enrolled]
    if not mated or not others:
        raise PictureError("The data set has no mated or no non-mated probes (docs/data.md).")
    names = sorted({i.identities[0] for i in others})
    return People(
        list(gallery.values()),
        [maker.make(i, enrol=True) for i in track(mated, "mated", console=notes, transient=True)],
        [
            maker.make(i, enrol=False)
            for i in track(others, "non-mated", console=notes, transient=True)
        ],
        np.array([place_of[i.identities[0]] for i in mated], np.intp),
        np.array([names.index(i.identities[0]) for i in others], np.intp),
    )


def measure(people: People, edges: Edges) -> list[Step]:
    """Return the table: the device's steps one after the other, then what it does without."""
    searcher = _Searcher(people, edges)
    unit, crops = searcher.unit, searcher.crops
    chain = [
        ("plain pipeline", searcher.cosine("plain", "plain")),
        ("+ the embedder's own alignment", searcher.cosine("aligned", "aligned")),
        ("+ a second look at the landmarks", searcher.cosine("looked", "looked")),
        ("+ references over strayed alignments", searcher.cosine("reference", "looked")),
        ("+ the template's length", searcher.weighed()),
        ("+ the list as cohort", searcher.device(crops("looked"), lit=True)),
        ("+ probes' shadows raised", searcher.device(crops("raised"))),
        ("+ a second crop near a reference", searcher.device(crops("raised", "raised", "closer"))),
        ("the second look only there: the device", searcher.device(crops(*_DEVICE))),
    ]
    steps = _chained(chain)
    device = chain[-1][1]
    mirrored = [
        replace(made, closer=_unit_rows(made.closer + rows))
        for made, rows in zip(crops(*_DEVICE), unit("mirrored"), strict=True)
    ]
    aside = [
        ("device, references averaged with their mirror image", searcher.mirrored_references()),
        ("device, second crops averaged with a mirrored one", searcher.device(mirrored)),
    ]
    steps += [Step(n, rates(found), chain[-1][0], gains(found, device)) for n, found in aside]
    return [*steps, *searcher.several_references(), *searcher.tracks()]


def _chained(named: list[tuple[str, Searches]]) -> list[Step]:
    """Return one step per way, each compared with the one before it."""
    steps = []
    for place, (name, found) in enumerate(named):
        before, reference = named[place - 1] if place else ("", None)
        gained = [] if reference is None else gains(found, reference)
        steps.append(Step(name, rates(found), before, gained))
    return steps


class _Searcher:
    """Runs the searches of one way of making templates."""

    def __init__(self, people: People, edges: Edges) -> None:
        self._people = people
        self._edges = edges
        self._gallery = _device(_rows("reference", people.gallery))
        both = (people.mated, people.non_mated)
        self._acquired = [np.array([made.acquired for made in probes]) for probes in both]
        self._lit = [np.array([made.lit for made in probes]) for probes in both]

    def unit(self, way: str) -> list[Floats]:
        """Return mated and non-mated probes of one way, each (n, dimension), of unit length."""
        return [_unit(way, self._people.mated), _unit(way, self._people.non_mated)]

    def crops(self, first: str, exact: str = "", closer: str = "") -> list[Crops]:
        """Return mated and non-mated probes by the ways they are looked at; "": as before."""
        exact = exact or first
        ways = (self.unit(first), self.unit(exact), self.unit(closer or exact))
        return [Crops(*rows) for rows in zip(*ways, strict=True)]

    def cosine(self, references: str, probes: str) -> Searches:
        """Return searches by the plain cosine."""
        matrix = _unit(references, self._people.gallery)
        return self._found([rows @ matrix.T for rows in self.unit(probes)], self._lit)

    def weighed(self) -> Searches:
        """Return searches by the cosine times what the template's length makes of it."""
        matrix = self._gallery.matrix
        return self._found([rows @ matrix.T for rows in self.unit("looked")], self._lit)

    def device(self, probes: list[Crops], *, lit: bool = False) -> Searches:
        """Return searches as the device makes them.

        lit: without probes that pass the gate only with their shadows raised.
        """
        scores = [device_scores(self._gallery, each, self._edges) for each in probes]
        return self._found(scores, self._lit if lit else self._acquired)

    def _as_the_device(self, gallery: Gallery) -> list[Floats]:
        return [device_scores(gallery, each, self._edges) for each in self.crops(*_DEVICE)]

    def spared(self, threshold: float) -> Spared:
        """Return whom the device does not look at again."""
        probes = [
            Probed(crops, acquired)
            for crops, acquired in zip(self.crops(*_DEVICE), self._acquired, strict=True)
        ]
        mated, others = probes
        return spared(
            self._gallery, mated, others, self._people.owner, When(self._edges, threshold)
        )

    def mirrored_references(self) -> Searches:
        """Return searches whose references are the mean of enrolment's and a mirrored crop."""
        gallery = self._people.gallery
        matrix = _rows("reference", gallery) + _rows("mirrored", gallery)
        return self._found(self._as_the_device(_device(matrix)), self._acquired)

    def several_references(self) -> list[Step]:
        """Return what one and two more photographs of a person are worth, with the same probes.

        Searched for: the last probe of each person with three or more; their first ones enrol.
        """
        people, owner = self._people, self._people.owner
        spare: dict[int, list[int]] = {}
        enrolled = np.array([made.reference.any() for made in people.mated])
        for row in np.flatnonzero(self._acquired[0] & enrolled):
            spare.setdefault(int(owner[row]), []).append(int(row))
        spare = {place: rows for place, rows in spare.items() if len(rows) >= _FEWEST_PROBES}
        searched = np.array([rows[-1] for rows in spare.values()], np.intp)
        named = []
        for count, words in enumerate(("one photograph", "two photographs", "three photographs")):
            references = [[made.reference] for made in people.gallery]
            for place, rows in spare.items():
                references[place] += [people.mated[row].reference for row in rows[:count]]
            scores, others = self._as_the_device(_gallery(references))
            scores = scores[searched]
            others[~self._acquired[1]] = _MISSED
            whose = np.arange(len(searched))
            found = search(scores, others, owner[searched], whose, people.strangers)
            named.append((f"{len(searched)} people, {words} of each enrolled", found))
        return _chained(named) if spare else []

    def tracks(self) -> list[Step]:
        """Return what rules over several shots are worth."""
        acquired, mated = self._acquired[0], self._people.mated
        scores = self._as_the_device(self._gallery)[0][acquired]
        qualities = np.array([made.quality for made in mated], np.float32)[acquired]
        found = searches_of_tracks(scores, qualities, self._people.owner[acquired])
        return _chained([(f"simulated tracks, {name}", each) for name, each in found.items()])

    def _found(self, scores: list[Floats], acquired: list[npt.NDArray[np.bool_]]) -> Searches:
        for each, usable in zip(scores, acquired, strict=True):
            each[~usable] = _MISSED
        owner = self._people.owner
        return search(scores[0], scores[1], owner, owner, self._people.strangers)


def _rows(way: str, made: list[Templates]) -> Floats:
    return np.stack([getattr(each, way) for each in made])


def _unit(way: str, made: list[Templates]) -> Floats:
    return _unit_rows(_rows(way, made))


def _unit_rows(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-6), np.float32)


def _device(references: Floats) -> Gallery:
    return _gallery([[row] for row in references])


def _gallery(references: list[list[Floats]]) -> Gallery:
    listed = [
        Reference(str(place), [row.astype("<f4").tobytes() for row in rows])
        for place, rows in enumerate(references)
    ]
    dimension = len(references[0][0])
    return Gallery(DemonstrationList("lab", 1, "", "lab", "lab", dimension, listed), "lab")


def _line(step: Step) -> str:
    figures = "; ".join(
        f"{rate.tpir:.1%} ({100 * rate.low:.1f}–{100 * rate.high:.1f}) at {rate.fpir:.1%}"
        for rate in step.rates
    )
    gained = ", ".join(f"{g.points:+.1f} ({g.low:+.1f} to {g.high:+.1f})" for g in step.gains)
    return f"{step.name}: {figures}{'; gain ' + gained if gained else ''}"
