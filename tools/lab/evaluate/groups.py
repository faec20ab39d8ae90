"""Differences between groups of people (ISO/IEC 19795-10, R30), never nought for what is unknown.

One threshold for everybody, the whole gallery enrolled. What group a person is in is what the
manifest says of them; nothing is inferred from a face.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tools.lab.evaluate.figures import Figure, NotEvaluated, Rate, Ratio
from tools.lab.evaluate.rates import FEWEST_OF_GROUP, Counts, rate, ratio
from tools.lab.evaluate.report import Differential, GroupFigures
from tools.lab.manifest import Item

Attribute = Literal["gender", "ethnicity", "age"]
ATTRIBUTES: tuple[Attribute, ...] = ("gender", "ethnicity", "age")
_BANDS = ((18, "under 18"), (30, "18 to 29"), (45, "30 to 44"), (60, "45 to 59"))
_OLDEST = "60 and over"
_UNKNOWN = {"", "na", "n/a", "none", "unknown", "?", "-"}


@dataclass(frozen=True, slots=True)
class Events:
    """Trials of one kind: whose they were, how many errors there were, in how many trials each."""

    names: npt.NDArray[np.str_]
    happened: Counts
    trials: npt.NDArray[np.intp]

    @classmethod
    def single(cls, names: npt.NDArray[np.str_], happened: npt.NDArray[np.bool_]) -> "Events":
        """Return trials that stand for themselves."""
        return cls(names, happened, np.ones(len(names), np.intp))


@dataclass(frozen=True, slots=True)
class Errors:
    """The kinds of error that are compared between groups."""

    fte: Events
    fta: Events
    fnir: Events
    fpir: Events
    fmr: Events

    @property
    def kinds(self) -> tuple[Events, ...]:
        """Return them in the order of their names here."""
        return self.fte, self.fta, self.fnir, self.fpir, self.fmr


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the errors were counted. target: wanted FPIR. fpir, fmr: the two thresholds."""

    target: float
    fpir: float
    fmr: float


def groups_of(items: Sequence[Item], attribute: Attribute) -> dict[str, str]:
    """Return the group of each person of whom the manifest says one, and only one."""
    said: dict[str, set[str]] = {}
    for item in items:
        value = _group(attribute, getattr(item, attribute))
        if value and len(item.identities) == 1:
            said.setdefault(item.identities[0], set()).add(value)
    return {name: values.pop() for name, values in said.items() if len(values) == 1}


def _group(attribute: Attribute, text: str) -> str:
    text = text.strip().lower()
    if text in _UNKNOWN:
        return ""
    if attribute != "age":
        return text
    try:
        years = float(text)
    except ValueError:
        return ""
    return next((name for limit, name in _BANDS if years < limit), _OLDEST)


def differential_of(
    attribute: Attribute, group_of: dict[str, str], errors: Errors, at: Thresholds
) -> Differential:
    """Return the figures of every group of one attribute."""
    known = [_known(events, group_of) for events in errors.kinds]
    labels = [_labels(events, group_of) for events in known]
    groups = [_figures(group, known, labels) for group in sorted(set(group_of.values()))]
    people = {name for events in errors.kinds for name in events.names.tolist()}
    sizes = [
        figure.subjects
        for group in groups
        for figure in (group.fte, group.fta, group.fnir, group.fpir, group.fmr)
        if isinstance(figure, Rate)
    ]
    return Differential(
        attribute=attribute,
        target_fpir=at.target,
        threshold=at.fpir,
        fmr_threshold=at.fmr,
        everyone=_figures(None, known, labels),
        groups=groups,
        not_known=len(people - set(group_of)),
        smallest=min(sizes, default=0),
    )


def _known(events: Events, group_of: dict[str, str]) -> Events:
    keep = np.array([name in group_of for name in events.names.tolist()], np.bool_)
    return Events(events.names[keep], events.happened[keep], events.trials[keep])


def _labels(events: Events, group_of: dict[str, str]) -> npt.NDArray[np.str_]:
    return np.array([group_of[name] for name in events.names.tolist()], np.str_)


def _figures(
    group: str | None, known: list[Events], labels: list[npt.NDArray[np.str_]]
) -> GroupFigures:
    """Return a group's figures; those of everybody for None."""
    inside = [
        np.ones(len(label), np.bool_) if group is None else label == group for label in labels
    ]
    figures = [_rate(events, mask) for events, mask in zip(known, inside, strict=True)]
    ratios = [
        _ratio(figure, events, mask)
        for figure, events, mask in zip(figures, known, inside, strict=True)
    ]
    fte, fta, fnir, fpir, fmr = figures
    return GroupFigures(
        group="everyone" if group is None else group,
        fte=fte,
        fta=fta,
        fnir=fnir,
        fnir_ratio=ratios[2],
        fpir=fpir,
        fpir_ratio=ratios[3],
        fmr=fmr,
        fmr_ratio=ratios[4],
    )


def _rate(events: Events, mask: npt.NDArray[np.bool_]) -> Figure:
    return rate(
        events.happened[mask],
        events.names[mask],
        trials=events.trials[mask],
        fewest=FEWEST_OF_GROUP,
    )


def _ratio(figure: Figure, events: Events, mask: npt.NDArray[np.bool_]) -> Ratio | NotEvaluated:
    if isinstance(figure, NotEvaluated):
        return figure
    return ratio(events.happened, events.names, mask, trials=events.trials)
