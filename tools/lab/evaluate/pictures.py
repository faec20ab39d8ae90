"""Figures that start from pictures: pairs, detection, attacks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from device.matching import Gallery
from tools.lab.evaluate import detection
from tools.lab.evaluate.attack import attack_figures
from tools.lab.evaluate.figures import NotEvaluated
from tools.lab.evaluate.identification import TARGETS
from tools.lab.evaluate.looks import Face, crops_of, matrix_of
from tools.lab.evaluate.material import Material, Work, subject_of
from tools.lab.evaluate.pipeline import Hits
from tools.lab.evaluate.report import AttackFigures, DetectionFigures, Named, PairFigures
from tools.lab.evaluate.verification import Pair, pair_figures
from tools.lab.manifest import Item


def pairs_of(work: Work) -> PairFigures | NotEvaluated:
    """Compare the pairs: the first picture as a reference, the second as a probe."""
    pairs = work.data.pairs
    if not pairs:
        return NotEvaluated("there is no file of pairs beside the manifest")
    owner = {i.path: i.identities[0] for i in work.data.items if len(i.identities) == 1}
    scores = np.array([_score(work, pair) for pair in pairs], np.float64)
    names = [owner.get(pair.first, str(pair.first)) for pair in pairs]
    return pair_figures(pairs, scores, np.array(names, np.str_))


def _score(work: Work, pair: Pair) -> float:
    reference = work.gatherer.enrolments[pair.first].template
    subject = subject_of(work.gatherer.looks[pair.second])
    if not reference or subject is None or not subject.template:
        return -np.inf
    probe = matrix_of([subject.exact], work.pipeline.dimension)
    gallery = work.pipeline.gallery([[reference]])
    return float((probe @ gallery.matrix.T)[0, 0])


def detection_of(work: Work, material: Material, thresholds: Sequence[float]) -> DetectionFigures:
    """Return what is found where there are faces, and where there are none."""
    plan, looks = work.plan, work.gatherer.looks
    annotated = detection.boxes_in(work.data.boxes) if work.data.boxes else []
    groups = {item.path: looks[item.path] for item in plan.groups}
    recall, by_source = detection.recall_of(annotated, groups)
    counts = [len(looks[item.path].faces) for item in plan.negatives]
    mean, low, high = detection.per_picture(counts) or (None, None, None)
    any_face = np.array(counts, np.intp) > 0
    compared = [any(face.template for face in looks[i.path].faces) for i in plan.negatives]
    gallery = work.pipeline.gallery(material.watchlist)
    best = [_best_score(work, item, gallery) for item in plan.negatives]
    return DetectionFigures(
        recall=recall,
        recall_by_source=by_source,
        found_in_pictures_of_people=detection.found_by_set(
            plan.probes, looks, material.gallery_items, work.gatherer.enrolments
        ),
        negatives_with_a_detection=detection.share_of_pictures(plan.negatives, any_face),
        false_per_picture=mean,
        false_per_picture_low=low,
        false_per_picture_high=high,
        negatives_by_subset=detection.by_subset(plan.negatives, any_face),
        compared=detection.share_of_pictures(plan.negatives, np.array(compared, np.bool_)),
        candidates=[
            Named(
                f"FPIR {target:g}",
                detection.share_of_pictures(plan.negatives, np.array(best) >= threshold),
            )
            for target, threshold in zip(TARGETS, thresholds, strict=True)
        ],
    )


def _best_score(work: Work, item: Item, gallery: Gallery) -> float:
    """Return the highest score of a candidate that any face of a picture raises."""
    faces = [face for face in work.look(item).faces if face.template]
    return float(_searched(work, gallery, faces).scores.max()) if faces else -np.inf


def _searched(work: Work, gallery: Gallery, faces: list[Face]) -> Hits:
    """Search faces that may be compared."""
    return work.pipeline.search(gallery, crops_of(faces, work.pipeline.dimension))


def attacks_of(work: Work, material: Material, thresholds: Sequence[float]) -> AttackFigures:
    """Return what attack detection lets through, and whom attacks would raise."""
    place_of = {name: place for place, name in enumerate(material.gallery)}
    gallery = work.pipeline.gallery(material.watchlist)
    raised: dict[Path, list[bool]] = {}
    for item in work.plan.spoofs:
        owner = place_of.get("|".join(item.identities))
        if owner is None:
            continue
        subject = subject_of(work.look(item))
        score = -np.inf
        if subject is not None and subject.template and not subject.attack:
            hits = _searched(work, gallery, [subject])
            score = float(hits.scores[0]) if hits.best[0] == owner else -np.inf
        raised[item.path] = [bool(score >= threshold) for threshold in thresholds]
    return attack_figures(
        work.pipeline.attack_detection,
        work.plan.spoofs,
        work.plan.probes,
        work.gatherer.looks,
        raised,
    )
