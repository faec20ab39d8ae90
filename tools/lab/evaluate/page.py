"""The page for people: one self-contained HTML file, for a screen, a phone and paper."""

from html import escape

from tools.lab.evaluate.figures import bare, percent, wanted
from tools.lab.evaluate.markup import STYLE, Html, cards, facts, note, section
from tools.lab.evaluate.page_errors import (
    acquisition_section,
    attack_section,
    condition_section,
    detection_section,
    differential_section,
)
from tools.lab.evaluate.page_scores import (
    identification_section,
    statement_section,
    verification_section,
)
from tools.lab.evaluate.report import Evaluation

_MAIN_TARGET = 0.003


def page_of(evaluation: Evaluation) -> str:
    """Return the page."""
    body = "".join(
        (
            _head(evaluation),
            statement_section(evaluation),
            identification_section(evaluation),
            condition_section(evaluation),
            differential_section(evaluation),
            acquisition_section(evaluation),
            verification_section(evaluation),
            detection_section(evaluation),
            attack_section(evaluation),
            _method(evaluation),
            _origin(evaluation),
        )
    )
    # A figure and its sign stay on one line.
    body = body.replace(" %", "\u00a0%")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Passerby evaluation</title><style>{STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def _head(evaluation: Evaluation) -> str:
    data, version = evaluation.data, evaluation.pipeline
    whole = next(f for f in evaluation.identification if f.whole_gallery)
    point = next(p for p in whole.points if p.target_fpir == _MAIN_TARGET)
    stated = next(
        t
        for t in evaluation.statement.thresholds
        if t.whole_gallery and t.target_fpir == _MAIN_TARGET
    )
    proven = stated.threshold_upper_bound
    names = ", ".join(model.name for model in version.models)
    tpir, fpir = point.tpir, point.fpir
    found = f"95 %: {bare(tpir.low)}–{bare(tpir.high)} %, {tpir.subjects:,} people"
    wrong = f"{fpir.events:,} of {fpir.trials:,} passes; at most {percent(stated.fpir_bound)}"
    passes = f"{stated.independent_non_mated_passes:,} independent non-mated passes"
    sign = "none" if proven is None else f"{proven:.4f}"
    at = f"at FPIR {wanted(_MAIN_TARGET)}, list of {whole.list_size:,}"
    return (
        Html(
            "<header><h1>How often is it wrong, and for whom?</h1>"
            f'<p class="soft">Passerby {escape(version.passerby)}, {version.collection} models '
            f"({escape(names)}), {escape(version.attack_detection)}</p></header>"
        )
        + cards(
            [
                (f"finds enrolled people {at} (TPIR)", percent(tpir.value), found),
                ("names a stranger (FPIR)", percent(fpir.value), f"{wrong} at 95 %"),
                ("threshold to sign", sign, f"{passes}; seen at {point.threshold:.4f}"),
            ]
        )
        + note(evaluation.notice)
        + _unsupported(evaluation)
        + _apart(data.made_up_probes_apart)
    )


def _unsupported(evaluation: Evaluation) -> str:
    missing = sorted(
        {t.target_fpir for t in evaluation.statement.thresholds if not t.supported}, reverse=True
    )
    if not missing:
        return ""
    rates = " and ".join(wanted(target) for target in missing)
    people = min(t.independent_non_mated_passes for t in evaluation.statement.thresholds)
    return note(
        f"{people:,} independent non-mated passes cannot show an FPIR of {rates}: no threshold may "
        "be signed for it."
    )


def _apart(probes: int) -> str:
    if not probes:
        return ""
    return Html(
        f'<p class="soft">{probes:,} probes that were simulated, or show people who do not exist, '
        "are in the conditions only: they are no evidence about real people.</p>"
    )


def _method(evaluation: Evaluation) -> str:
    return section(
        "How to read this",
        "A search is one picture compared with one list, as `passerby match` does it: the most "
        "prominent face of the picture, the quality gate, one template, the best reference if it "
        "leads by the margin and reaches the threshold. A mated search asks for somebody who is on "
        "the list, and errs when the right reference is not returned; a picture that gave nothing "
        "to compare counts as such an error. A non-mated search asks for somebody who is not on "
        "the list, and errs when any reference is returned.",
        f"Intervals hold 95 % and come from {evaluation.resamples:,} resamples of people, mated "
        "and non-mated apart; n is the number of people, or of pictures where there are no people. "
        "What never (or always) happened has the bound of the rule of three. An interval of TPIR "
        "or FNIR at a wanted FPIR counts that the threshold was chosen on the same strangers. "
        "Nothing that was not measured reads 0.",
    )


def _origin(evaluation: Evaluation) -> str:
    data, version = evaluation.data, evaluation.pipeline
    models = [(f"{m.role} {m.name}", Html(f"<code>{m.sha256}</code>")) for m in version.models]
    left_out = "; ".join(f"{count:,} × {reason}" for reason, count in data.left_out.items())
    return section(
        "What was evaluated",
        facts(
            [
                *models,
                ("code", Html(f"<code>{version.code_sha256}</code>")),
                *version.settings.items(),
                ("manifest", Html(f"<code>{data.manifest_sha256}</code>")),
                ("files", Html(f"<code>{data.files_sha256}</code>")),
                ("gallery", f"{data.gallery_people:,} people, {data.gallery_pictures:,} pictures"),
                ("mated probes", f"{data.mated_probes:,} of {data.mated_people:,} people"),
                ("non-mated", f"{data.non_mated_probes:,} of {data.non_mated_people:,} people"),
                ("unreadable pictures", data.unreadable_pictures),
                ("lines left out", left_out or "none"),
                *evaluation.environment.items(),
            ]
        ),
    )
