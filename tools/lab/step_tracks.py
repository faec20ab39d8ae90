"""Several shots of one person as a track: which rule over their scores finds most.

A data set has no tracks of many strangers, so up to four probes of one person stand in for the
shots of a passage, and the same people, their own reference left out, for strangers. Shots of a
real passage resemble each other more, so the gain of fusing them is smaller there.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from device.vision.inference import Floats
from tools.lab.step_figures import Codes, Searches, search

_SHOTS = 4
_FEWEST = 3
_MISSED = np.float32(-9)

Rule = Callable[[Floats, Floats], Floats]
"""Shots' scores (shots, references) and qualities (shots,) become the track's, (references,)."""


def _best(scores: Floats, _qualities: Floats) -> Floats:
    return np.asarray(scores.max(axis=0), np.float32)


def _two_agree(scores: Floats, _qualities: Floats) -> Floats:
    return np.asarray(np.sort(scores, axis=0)[-2], np.float32)


def _mean(scores: Floats, _qualities: Floats) -> Floats:
    return np.asarray(scores.mean(axis=0), np.float32)


def _weighed(scores: Floats, qualities: Floats) -> Floats:
    return np.asarray(qualities @ scores / qualities.sum(), np.float32)


TRACK_RULES: Final[dict[str, Rule]] = {
    "the best shot": _best,
    "two shots that agree: the device": _two_agree,
    "the mean of the shots": _mean,
    "their mean weighed by quality": _weighed,
}


def searches_of_tracks(scores: Floats, qualities: Floats, owner: Codes) -> dict[str, Searches]:
    """Return the searches of each rule, by its name; none where nobody has three probes.

    scores: (m, references) of acquired mated probes. qualities: (m,). owner: (m,) places.
    """
    whose, counts = np.unique(owner, return_counts=True)
    tracks = [np.flatnonzero(owner == place)[:_SHOTS] for place in whose[counts >= _FEWEST]]
    if not tracks:
        return {}
    places = np.array([owner[rows[0]] for rows in tracks], np.intp)
    people = np.arange(len(tracks))
    found = {}
    for name, rule in TRACK_RULES.items():
        fused = np.stack([rule(scores[rows], qualities[rows]) for rows in tracks])
        others = fused.copy()
        others[people, places] = _MISSED
        found[name] = search(fused, others, places, people, people)
    return found
