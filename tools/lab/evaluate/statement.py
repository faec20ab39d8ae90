"""The threshold statement: what a policy signs, and nothing it cannot stand for (R28, R29, R31).

A threshold belongs to one set of models, one pipeline, one list size and one evaluation. The
statement says for each list size and wanted FPIR at which threshold the rate was seen, from which
threshold it is shown with 95 % confidence, and how many independent passes stand behind it.
"""

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from device.protocol.alert import ModelHash
from device.protocol.event import Sha256
from tools.lab.evaluate.figures import Count, Rate, Share, percent, wanted
from tools.lab.evaluate.tradeoff import Point, Tradeoff
from tools.lab.statistics import needed_trials

STATEMENT_SCHEMA: Final = "urn:passerby:schema:threshold-statement:1"


class StatedThreshold(Struct, frozen=True, forbid_unknown_fields=True):
    """The threshold of one list size and one wanted FPIR.

    threshold: lowest at which the wanted rate was not exceeded in this data. threshold_upper_bound:
    the lowest at which the exact one-sided 95 % bound of the FPIR, counted over people, is within
    the wanted rate; null where there are too few people to show that. supported: whether there is
    one; without it nothing may be signed. fpir_bound: that bound at `threshold`.
    fnir, fnir_at_upper_bound: false negatives at the two. non_mated_passes: searches;
    independent_non_mated_passes: different people.
    """

    list_size: Count
    whole_gallery: bool
    target_fpir: Share
    supported: bool
    threshold: float
    threshold_upper_bound: float | None
    fpir: Rate
    fpir_bound: Share
    fnir: Rate
    fnir_at_upper_bound: Rate | None
    non_mated_passes: Count
    independent_non_mated_passes: Count
    words: str


class ThresholdStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """All that a policy needs to bind a threshold to.

    pipeline, settings, manifest_sha256, files_sha256: as in the evaluation.
    """

    passerby: str
    code_sha256: Sha256
    models: list[ModelHash]
    settings: dict[str, float]
    attack_detection: str
    manifest_sha256: Sha256
    files_sha256: Sha256
    thresholds: list[StatedThreshold]
    confidence: Literal["95 %, one-sided, exact, over people"] = (
        "95 %, one-sided, exact, over people"
    )
    format: Literal["passerby.threshold-statement.v1"] = "passerby.threshold-statement.v1"
    signed: Literal[False] = False


def stated(
    size: int, tradeoff: Tradeoff, targets: Sequence[float], *, whole: bool
) -> list[StatedThreshold]:
    """Return the statement of one list size for each wanted FPIR."""
    return [_stated(size, tradeoff, tradeoff.at(target), whole=whole) for target in targets]


def _stated(size: int, tradeoff: Tradeoff, point: Point, *, whole: bool) -> StatedThreshold:
    people = tradeoff.non_mated.subjects
    proven = point.proven
    return StatedThreshold(
        list_size=size,
        whole_gallery=whole,
        target_fpir=point.target,
        supported=proven is not None,
        threshold=point.threshold,
        threshold_upper_bound=proven,
        fpir=point.false_positive,
        fpir_bound=point.bound,
        fnir=point.false_negative,
        fnir_at_upper_bound=None if proven is None else tradeoff.mated.rate_at(proven, missed=True),
        non_mated_passes=len(tradeoff.non_mated.scores),
        independent_non_mated_passes=people,
        words=_words(size, point, people),
    )


def _words(size: int, point: Point, people: int) -> str:
    target = wanted(point.target)
    seen = (
        f"With {size:,} references, at {point.threshold:.4f}, "
        f"{point.false_positive.events:,} of {point.false_positive.trials:,} non-mated searches of "
        f"{people:,} people returned a candidate: at most {percent(point.bound)} at 95 %."
    )
    if point.proven is None:
        return (
            f"{seen} An FPIR of {target} cannot be shown with {people:,} people: without any error "
            f"they show no better than {percent(min(1.0, 3 / people))} (rule of three), and "
            f"{needed_trials(point.target):,} are needed. Nothing may be signed for it."
        )
    return f"{seen} From {point.proven:.4f} an FPIR of at most {target} is shown with 95 %."
