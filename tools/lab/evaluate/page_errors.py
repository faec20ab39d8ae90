"""The parts of the page that are about where and for whom it errs."""

from tools.lab.evaluate.figures import Figure, NotEvaluated, Rate, Ratio, bare, text_of, wanted
from tools.lab.evaluate.markup import Html, facts, paragraph, part, section, table
from tools.lab.evaluate.plot import Whisker, interval_plot
from tools.lab.evaluate.rates import FEWEST_OF_CONDITION
from tools.lab.evaluate.report import (
    Acquisition,
    Condition,
    DetectionFigures,
    Differential,
    Evaluation,
    GroupFigures,
    Named,
)

BLANK = Html('<td class="no">–</td>')


def condition_section(evaluation: Evaluation) -> str:
    """Return the figures by source set and subset."""
    targets = [wanted(target) for target in evaluation.target_fpirs]
    head = (
        "",
        "pictures",
        "people",
        "FTA",
        "rank 1",
        *(f"TPIR at {t}" for t in targets),
        *(f"FPIR at {t}" for t in targets),
    )
    return section(
        "By condition",
        "Each with the whole gallery enrolled, at the thresholds that keep the wanted FPIR over "
        "all; a condition of fewer than ten people is not evaluated.",
        part("Source sets", _conditions(evaluation, "source_set", head)),
        part("Subsets", _conditions(evaluation, "subset", head)),
    )


def _conditions(evaluation: Evaluation, kind: str, head: tuple[str, ...]) -> str:
    ours = [c for c in evaluation.conditions if c.kind == kind]
    if not ours:
        return "The manifest names none."
    rows = [_condition(c) for c in ours if c.people >= FEWEST_OF_CONDITION]
    few = [f"{c.name} ({c.people:,})" for c in ours if c.people < FEWEST_OF_CONDITION]
    rest = f"Not evaluated, with so many people: {', '.join(few)}." if few else ""
    return Html(table(head, rows) + paragraph(rest))


def _condition(condition: Condition) -> tuple[object, ...]:
    name = condition.name + (" (made up)" if condition.made_up else "")

    def shown(figure: Figure) -> object:
        """Nothing is asked of strangers' TPIR, nor of enrolled people's FPIR."""
        return BLANK if isinstance(figure, NotEvaluated) and figure.subjects == 0 else figure

    figures = (condition.rank_1, *condition.tpir, *condition.fpir)
    return (
        name,
        f"{condition.pictures:,}",
        f"{condition.people:,}",
        condition.fta,
        *(shown(figure) for figure in figures),
    )


def differential_section(evaluation: Evaluation) -> str:
    """Return the differences between groups."""
    return section(
        "Differences between groups",
        "One threshold for everybody, whole gallery enrolled. The groups are those that the "
        "manifest names; nothing is inferred from a face. A group of fewer than 30 people is not "
        "evaluated, and a difference whose intervals overlap may be none.",
        *(_differential(differential) for differential in evaluation.differentials),
    )


def _differential(differential: Differential) -> str:
    title = f"{differential.attribute.capitalize()}, FPIR {wanted(differential.target_fpir)}"
    if not differential.groups:
        return part(title, "Not evaluated: the manifest does not say.")
    everyone = differential.everyone.fnir
    reference = everyone.value if isinstance(everyone, Rate) else None
    shown = [group for group in differential.groups if _evaluated(group)]
    evaluated = [group for group in shown if isinstance(group.fnir, Rate)]
    plot = interval_plot(
        [_whisker(group.group, group.fnir) for group in evaluated],
        reference,
        f"FNIR by {differential.attribute}",
    )
    rows = [
        (
            g.group,
            g.fte,
            g.fta,
            g.fnir,
            _ratio(g.fnir_ratio),
            g.fpir,
            _ratio(g.fpir_ratio),
            g.fmr,
            _ratio(g.fmr_ratio),
        )
        for g in (*shown, differential.everyone)
    ]
    few = [group.group for group in differential.groups if group not in shown]
    rest = f"Not evaluated, with too few people: {', '.join(few)}." if few else ""
    return part(
        title,
        Html(plot if len(evaluated) > 1 else ""),
        table(
            ("group", "FTE", "FTA", "FNIR", "ratio", "FPIR", "ratio", "FMR", "ratio"),
            rows,
            f"FNIR and FPIR at {differential.threshold:.4f}, FMR of single comparisons at "
            f"{differential.fmr_threshold:.4f}; ratios to everyone. Smallest sample: "
            f"{differential.smallest:,} people. Of {differential.not_known:,} people the manifest "
            "does not say, or says different things. The plot shows FNIR; broken: everyone.",
        ),
        rest,
    )


