"""Who is found, at the same rate of false alerts for everybody.

What is compared with what. *Score protocol*, for all contestants alike: a passage's score is the
highest that any of its comparisons had; a contestant's threshold is its own, the lowest at which at
most a given part of the strangers' passages reach it (FPIR); at that threshold the enrolled
people's passages are counted in which their own reference reaches it and leads (TPIR, rank 1). The
threshold is chosen on the same strangers on whom it is stated, for all alike: these rates compare
contestants, and promise nothing for other people. *Own rule*, for contestants that have one:
what it alerted, at its own default threshold.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tools.lab.bench.contest import Contested
from tools.lab.bench.worker import PassageScores
from tools.lab.statistics import upper_bound

FALSE_ALERTS: Final = (0.0, 0.1)
"""Parts of the strangers' passages that may alert."""
_TWO_SIDED: Final = 0.975


@dataclass(frozen=True, slots=True)
class Rate:
    """hits of `total`, with an exact 95 % interval (Clopper and Pearson, Biometrika 26, 1934)."""

    hits: int
    total: int

    @property
    def share(self) -> float:
        """The proportion, in [0, 1]; nan for none."""
        return self.hits / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end; (0, 1) for none."""
        if not self.total:
            return 0.0, 1.0
        low = 1 - upper_bound(self.total - self.hits, self.total, _TWO_SIDED)
        return low, upper_bound(self.hits, self.total, _TWO_SIDED)


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """A contestant at one rate of false alerts.

    allowed: part of strangers that may alert. threshold: the lowest that keeps to it, on the
    contestant's own scale; minus infinity when everybody may. found: who was, for pairs.
    """

    allowed: float
    threshold: float
    false_alerts: Rate
    found_rate: Rate
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnRule:
    """What a contestant's own rule did. others: enrolled people's passages with a wrong name."""

    found_rate: Rate
    false_alerts: Rate
    others: Rate


def at_thresholds(
    passages: Sequence[PassageScores], allowed: Sequence[float] = FALSE_ALERTS
) -> list[AtThreshold]:
    """Return the score protocol's figures for each allowed part of false alerts, in [0, 1]."""
    strangers = sorted((_highest(p) for p in passages if not p.enrolled), reverse=True)
    enrolled = [p for p in passages if p.enrolled]
    return [_at(part, strangers, enrolled) for part in allowed]


def _at(part: float, strangers: list[float], enrolled: list[PassageScores]) -> AtThreshold:
    may = math.floor(part * len(strangers) + 1e-9)
    # The highest score that may not alert; just above it is the lowest threshold.
    refused = strangers[may] if may < len(strangers) else -math.inf
    threshold = math.nextafter(refused, math.inf) if refused > -math.inf else -math.inf
    alerts = sum(score >= threshold and score > -math.inf for score in strangers)
    found = tuple(p.identity for p in enrolled if _is_found(p, threshold))
    return AtThreshold(
        allowed=part,
        threshold=threshold,
        false_alerts=Rate(alerts, len(strangers)),
        found_rate=Rate(len(found), len(enrolled)),
        found=found,
    )


def _is_found(passage: PassageScores, threshold: float) -> bool:
    own = passage.best.get(passage.identity, -math.inf)
    return own > -math.inf and own >= threshold and own >= _highest(passage)


def _highest(passage: PassageScores) -> float:
    """Return a passage's score; minus infinity where nothing was compared."""
    return max(passage.best.values(), default=-math.inf)


def own_rule(passages: Sequence[PassageScores]) -> OwnRule | None:
    """Return what the contestant's own rule did; None when it never alerted and so may have none.

    Somebody enrolled is found when their own reference alerted, whoever else did besides.
    """
    if not any(passage.alert for passage in passages):
        return None
    enrolled = [p for p in passages if p.enrolled]
    strangers = [p for p in passages if not p.enrolled]
    return OwnRule(
        found_rate=Rate(sum(p.identity in p.alert for p in enrolled), len(enrolled)),
        false_alerts=Rate(sum(bool(p.alert) for p in strangers), len(strangers)),
        others=Rate(sum(bool(p.alert.keys() - {p.identity}) for p in enrolled), len(enrolled)),
    )


def separation(passages: Sequence[PassageScores]) -> float:
    """Return how far apart enrolled people's own scores and strangers' highest lie: d'.

    The difference of the two means over the root mean square of the two standard deviations, free
    of a contestant's scale; it still tells contestants apart where all find everybody. Passages in
    which nobody was compared do not count; nan where fewer than two of either kind do.
    """
    own = [p.best[p.identity] for p in passages if p.enrolled and p.identity in p.best]
    others = [_highest(p) for p in passages if not p.enrolled and p.best]
    if min(len(own), len(others)) < 2:  # noqa: PLR2004 - one value has no spread
        return math.nan
    spread = math.sqrt((statistics.variance(own) + statistics.variance(others)) / 2)
    apart = statistics.mean(own) - statistics.mean(others)
    return apart / spread if spread else math.inf


def passages_of(contested: Contested, contestant: str, clip: str) -> list[PassageScores]:
    """Return a contestant's passages of a clip from its first run; [] where it did not run."""
    runs = [r.run for r in contested.runs if (r.contestant, r.run.clip) == (contestant, clip)]
    return runs[0].passages if runs else []
