"""The whole evaluation: every picture looked at once, then figure after figure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from device import __version__
from device.files import sha256_of
from tools.lab.evaluate.acquisition import acquisition_of
from tools.lab.evaluate.conditions import Outcomes, conditions_of
from tools.lab.evaluate.groups import (
    ATTRIBUTES,
    Errors,
    Events,
    Thresholds,
    differential_of,
    groups_of,
)
from tools.lab.evaluate.identification import TARGETS, figures_of, tradeoff_of
from tools.lab.evaluate.lists import DrawnList, draw
from tools.lab.evaluate.material import Material, Work, fault_of, first_pictures, gather
from tools.lab.evaluate.pictures import attacks_of, detection_of, pairs_of
from tools.lab.evaluate.pipeline import Pipeline, code_sha256
from tools.lab.evaluate.plan import counted
from tools.lab.evaluate.report import (
    DataSet,
    Differential,
    Evaluation,
    IdentificationFigures,
    MissingSize,
    PipelineVersion,
)
from tools.lab.evaluate.searches import Searcher, Searches
from tools.lab.evaluate.statement import StatedThreshold, ThresholdStatement, stated
from tools.lab.evaluate.tradeoff import Tradeoff
from tools.lab.evaluate.verification import Comparisons, comparisons_of, verification_of
from tools.lab.manifest import Item

_GROUP_FPIRS = TARGETS[:2]
_GROUP_FMR = 1e-3


@dataclass(slots=True)
class _Identified:
    """The lists of all sizes. whole: the searches in the whole gallery."""

    figures: list[IdentificationFigures] = field(default_factory=list)
    missing: list[MissingSize] = field(default_factory=list)
    stated: list[StatedThreshold] = field(default_factory=list)
    whole: tuple[Searches, Searches, list[float]] | None = None


def look_at_all(work: Work, sizes: Sequence[int]) -> None:
    """Look at every picture that a figure needs: the long part."""
    plan, gatherer, pairs = work.plan, work.gatherer, work.data.pairs
    gallery = [item.path for items in plan.gallery.values() for item in items]
    gatherer.enrol(gallery, "enrolling the gallery")
    others = (*plan.negatives, *plan.groups, *plan.spoofs)
    gatherer.look([item.path for item in (*plan.probes, *others)], "looking at pictures")
    if max(sizes, default=0) > len(plan.gallery):
        fillers = [item.path for item in first_pictures(plan).values()]
        gatherer.enrol(fillers, "enrolling imposed impostors")
    gatherer.enrol([pair.first for pair in pairs], "enrolling one of each pair")
    gatherer.look([pair.second for pair in pairs], "looking at the other")


def evaluate(work: Work, sizes: Sequence[int], environment: dict[str, str]) -> Evaluation:
    """Return all figures. sizes: of the lists beside the whole gallery."""
    look_at_all(work, sizes)
    material = gather(work)
    found = _identification(Searcher(work.pipeline, material.references), material, sizes)
    if found.whole is None:
        raise TypeError("The whole gallery was not searched.")
    mated, non_mated, thresholds = found.whole
    ours = _outcomes(work, material.mated_items, mated, thresholds)
    theirs = _outcomes(work, material.non_mated_items, non_mated, thresholds)
    dataset, version = _data_set(work, material), _version(work.pipeline)
    single = comparisons_of(
        material.mated, material.non_mated, work.pipeline.gallery(material.watchlist).matrix
    )
    verification = verification_of(single)
    one_to_one = next(p.threshold for p in verification.points if p.target_fmr == _GROUP_FMR)
    levels = [
        Thresholds(target, threshold, one_to_one)
        for target, threshold in zip(TARGETS, thresholds, strict=True)
        if target in _GROUP_FPIRS
    ]
    probes = work.plan.probes
    return Evaluation(
        target_fpirs=list(TARGETS),
        data=dataset,
        pipeline=version,
        statement=_statement(dataset, version, found.stated),
        fte=acquisition_of(
            material.gallery_items, material.refused, counted(material.gallery_items)
        ),
        fta=acquisition_of(
            probes,
            [fault_of(work.look(item)) for item in probes],
            [*counted(work.plan.mated), *counted(work.plan.non_mated)],
        ),
        identification=found.figures,
        missing_sizes=found.missing,
        conditions=conditions_of(ours, theirs),
        verification=verification,
        pairs=pairs_of(work),
        differentials=_differentials(work, material, (ours, theirs), single, levels),
        detection=detection_of(work, material, thresholds),
        attacks=attacks_of(work, material, thresholds),
        environment=environment,
    )


def _identification(searcher: Searcher, material: Material, sizes: Sequence[int]) -> _Identified:
    gallery = len(material.gallery)
    result = _Identified()
    for size in sorted({gallery, *sizes}):
        lists = draw(size, gallery, material.fillers)
        if not lists:
            result.missing.append(MissingSize(size, _too_few(size, material)))
            continue
        found, false, tradeoff = _searched(searcher, material, lists)
        result.figures.append(figures_of(tradeoff, material.mated, found, lists, gallery))
        result.stated += stated(size, tradeoff, TARGETS, whole=size == gallery)
        if size == gallery:
            thresholds = [tradeoff.at(target).threshold for target in TARGETS]
            result.whole = found, false, thresholds
    return result


def _searched(
    searcher: Searcher, material: Material, lists: list[DrawnList]
) -> tuple[Searches, Searches, Tradeoff]:
    found = searcher.mated(material.mated, lists)
    false = searcher.non_mated(material.non_mated, lists)
    return found, false, tradeoff_of(material.mated, material.non_mated, found, false)


def _too_few(size: int, material: Material) -> str:
    return (
        f"the gallery has {len(material.gallery):,} people, and {int(material.fillers.sum()):,} "
        f"others are too few to fill a list of {size:,} with people who are not searched for in it"
    )


def _outcomes(
    work: Work, items: list[Item], searches: Searches, thresholds: Sequence[float]
) -> Outcomes:
    """Return what became of each probe in the whole gallery, where each is searched once."""
    order = np.argsort(searches.rows)
    return Outcomes(
        items,
        np.array([bool(fault_of(work.look(item))) for item in items], np.bool_),
        searches.first[order],
        np.stack([searches.scores[order] >= threshold for threshold in thresholds]),
    )


def _differentials(
    work: Work,
    material: Material,
    outcomes: tuple[Outcomes, Outcomes],
    single: Comparisons,
    thresholds: list[Thresholds],
) -> list[Differential]:
    ours, theirs = outcomes
    found, false = material.mated.counted, material.non_mated.counted
    enrolled = np.array([item.identities[0] for item in material.gallery_items], np.str_)
    refused = np.array([bool(fault) for fault in material.refused], np.bool_)
    kept = np.array(counted(material.gallery_items), np.bool_)
    acquired = Events.single(
        np.concatenate([ours.names[found], theirs.names[false]]),
        np.concatenate([ours.failed[found], theirs.failed[false]]),
    )
    matches = np.count_nonzero(single.others >= thresholds[0].fmr, axis=1).astype(np.intp)
    compared = np.full(len(matches), single.others.shape[1], np.intp)
    return [
        differential_of(
            attribute,
            groups_of(work.data.items, attribute),
            Errors(
                fte=Events.single(enrolled[kept], refused[kept]),
                fta=acquired,
                fnir=Events.single(ours.names[found], ~ours.hits[place][found]),
                fpir=Events.single(theirs.names[false], theirs.hits[place][false]),
                fmr=Events(single.other_names, matches, compared),
            ),
            at,
        )
        for attribute in ATTRIBUTES
        for place, at in enumerate(thresholds)
    ]


def _data_set(work: Work, material: Material) -> DataSet:
    plan = work.plan
    left_out = dict(sorted(plan.left_out.items()))
    if material.unsearched:
        left_out["probe of somebody who could not be enrolled"] = material.unsearched
    mated, others = _main(plan.mated), _main(plan.non_mated)
    looks = work.gatherer.looks.values()
    return DataSet(
        manifest_sha256=sha256_of(work.data.manifest),
        files_sha256=work.gatherer.content_sha256(work.data.manifest.parent),
        gallery_people=len(plan.gallery),
        gallery_pictures=len(material.gallery_items),
        mated_probes=len(mated),
        mated_people=len({item.identities[0] for item in mated}),
        non_mated_probes=len(others),
        non_mated_people=len({item.identities[0] for item in others}),
        made_up_probes_apart=len(plan.probes) - len(mated) - len(others),
        negative_pictures=len(plan.negatives),
        group_pictures=len(plan.groups),
        attack_pictures=len(plan.spoofs),
        unreadable_pictures=sum(bool(look.fault) for look in looks),
        left_out=left_out,
    )


def _main(items: list[Item]) -> list[Item]:
    """Return the items that main figures count."""
    return [item for item, use in zip(items, counted(items), strict=True) if use]


def _version(pipeline: Pipeline) -> PipelineVersion:
    return PipelineVersion(
        passerby=__version__,
        code_sha256=code_sha256(),
        collection=pipeline.collection,
        models=pipeline.models,
        settings=pipeline.deciding_settings,
        attack_detection=pipeline.attack_detection,
    )


def _statement(
    data: DataSet, version: PipelineVersion, thresholds: list[StatedThreshold]
) -> ThresholdStatement:
    return ThresholdStatement(
        passerby=version.passerby,
        code_sha256=version.code_sha256,
        models=version.models,
        settings=version.settings,
        attack_detection=version.attack_detection,
        manifest_sha256=data.manifest_sha256,
        files_sha256=data.files_sha256,
        thresholds=thresholds,
    )