def _evaluated(group: GroupFigures) -> bool:
    return any(isinstance(f, Rate) for f in (group.fte, group.fta, group.fnir, group.fpir))


def _whisker(label: str, figure: Figure) -> Whisker:
    if isinstance(figure, NotEvaluated):
        return Whisker(label, None, 0, 0, "not evaluated")
    text = f"{bare(figure.low)}–{bare(figure.high)} %, n = {figure.subjects:,}"
    return Whisker(label, figure.value, figure.low, figure.high, text)


def _ratio(ratio: Ratio | NotEvaluated) -> object:
    if isinstance(ratio, NotEvaluated):
        return ratio
    if ratio.low == ratio.high:
        return BLANK
    return Html(f"{ratio.value:.2f}<small>{ratio.low:.2f}–{ratio.high:.2f}</small>")


def acquisition_section(evaluation: Evaluation) -> str:
    """Return failures to enrol and to acquire."""
    return section(
        "Failures to enrol and to acquire",
        "FTE: gallery pictures that enrolment refused. FTA: probes in which no face could be "
        "compared; they count as missed in every FNIR above.",
        part("Failure to enrol", _acquisition(evaluation.fte)),
        _named(evaluation.fte.by_set, "source set"),
        part("Failure to acquire", _acquisition(evaluation.fta)),
    )


def _acquisition(acquisition: Acquisition) -> str:
    reasons = "; ".join(f"{count:,} × {name}" for name, count in acquisition.reasons.items())
    return f"{text_of(acquisition.all)}. Reasons, all pictures: {reasons or 'none'}."


def _named(figures: list[Named], what: str) -> str:
    return table((what, "share"), [(n.name, n.figure) for n in figures], narrow=True)


def detection_section(evaluation: Evaluation) -> str:
    """Return detection recall and false detections."""
    found: DetectionFigures = evaluation.detection
    per_picture = (
        "not evaluated: no negative pictures"
        if found.false_per_picture is None
        else f"{found.false_per_picture:.3f} ({found.false_per_picture_low:.3f}–"
        f"{found.false_per_picture_high:.3f})"
    )
    candidates = [(f"raise a candidate, {n.name}", text_of(n.figure)) for n in found.candidates]
    return section(
        "Detection",
        part(
            "Annotated faces found (intersection over union at least 0.5)",
            f"{text_of(found.recall)}.",
            _named(found.recall_by_source, "annotated by"),
        ),
        part(
            "Pictures of people in which a face was found",
            _named(found.found_in_pictures_of_people, "source set"),
        ),
        part(
            "Pictures without a face",
            facts(
                [
                    ("with a detection", text_of(found.negatives_with_a_detection)),
                    ("detections per picture", per_picture),
                    ("pass the quality gate", text_of(found.compared)),
                    *candidates,
                ]
            ),
            _named(found.negatives_by_subset, "subset"),
        ),
    )


def attack_section(evaluation: Evaluation) -> str:
    """Return attack detection, or that there is none."""
    attacks = evaluation.attacks
    targets = [wanted(target) for target in evaluation.target_fpirs]
    rows = [
        (
            kind.name + (" (made up)" if kind.made_up else ""),
            f"{kind.pictures:,}",
            f"{kind.no_face:,}",
            kind.apcer,
            *(kind.raises or [NotEvaluated("nobody attacked is enrolled")] * len(targets)),
        )
        for kind in attacks.types
    ]
    intro = (
        "Not evaluated: no PAD. A photograph or a screen can raise an alert; the last columns show "
        "how often these did."
        if isinstance(attacks.bpcer, NotEvaluated) and attacks.detector == "no PAD"
        else f"{attacks.detector}. Real people judged an attack (BPCER): {text_of(attacks.bpcer)}."
    )
    return section(
        "Presentation attacks",
        intro,
        table(
            ("attack", "pictures", "no face", "APCER", *(f"raises, FPIR {t}" for t in targets)),
            rows,
        )
        or "The data holds no attacks.",
    )
