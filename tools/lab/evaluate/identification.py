"""Identification in lists of one size: FNIR and TPIR at wanted FPIRs, rank one, DET curve."""

import numpy as np
from msgspec import structs

from tools.lab.evaluate.figures import Rate
from tools.lab.evaluate.lists import DrawnList
from tools.lab.evaluate.rates import rate
from tools.lab.evaluate.report import DetPoint, IdentificationFigures, IdentificationPoint
from tools.lab.evaluate.searches import Probes, Searches
from tools.lab.evaluate.tradeoff import Point, Tradeoff

TARGETS = (0.01, 0.003, 0.001)
"""Wanted FPIRs; 0.003 is the operating point of NIST's FRTE 1:N."""
_CURVE_POINTS = 41
_LARGEST_SHARE = 0.3


def tradeoff_of(mated: Probes, non_mated: Probes, found: Searches, false: Searches) -> Tradeoff:
    """Return the trade-off of the searches that main figures count."""
    return Tradeoff(found.trials(mated, mated.counted), false.trials(non_mated, non_mated.counted))


def figures_of(
    tradeoff: Tradeoff, mated: Probes, found: Searches, lists: list[DrawnList], gallery: int
) -> IdentificationFigures:
    """Return the figures of the lists of one size. gallery: references of the whole gallery."""
    keep = mated.counted[found.rows]
    first = rate(found.first[keep], mated.names[found.rows[keep]])
    if not isinstance(first, Rate):
        raise TypeError("There are no mated searches.")
    size = len(lists[0].members)
    return IdentificationFigures(
        list_size=size,
        whole_gallery=size == gallery,
        lists=len(lists),
        imposed=max(0, size - gallery),
        mated_searches=len(tradeoff.mated.scores),
        non_mated_searches=len(tradeoff.non_mated.scores),
        rank_1=first,
        points=[_point(tradeoff.at(target)) for target in TARGETS],
        det=det_of(tradeoff),
    )


def _point(point: Point) -> IdentificationPoint:
    return IdentificationPoint(
        target_fpir=point.target,
        threshold=point.threshold,
        threshold_low=point.low,
        threshold_high=point.high,
        fpir=point.false_positive,
        fnir=point.false_negative,
        tpir=complement(point.false_negative),
    )


def complement(figure: Rate) -> Rate:
    """Return the rate of what did not happen."""
    return structs.replace(
        figure,
        value=1 - figure.value,
        low=1 - figure.high,
        high=1 - figure.low,
        events=figure.trials - figure.events,
    )


def det_of(tradeoff: Tradeoff) -> list[DetPoint]:
    """Return the DET curve, from the rate of one false positive in all trials upwards."""
    smallest = 1 / len(tradeoff.non_mated.scores)
    if smallest >= _LARGEST_SHARE:
        return []
    shares = np.geomspace(smallest, _LARGEST_SHARE, _CURVE_POINTS)
    return [DetPoint(*row) for row in tradeoff.curve(shares)]
