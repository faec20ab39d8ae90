r"""The stop rule (R32): a device suspends itself once its false alerts are shown to be too many.

Rule. k: alerts of this deployment that verifiers found to be of another person ("false alert",
"confirmed false alert") since the desk last resumed the device. n: faces seen, that is tracks,
since then, while the device could alert: faces of silent mode raise no alert, and would dilute.
p0: the authorised FPIR. With X binomial of n and p0,

    P(X >= k) = sum over i from k to n of C(n, i) * p0^i * (1 - p0)^(n - i)

is the chance of so many false alerts if the rate were just the authorised one. The device stops
when P(X >= k) <= 1 - confidence; with k = 0 it is 1. That is the exact one-sided binomial test, and
the same as saying that the lower limit of Clopper and Pearson's interval for the rate lies at or
above p0 (C. J. Clopper, E. S. Pearson: The use of confidence or fiducial limits illustrated in the
case of the binomial, Biometrika 26, 1934).

What is not known counts against the device: where n is unknown it is the smallest that it can be,
the number of alerts, and any false alert then stops it.

The test is repeated with every adjudication, so that over a long deployment it stops a device whose
rate is just the authorised one more often than 1 - confidence says: docs/policy.md has the real
figures. It errs on the side of stopping; a person decides whether to resume.
"""

from math import exp, lgamma, log, log1p
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from device.protocol.authorisation import StopRule
from device.protocol.event import Uuid

_NEGLIGIBLE = 1e-18
_MOST = 10**9
"""Thirty years of a face a second; what counts on from there would only dilute."""
_Count = Annotated[int, Meta(ge=0, le=_MOST)]


class Exposure(Struct, frozen=True, forbid_unknown_fields=True):
    """How many faces were seen and alerts raised since the stop rule began to count.

    deployment, threshold_id, resumed: what it counts for (`Standing`); another of any starts at
    nothing. Whoever keeps it over restarts adds as the ledger grows.
    """

    deployment: Uuid | None = None
    resumed: int = 0
    faces: _Count = 0
    alerts: _Count = 0
    threshold_id: str | None = None

    def grown(
        self,
        faces: int,
        alerts: int,
        *,
        deployment: str | None,
        resumed: int,
        threshold_id: str | None = None,
    ) -> "Exposure":
        """Return the counts after so many more faces and alerts."""
        counted_for = (deployment, resumed, threshold_id)
        before = self
        if counted_for != self.counted_for:
            before = Exposure(deployment, resumed, threshold_id=threshold_id)
        return msgspec.structs.replace(
            before,
            faces=min(before.faces + faces, _MOST),
            alerts=min(before.alerts + alerts, _MOST),
        )

    @property
    def counted_for(self) -> tuple[str | None, int, str | None]:
        """What these counts belong to: deployment, resume, threshold."""
        return self.deployment, self.resumed, self.threshold_id


def verdict(rule: StopRule, false_alerts: int, faces: int | None, alerts: int = 0) -> str | None:
    """Return why the device must suspend itself, in a sentence, or None.

    false_alerts, faces: k and n of the module's text; faces None where the count was lost. alerts:
    raised since the last resume, as far as known.
    """
    seen = max(false_alerts, alerts if faces is None else faces)
    if chance_of_so_many(false_alerts, seen, rule.authorised_fpir) > 1 - rule.confidence:
        return None
    # How many people have passed is not said: this sentence leaves in the status, and the counts
    # of passers-by leave in the record alone (R16).
    of = "faces seen" if faces is not None else f"{seen:,} alerts (faces unknown)"
    one_in = f"1 in {1 / rule.authorised_fpir:,.0f}"
    return (
        f"This device has suspended itself: {false_alerts:,} false alerts are more than the "
        f"authorised {one_in} of the {of}, with {rule.confidence:.1%} confidence; the officer must "
        "look into it, and only the desk can resume the device."
    )


def chance_of_so_many(k: int, n: int, p: float) -> float:
    """Return P(X >= k) for X binomial of n trials with probability p, 0 < p < 1.

    Relative error below 1e-5 for n up to 10^8, where the logarithms of the factorials have lost
    seven digits; below 1e-10 for n up to 10^4.
    """
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    if k > n * p:
        return min(1.0, _tail(k, n, p))
    # The smaller tail is added up, so that nothing is lost in a difference.
    return max(0.0, 1.0 - _tail(n - k + 1, n, 1 - p))


def _tail(k: int, n: int, p: float) -> float:
    """Return P(X >= k) where k is above the mean: terms that only get smaller."""
    ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    term = exp(ways + k * log(p) + (n - k) * log1p(-p))
    total, odds, i = term, p / (1 - p), k
    while i < n and term > _NEGLIGIBLE * total:
        term *= (n - i) / (i + 1) * odds
        total += term
        i += 1
    return total
