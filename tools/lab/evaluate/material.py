"""What the searches are made of: enrolled references, probes, strangers who fill lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.errors import PictureError
from tools.lab.evaluate.gathering import Gatherer
from tools.lab.evaluate.looks import Face, Look, crops_of
from tools.lab.evaluate.pipeline import Pipeline
from tools.lab.evaluate.plan import Plan, counted
from tools.lab.evaluate.searches import Probes
from tools.lab.evaluate.verification import Pair
from tools.lab.manifest import Item


@dataclass(frozen=True, slots=True)
class Data:
    """A data set, as read. manifest, boxes: files. pairs: those of a file beside the manifest."""

    manifest: Path
    items: list[Item]
    plan: Plan
    pairs: list[Pair]
    boxes: Path | None


@dataclass(frozen=True, slots=True)
class Work:
    """What an evaluation is made with: a device's pipeline, a data set, and what was seen of it."""

    pipeline: Pipeline
    gatherer: Gatherer
    data: Data

    @property
    def plan(self) -> Plan:
        """Return who is who in the data set."""
        return self.data.plan

    def look(self, item: Item) -> Look:
        """Return what was seen in a picture."""
        return self.gatherer.looks[item.path]


TWIN = "in conflict with another reference of the list"
_NO_FACE = "no face was found"


@dataclass(frozen=True, slots=True)
class Material:
    """Everybody's templates.

    gallery: names of the enrolled, in the order of their references. refused: why each gallery
    picture was not enrolled, empty where it was. mated, non_mated: the probes that are searched,
    with `mated_items` and `non_mated_items` beside them. fillers: which strangers could fill a
    list, (strangers,). unsearched: mated probes of people of whom no picture could be enrolled.
    """

    gallery: list[str]
    gallery_items: list[Item]
    refused: list[str]
    references: list[list[bytes]]
    mated: Probes
    mated_items: list[Item]
    non_mated: Probes
    non_mated_items: list[Item]
    fillers: npt.NDArray[np.bool_]
    unsearched: int

    @property
    def watchlist(self) -> list[list[bytes]]:
        """Return the references of the whole gallery."""
        return self.references[: len(self.gallery)]


def first_pictures(plan: Plan) -> dict[str, Item]:
    """Return the first picture of each stranger whom main figures count: they can fill up lists."""
    use = counted(plan.non_mated)
    first: dict[str, Item] = {}
    for item, wanted in zip(plan.non_mated, use, strict=True):
        if wanted:
            first.setdefault(item.identities[0], item)
    return first


def gather(work: Work) -> Material:
    """Return the material, once all probes were looked at and all that is to be was enrolled."""
    pipeline, gatherer, plan = work.pipeline, work.gatherer, work.plan
    templates, refused = _enrolled(work)
    gallery = sorted(templates)
    if not gallery:
        raise PictureError("No picture of the gallery could be enrolled: there is nothing to find.")
    place_of = {name: place for place, name in enumerate(gallery)}
    mated_items = [item for item in plan.mated if item.identities[0] in place_of]
    if not mated_items:
        raise PictureError("Nobody of whom there are probes could be enrolled.")
    strangers = sorted({item.identities[0] for item in plan.non_mated})
    stranger_of = {name: place for place, name in enumerate(strangers)}
    spare = {
        name: gatherer.enrolments[item.path].template
        for name, item in first_pictures(plan).items()
        if item.path in gatherer.enrolments
    }
    fillers = np.array([bool(spare.get(name)) for name in strangers], np.bool_)
    # A stranger who cannot be enrolled keeps a place, so that places stay simple; it is never used.
    blank = np.zeros(pipeline.dimension, "<f4").tobytes()
    references = [templates[name] for name in gallery]
    if fillers.any():
        references += [[spare.get(name) or blank] for name in strangers]
    return Material(
        gallery=gallery,
        gallery_items=[item for name in sorted(plan.gallery) for item in plan.gallery[name]],
        refused=refused,
        references=references,
        mated=_probes(work, mated_items, place_of),
        mated_items=mated_items,
        non_mated=_probes(work, plan.non_mated, stranger_of),
        non_mated_items=plan.non_mated,
        fillers=fillers,
        unsearched=len(plan.mated) - len(mated_items),
    )


def _enrolled(work: Work) -> tuple[dict[str, list[bytes]], list[str]]:
    """Return the templates of each enrolled person, and why each gallery picture has none."""
    gatherer, plan = work.gatherer, work.plan
    templates: dict[str, list[bytes]] = {}
    for name, items in sorted(plan.gallery.items()):
        made = [gatherer.enrolments[item.path].template for item in items]
        if any(made):
            templates[name] = [template for template in made if template]
    clashing = work.pipeline.conflicting(templates)
    refused = [
        TWIN if name in clashing else gatherer.enrolments[item.path].fault
        for name, items in sorted(plan.gallery.items())
        for item in items
    ]
    return {name: made for name, made in templates.items() if name not in clashing}, refused


def subject_of(look: Look) -> Face | None:
    """Return the capture subject of a picture: its most prominent face.

    Other faces are bystanders of whom the manifest says nothing: some of them are enrolled people,
    and counting what they raise as wrong would be wrong itself.
    """
    return look.faces[0] if look.faces else None


def fault_of(look: Look) -> str:
    """Return why a probe was not acquired, empty where it was."""
    subject = subject_of(look)
    if subject is None:
        return look.fault or _NO_FACE
    return subject.fault


def _probes(work: Work, items: Sequence[Item], owner_of: dict[str, int]) -> Probes:
    dimension = work.pipeline.dimension
    subjects = [subject_of(work.look(item)) for item in items]
    # A face judged an attack raises no candidate, whatever its score.
    comparable = np.array([bool(s and s.template and not s.attack) for s in subjects], np.bool_)
    names = [item.identities[0] for item in items]
    return Probes(
        crops=crops_of(subjects, dimension),
        comparable=comparable,
        owner=np.array([owner_of[name] for name in names], np.intp),
        names=np.array(names, np.str_),
        counted=np.array(counted(list(items)), np.bool_),
    )
