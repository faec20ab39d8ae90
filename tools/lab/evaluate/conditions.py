"""Figures by condition: each subset and source set of the manifest, at the thresholds of all."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from tools.lab.evaluate.figures import Figure
from tools.lab.evaluate.plan import made_up
from tools.lab.evaluate.rates import FEWEST_OF_CONDITION, rate
from tools.lab.evaluate.report import Condition
from tools.lab.manifest import Item

Flags = npt.NDArray[np.bool_]
Kind = Literal["source_set", "subset"]


class Outcomes:
    """What became of each probe in the whole gallery.

    items: (n,) the probes. failed: not acquired. first: the right reference came first. hits:
    (targets, n) whether the candidate that counts was returned at each threshold.
    """

    def __init__(self, items: Sequence[Item], failed: Flags, first: Flags, hits: Flags) -> None:
        self.items = items
        self.failed = failed
        self.first = first
        self.hits = hits
        self.names = np.array([item.identities[0] for item in items], np.str_)

    def of(self, kind: Kind, name: str) -> Flags:
        """Return which probes are of a condition."""
        return np.array([getattr(item, kind) == name for item in self.items], np.bool_)

    def rate(self, events: Flags, only: Flags) -> Figure:
        """Return a rate of the probes `only`."""
        return rate(events[only], self.names[only], fewest=FEWEST_OF_CONDITION)


def conditions_of(mated: Outcomes, non_mated: Outcomes) -> list[Condition]:
    """Return all conditions in the order of their names, source sets first."""
    items = [*mated.items, *non_mated.items]
    kinds: tuple[Kind, ...] = ("source_set", "subset")
    return [
        _condition(kind, name, mated, non_mated)
        for kind in kinds
        for name in sorted({getattr(item, kind) for item in items} - {""})
    ]


def _condition(kind: Kind, name: str, mated: Outcomes, non_mated: Outcomes) -> Condition:
    ours, theirs = mated.of(kind, name), non_mated.of(kind, name)
    items = [item for item in (*mated.items, *non_mated.items) if getattr(item, kind) == name]
    people = np.concatenate([mated.names[ours], non_mated.names[theirs]])
    failed = np.concatenate([mated.failed[ours], non_mated.failed[theirs]])
    return Condition(
        kind=kind,
        name=name,
        made_up=all(made_up(item) for item in items),
        pictures=len(items),
        people=len(np.unique(people)),
        fta=rate(failed, people, fewest=FEWEST_OF_CONDITION),
        rank_1=mated.rate(mated.first, ours),
        tpir=[mated.rate(hits, ours) for hits in mated.hits],
        fpir=[non_mated.rate(hits, theirs) for hits in non_mated.hits],
    )
