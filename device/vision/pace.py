"""Whether to look for faces in this frame: a rule over what is known without any pixel of it.

Looking is most of what a frame costs, and at 15 frames a second most frames show what the one
before showed. So: often where a closer look may soon bring something, seldom where it will not.
"""

from dataclasses import dataclass
from typing import Final

from device.vision.effort import Effort

_EAGER_PER_S: Final = 10.0
"""Where a face waits; faster, two shots would show the same picture."""
_SETTLED: Final = 0.6
"""Part of the rate that is left where nobody followed will get a comparison soon: enough to keep
them apart, and to see who joins them."""
_LEAST_FOLLOWS_PER_S: Final = 2.5
"""Slower, and one face overlooked once would end its track."""
_EARLY: Final = 0.1
"""Part of an interval by which a frame may come early. Cameras are not punctual: without it, one
that is a hair early would be passed over, and the next one be late by a frame."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of the street before a frame is searched.

    moved: something moved since the last detection. followed: tracks live. hopeful: some track may
    get a comparison soon, or would be lost if it were looked at seldom. waiting: some track waits
    for its confirmation, or for its turn.
    """

    moved: bool
    followed: bool
    hopeful: bool
    waiting: bool


def detections_per_s(outlook: Outlook, effort: Effort, full: Effort) -> float:
    """Return how often to detect; 0: not at all.

    full: the effort of the settings. A governor that asks for less slows waiting faces down too.
    """
    if not outlook.followed:
        return effort.searches_per_s if outlook.moved else 0.0
    if outlook.waiting:
        spared = min(1.0, effort.follows_per_s / full.follows_per_s)
        rate = max(_EAGER_PER_S * spared, effort.follows_per_s)
    elif outlook.hopeful:
        rate = effort.follows_per_s
    else:
        rate = _SETTLED * effort.follows_per_s
    return max(rate, _LEAST_FOLLOWS_PER_S)


def due(elapsed_s: float, per_s: float) -> bool:
    """Tell whether a frame is to be searched. elapsed_s: source time since the last detection.

    Source time that runs backwards means that a clip has started again.
    """
    if per_s <= 0:
        return False
    return elapsed_s < 0 or elapsed_s >= (1 - _EARLY) / per_s
