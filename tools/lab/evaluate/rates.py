"""Rates with intervals, from what happened to each subject."""

import numpy as np
import numpy.typing as npt

from tools.lab.evaluate.figures import Figure, Method, NotEvaluated, Rate, Ratio
from tools.lab.evaluate.resampling import Codes, Doubles, interval, per_subject, weights
from tools.lab.statistics import rule_of_three

PEOPLE: Method = "bootstrap over subjects"
PICTURES: Method = "bootstrap over pictures"

FEWEST_OF_GROUP = 30
"""A group of fewer subjects is not evaluated: the rule of three could not even show 10 %."""
FEWEST_OF_CONDITION = 10
"""A condition of fewer subjects is not evaluated."""


Names = npt.NDArray[np.str_] | npt.NDArray[np.intp]
"""Whose each trial is: the names of people or pictures, or numbers of them, (n,)."""

Counts = npt.NDArray[np.bool_] | npt.NDArray[np.intp]
"""How often something happened, (n,)."""


def coded(names: Names) -> tuple[Codes, int]:
    """Return a number from 0 for each name, equal for equal names, and how many there are."""
    _, codes = np.unique(names, return_inverse=True)
    return codes.astype(np.intp), int(codes.max()) + 1 if len(codes) else 0


def rate(
    events: Counts,
    names: Names,
    *,
    trials: Counts | None = None,
    fewest: int = 1,
    method: Method = PEOPLE,
) -> Figure:
    """Return the share of trials with an event.

    events: (n,) how often it happened, bool or whole numbers. names: to whom; one is drawn as a
    whole. trials: (n,) in how many trials; one each by default. fewest: below so many subjects it
    is not evaluated.
    """
    codes, subjects = coded(names)
    if subjects == 0:
        return NotEvaluated("there is none in the data")
    if subjects < fewest:
        return NotEvaluated(f"{subjects} are too few, at least {fewest} are needed", subjects)
    happened = per_subject(events.astype(np.float64), codes, subjects)
    tried = per_subject(_numbers(trials, events), codes, subjects)
    total, all_trials = int(happened.sum()), int(tried.sum())
    if total in (0, all_trials):
        return _without_exception(total, all_trials, subjects)
    drawn = weights(subjects)
    low, high = interval((drawn @ happened) / (drawn @ tried))
    value = total / all_trials
    return Rate(value, min(low, value), max(high, value), total, all_trials, subjects, method)


def _numbers(trials: Counts | None, events: Counts) -> Doubles:
    return np.ones(len(events)) if trials is None else trials.astype(np.float64)


def _without_exception(total: int, trials: int, subjects: int) -> Rate:
    """Resampling what always, or never, happened shows nothing; the rule of three does."""
    bound = rule_of_three(subjects)
    if total:
        return Rate(1.0, 1 - bound, 1.0, total, trials, subjects, "rule of three")
    return Rate(0.0, 0.0, bound, 0, trials, subjects, "rule of three")


def ratio(
    events: Counts,
    names: Names,
    inside: npt.NDArray[np.bool_],
    *,
    trials: Counts | None = None,
) -> Ratio | NotEvaluated:
    """Return the rate of a group over the rate of all.

    Arguments as in `rate`; inside: (n,) which are of the group. Both are resampled together, since
    the group is part of the whole.
    """
    codes, subjects = coded(names)
    if not events.any():
        return NotEvaluated("no error was seen in anyone", subjects)
    happened, tried = events.astype(np.float64), _numbers(trials, events)
    whole = happened.sum() / tried.sum()
    if not events[inside].any():
        bound = rule_of_three(len(np.unique(codes[inside])))
        return Ratio(0.0, 0.0, float(bound / whole))
    drawn = weights(subjects)

    def resampled(mask: Doubles) -> Doubles:
        errors = drawn @ per_subject(happened * mask, codes, subjects)
        return _quotient(errors, drawn @ per_subject(tried * mask, codes, subjects))

    quotients = _quotient(resampled(inside.astype(np.float64)), resampled(np.ones(len(happened))))
    low, high = interval(quotients[np.isfinite(quotients)])
    value = float(happened[inside].sum() / tried[inside].sum() / whole)
    return Ratio(value, min(low, value), max(high, value))


def _quotient(above: Doubles, below: Doubles) -> Doubles:
    """Divide; nothing by nought is no number."""
    result = np.full(len(below), np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result
