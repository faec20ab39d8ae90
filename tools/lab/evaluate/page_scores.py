"""The parts of the page that are about scores: thresholds, identification, one to one."""

from tools.lab.evaluate.figures import NotEvaluated, percent, wanted
from tools.lab.evaluate.markup import Html, part, section, table
from tools.lab.evaluate.plot import Curve, det_plot
from tools.lab.evaluate.report import DetPoint, Evaluation, PairFigures, VerificationPoint


def statement_section(evaluation: Evaluation) -> str:
    """Return the threshold statement."""
    rows = [
        (
            f"{stated.list_size:,}",
            wanted(stated.target_fpir),
            f"{stated.threshold:.4f}",
            Html('<span class="warn">not shown</span>')
            if stated.threshold_upper_bound is None
            else Html(f'<span class="good">{stated.threshold_upper_bound:.4f}</span>'),
            f"{stated.independent_non_mated_passes:,}",
            percent(stated.fpir_bound),
        )
        for stated in evaluation.statement.thresholds
    ]
    return section(
        "Threshold statement",
        "A threshold belongs to these models, this code, these settings and this list size. The "
        "first is where the wanted FPIR was kept in this data; only the second, its upper "
        "confidence bound, is shown with 95 % and may be signed.",
        table(
            (
                "list",
                "wanted FPIR",
                "threshold seen",
                "threshold to sign",
                "independent non-mated passes",
                "FPIR at the first, at most",
            ),
            rows,
        ),
        *(stated.words for stated in evaluation.statement.thresholds if stated.whole_gallery),
    )


def identification_section(evaluation: Evaluation) -> str:
    """Return FNIR and TPIR by list size, with the DET plot."""
    rows = [
        (
            f"{figures.list_size:,}" + (" (gallery)" if figures.whole_gallery else ""),
            f"{figures.lists:,}",
            f"{figures.imposed:,}",
            wanted(point.target_fpir),
            f"{point.threshold:.4f}",
            point.fpir,
            point.tpir,
            point.fnir,
            figures.rank_1,
        )
        for figures in evaluation.identification
        for point in figures.points
    ]
    missing = "".join(
        f"A list of {size.list_size:,} was not evaluated: {size.why}."
        for size in evaluation.missing_sizes
    )
    curves = [
        Curve(f"list of {figures.list_size:,}", _points(figures.det))
        for figures in evaluation.identification
    ]
    return section(
        "Identification by list size",
        "Lists smaller than the gallery are drawn from it again and again; larger ones are filled "
        "with imposed impostors, people who are not searched for in that list.",
        missing,
        Html(det_plot(curves, "FPIR: strangers named", "FNIR: enrolled people missed")),
        table(
            (
                "list",
                "drawn",
                "imposed",
                "wanted FPIR",
                "threshold",
                "FPIR",
                "TPIR",
                "FNIR",
                "rank 1",
            ),
            rows,
        ),
    )


def _points(det: list[DetPoint]) -> list[tuple[float, float, float, float]]:
    return [(p.false_positive, p.false_negative, p.low, p.high) for p in det]


def verification_section(evaluation: Evaluation) -> str:
    """Return the figures of single comparisons, and of pairs."""
    figures = evaluation.verification
    return section(
        "One to one",
        "One probe against one reference, without list and margin, acquired probes only: what the "
        "embedder can do, not what the device does.",
        Html(
            det_plot(
                [Curve("one comparison", _points(figures.det))],
                "FMR: different people match",
                "FNMR: one person does not match",
            )
        ),
        table(
            ("wanted FMR", "threshold", "FMR", "FNMR"),
            [_row(point) for point in figures.points],
            f"{figures.mated_comparisons:,} mated and {figures.non_mated_comparisons:,} non-mated "
            "comparisons",
            narrow=True,
        ),
        _pairs(evaluation.pairs),
    )


def _row(point: VerificationPoint) -> tuple[object, ...]:
    fnmr = point.fnmr if point.supported else NotEvaluated("too few comparisons to see this rate")
    return wanted(point.target_fmr), f"{point.threshold:.4f}", point.fmr, fnmr


def _pairs(pairs: PairFigures | NotEvaluated) -> str:
    if isinstance(pairs, NotEvaluated):
        return part("Pairs", f"Not evaluated: {pairs.why}.")
    return part(
        "Pairs",
        f"{pairs.same:,} pairs of one person and {pairs.different:,} of two; "
        f"{pairs.not_compared:,} could not be compared and count as wrong.",
        table(
            ("accuracy, ten folds of people", f"with one threshold, {pairs.one_threshold:.3f}"),
            [(pairs.accuracy, pairs.accuracy_one_threshold)],
            narrow=True,
        ),
        table(
            ("wanted FMR", "threshold", "FMR", "FNMR"),
            [_row(point) for point in pairs.points],
            narrow=True,
        ),
    )
