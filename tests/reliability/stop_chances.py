"""How often the stop rule stops a device, computed exactly: what docs/policy.md tells of it.

No device needs this; the rule itself is `device.policy.stop_rule`.
"""

from math import exp, log1p

from device.policy.stop_rule import verdict
from device.protocol.authorisation import StopRule

_NEGLIGIBLE = 1e-18


def most_faces_that_stop(k: int, rule: StopRule) -> int:
    """Return the largest n at which k false alerts stop the device; 0 where none does."""
    low, high = k - 1, k
    while _stops(k, high, rule):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _stops(k, middle, rule) else (low, middle)
    return max(0, low) if low >= k else 0


def _stops(k: int, n: int, rule: StopRule) -> bool:
    return verdict(rule, k, n) is not None


def chance_of_a_stop(rule: StopRule, rate: float, faces: int) -> float:
    """Return the chance that a device with this true rate is stopped within so many faces.

    Computed exactly, without chance: only a false alert can bring the stop, so that a device runs
    on as long as, for every k, fewer than k false alerts have come by `most_faces_that_stop(k)`.
    Every alert is taken to be adjudicated at once. faces: up to some 10^6.
    """
    running, seen, k = {0: 1.0}, 0, 1
    while seen < faces and running:
        until = min(faces, most_faces_that_stop(k, rule))
        if until > seen:
            running = _after(running, until - seen, rate)
            seen = until
            running = {count: chance for count, chance in running.items() if count < k}
        k += 1
    return 1.0 - sum(running.values())


def _after(running: dict[int, float], trials: int, rate: float) -> dict[int, float]:
    """Return the distribution of a count after more trials."""
    steps = _distribution(trials, rate)
    found: dict[int, float] = {}
    for count, chance in running.items():
        for more, likely in steps:
            found[count + more] = found.get(count + more, 0.0) + chance * likely
    return {count: chance for count, chance in found.items() if chance > _NEGLIGIBLE}


def _distribution(trials: int, rate: float) -> list[tuple[int, float]]:
    found, term = [], exp(trials * log1p(-rate))
    for count in range(trials + 1):
        if term < _NEGLIGIBLE and count > trials * rate:
            break
        found.append((count, term))
        term *= (trials - count) / (count + 1) * rate / (1 - rate)
    return found
