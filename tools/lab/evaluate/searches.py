"""All probes searched in lists of one size: what the device would return, as scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.lab.crops import Crops
from tools.lab.evaluate.lists import DrawnList
from tools.lab.evaluate.pipeline import Pipeline
from tools.lab.evaluate.resampling import Codes, Doubles
from tools.lab.evaluate.tradeoff import Trials


@dataclass(frozen=True, slots=True)
class Probes:
    """Probes of one kind, a row each.

    crops: what a device may see of them. comparable: whether it would compare it at all; the
    templates of the others are nought.
    owner: for a mated probe the place of its own reference, for a non-mated one the number of the
    stranger. names: whose it is. counted: whether main figures count it.
    """

    crops: Crops
    comparable: npt.NDArray[np.bool_]
    owner: Codes
    names: npt.NDArray[np.str_]
    counted: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Searches:
    """Searches of probes in lists; a probe may be searched in several.

    rows: which probe each was. scores: of the candidate that counts: for a mated probe the right
    one, for a non-mated one any; -inf where there is none at any threshold. first: whether the
    right reference came first, threshold and margin aside.
    """

    rows: Codes
    scores: Doubles
    first: npt.NDArray[np.bool_]

    def trials(self, probes: Probes, only: npt.NDArray[np.bool_]) -> Trials:
        """Return the searches of the probes `only`, (probes,) bool, as trials."""
        keep = only[self.rows]
        return Trials(self.scores[keep], probes.names[self.rows[keep]])


class Searcher:
    """Searches probes in watchlists made of references, as the device does."""

    def __init__(self, pipeline: Pipeline, references: Sequence[Sequence[bytes]]) -> None:
        """references: the templates of everybody who can be on a list, by their places."""
        self._pipeline = pipeline
        self._references = references

    def mated(self, probes: Probes, lists: list[DrawnList]) -> Searches:
        """Search each mated probe in the lists that hold its reference."""
        parts = []
        for drawn in lists:
            rows = np.flatnonzero(np.isin(probes.owner, drawn.members))
            best, scores = self._search(probes, rows, drawn)
            right = (drawn.members[best] == probes.owner[rows]) & probes.comparable[rows]
            parts.append((rows, np.where(right, scores, -np.inf), right))
        return _joined(parts)

    def non_mated(self, probes: Probes, lists: list[DrawnList]) -> Searches:
        """Search each non-mated probe in the lists that are there for it."""
        parts = []
        for drawn in lists:
            rows = np.flatnonzero(drawn.strangers[probes.owner])
            _, scores = self._search(probes, rows, drawn)
            parts.append((rows, scores, np.zeros(len(rows), np.bool_)))
        return _joined(parts)

    def _search(self, probes: Probes, rows: Codes, drawn: DrawnList) -> tuple[Codes, Doubles]:
        """Return the best reference's place in the list and its score for each row."""
        best = np.zeros(len(rows), np.intp)
        scores = np.full(len(rows), -np.inf)
        usable = probes.comparable[rows]
        if usable.any():
            gallery = self._pipeline.gallery([self._references[k] for k in drawn.members.tolist()])
            used = rows[usable]
            hits = self._pipeline.search(gallery, probes.crops[used])
            best[usable], scores[usable] = hits.best, hits.scores
        return best, scores


def _joined(parts: list[tuple[Codes, Doubles, npt.NDArray[np.bool_]]]) -> Searches:
    rows, scores, first = zip(*parts, strict=True)
    return Searches(np.concatenate(rows), np.concatenate(scores), np.concatenate(first))
