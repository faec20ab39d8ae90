"""Matching: the list in memory, and the comparison.

In: `Probe`s, inside `Sighting`s. Out: `Candidate`s and, once enough shots agree, `Confirmed` ones.
Never: keeps a probe, publishes a score. A face below the threshold leaves nothing behind; one above
it leaves a reference id and a few numbers until its track ends. Answers for R13 and R47.
"""

from device.matching.comparison import Candidate, Limits, compare, scores_of
from device.matching.confirmation import Confirmation, Confirmed
from device.matching.cooldown import Cooldown
from device.matching.gallery import Gallery

__all__ = [
    "Candidate",
    "Confirmation",
    "Confirmed",
    "Cooldown",
    "Gallery",
    "Limits",
    "compare",
    "scores_of",
]
