"""Figures of an evaluation: a rate with its uncertainty, or the words "not evaluated" (R30)."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]

Method = Literal["bootstrap over subjects", "bootstrap over pictures", "rule of three"]


class Rate(Struct, frozen=True, tag_field="state", tag="evaluated", forbid_unknown_fields=True):
    """A share of trials, events over trials. low, high: its 95 % interval.

    trials: searches, comparisons or pictures. subjects: the independent units among them that were
    drawn again, people or pictures as `method` says. Where the event happened never, or always, the
    interval is the rule of three over subjects.
    """

    value: Share
    low: Share
    high: Share
    events: Count
    trials: Count
    subjects: Count
    method: Method


class NotEvaluated(
    Struct, frozen=True, tag_field="state", tag="not evaluated", forbid_unknown_fields=True
):
    """No figure, and why. subjects: how many there were."""

    why: str
    subjects: Count = 0


Figure = Rate | NotEvaluated


class Ratio(Struct, frozen=True, tag_field="state", tag="evaluated", forbid_unknown_fields=True):
    """A group's rate over that of all, with its 95 % interval; 1 is no difference."""

    value: Annotated[float, Meta(ge=0)]
    low: Annotated[float, Meta(ge=0)]
    high: Annotated[float, Meta(ge=0)]


def text_of(figure: Figure) -> str:
    """Return "3.1 % (2.4–3.9)", "0 in 900: at most 0.33 % at 95 %" or "not evaluated: why"."""
    if isinstance(figure, NotEvaluated):
        return f"not evaluated: {figure.why}"
    if figure.method == "rule of three" and figure.events == 0:
        return f"0 in {figure.subjects:,}: at most {percent(figure.high)} at 95 %"
    if figure.method == "rule of three":
        return f"all of {figure.subjects:,}: at least {percent(figure.low)} at 95 %"
    return f"{percent(figure.value)} ({bare(figure.low)}–{bare(figure.high)})"


def percent(share: float) -> str:
    """Return a share as "3.1 %"; small ones with the digits that they need."""
    return f"{bare(share)} %"


def wanted(share: float) -> str:
    """Return a share that somebody chose, as "0.3 %"."""
    return f"{100 * share:g} %"


def bare(share: float) -> str:
    """Return a share in per cent without the sign: three significant digits, or one decimal."""
    value = 100 * share
    if value == 0 or value >= 1:
        return f"{value:.1f}"
    return f"{value:.2g}" if value < 0.1 else f"{value:.2f}"  # noqa: PLR2004 - one per mille
