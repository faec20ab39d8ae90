"""The stop rule: an exact test, and the device stays stopped until the desk resumes it."""

import json
import random
from decimal import Decimal, localcontext
from fractions import Fraction
from math import comb, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import StorageError
from device.obedience import read_standing
from device.policy.standing import Standing
from device.policy.stop_rule import (
    Exposure,
    chance_of_so_many,
    verdict,
)
from device.protocol.authorisation import StopRule
from tests.reliability.stop_chances import chance_of_a_stop, most_faces_that_stop
from tests.simulators.correspondents import Correspondents
from tests.simulators.situations import DEPLOYMENT, OTHER_DEPLOYMENT

RULE = StopRule()


def exact(k, n, p):
    """P(X >= k) without rounding, from the smaller of the two tails."""
    p = Fraction(p)
    if k > n:
        return Fraction(0)
    if n - k < k:
        return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
    return 1 - sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k))


@pytest.mark.parametrize("p", [Fraction(1, 1000), Fraction(1, 50), Fraction(1, 2), Fraction(9, 10)])
@pytest.mark.parametrize(
    ("k", "n"), [(0, 0), (0, 5), (1, 1), (1, 51), (2, 40), (7, 60), (60, 60), (61, 60), (3, 400)]
)
def test_the_chance_is_the_exact_one(k, n, p):
    assert isclose(chance_of_so_many(k, n, float(p)), exact(k, n, p), rel_tol=1e-10)


@given(st.integers(0, 120), st.integers(0, 120), st.integers(1, 999))
def test_the_chance_is_the_exact_one_everywhere(k, n, thousandths):
    expected = exact(k, n, Fraction(thousandths, 1000))
    assert isclose(
        chance_of_so_many(k, n, thousandths / 1000), expected, rel_tol=1e-9, abs_tol=1e-300
    )


@pytest.mark.parametrize(("k", "n"), [(1, 10**8), (5, 10**8), (12, 10**6), (30, 10**4), (3, 818)])
def test_many_faces_lose_no_accuracy_that_matters(k, n):
    with localcontext() as context:
        context.prec = 80
        p = Decimal(1) / 1_000_000 if n >= 10**6 else Decimal(1) / 1000
        term = (1 - p) ** n
        below = Decimal(0)
        for i in range(k):
            below += term
            term *= Decimal(n - i) / (i + 1) * p / (1 - p)
        expected = float(1 - below)
    assert isclose(chance_of_so_many(k, n, float(p)), expected, rel_tol=1e-5)


def test_a_hundred_million_faces_are_counted_with():
    # The normal approximation with continuity correction, good to a few percent there.
    chance = chance_of_so_many(100_600, 10**8, 0.001)
    assert 0.0285 < chance < 0.0295
    assert verdict(RULE, 100_600, 10**8) is not None
    assert verdict(RULE, 100_000, 10**8) is None
    assert chance_of_so_many(10**8, 10**8, 0.001) == 0.0
    assert chance_of_so_many(1, 10**8, 0.999) == 1.0


def test_the_device_stops_where_the_lower_limit_of_clopper_and_pearson_reaches_the_rate():
    # Lower one-sided 95 % limits of k = 1, 2, 3 events, by bisection on exact fractions.
    for k in (1, 2, 3):
        n = most_faces_that_stop(k, RULE)
        low, high = Fraction(0), Fraction(1, 10)
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if exact(k, n, middle) <= Fraction(1, 20) else (low, middle)
        assert low >= Fraction(1, 1000)
        assert exact(k, n + 1, Fraction(1, 1000)) > Fraction(1, 20)
        assert exact(k, n, Fraction(1, 1000)) <= Fraction(1, 20)


def test_the_first_false_alerts_stop_a_device_that_has_seen_few_faces():
    assert [most_faces_that_stop(k, RULE) for k in range(1, 6)] == [51, 355, 818, 1367, 1971]


def test_a_device_within_its_rate_goes_on():
    assert verdict(RULE, 0, 0) is None
    assert verdict(RULE, 0, 10**8) is None
    assert verdict(RULE, 1, 1000) is None
    assert verdict(RULE, 10, 10_000) is None


def test_a_device_that_is_stopped_says_how_many_of_how_many():
    said = verdict(RULE, 3, 818)
    assert "3 false alerts are more than the authorised 1 in 1,000 of the faces seen" in said
    # How many passed leaves in the record alone (R16).
    assert "818" not in said
    assert "1 in 1,000" in said
    assert "only the desk can resume" in said


def test_where_the_faces_are_unknown_any_false_alert_stops_the_device():
    assert "faces unknown" in verdict(RULE, 1, None)
    assert "2 alerts" in verdict(RULE, 1, None, alerts=2)
    assert verdict(RULE, 0, None, alerts=7) is None


def test_fewer_faces_than_false_alerts_cannot_be_and_stop_the_device():
    assert verdict(RULE, 3, 0) is not None


@given(st.integers(1, 50), st.integers(1, 5000), st.integers(1, 400))
def test_more_false_alerts_or_fewer_faces_never_start_a_device_again(k, n, step):
    if verdict(RULE, k, n) is not None:
        assert verdict(RULE, k + step, n) is not None
        assert verdict(RULE, k, max(1, n - step)) is not None


@given(st.integers(1, 40))
def test_a_stricter_rule_stops_later_and_a_looser_rate_earlier_never(k):
    assert most_faces_that_stop(k, StopRule(confidence=0.999)) <= most_faces_that_stop(k, RULE)
    assert most_faces_that_stop(k, StopRule(0.01)) <= most_faces_that_stop(k, RULE)


def _simulated(rate, faces, runs, seed):
    """Play deployments; return the part of them that is stopped."""
    rng = random.Random(seed)
    limits = [most_faces_that_stop(k, RULE) for k in range(1, 200)]
    stopped = 0
    for _ in range(runs):
        at = 0
        for limit in limits:
            at += 1 + int(rng.expovariate(1.0) / rate)
            if at > faces:
                break
            if at <= limit:
                stopped += 1
                break
    return stopped / runs


@pytest.mark.parametrize(("rate", "faces"), [(0.001, 2_000), (0.001, 10_000), (0.003, 3_000)])
def test_the_chance_of_a_stop_is_what_played_deployments_show(rate, faces):
    runs = 20_000
    chance = chance_of_a_stop(RULE, rate, faces)
    # Five standard deviations: one run in two million is wrong, with a fixed seed none.
    spread = 5 * (chance * (1 - chance) / runs) ** 0.5
    assert abs(_simulated(rate, faces, runs, seed=5) - chance) < spread


def test_the_chance_of_a_stop_is_exact_where_it_can_be_done_by_hand():
    # Within 51 faces the first false alert stops.
    assert isclose(chance_of_a_stop(RULE, 0.001, 51), 1 - 0.999**51, rel_tol=1e-12)
    assert isclose(chance_of_a_stop(RULE, 0.001, 20), 1 - 0.999**20, rel_tol=1e-12)
    assert chance_of_a_stop(RULE, 0.001, 0) == 0.0


# What is counted.


def give(standing, *orders):
    for order in orders:
        standing = standing.obeyed(order)
    return standing


@pytest.fixture(scope="module")
def desk():
    return Correspondents()


def alert(number):
    return f"019966b0-e080-7000-8000-{number:012d}"


def adjudicated(desk, sequence, number, outcome):
    return desk.adjudication(alert(number), outcome, sequence)


def test_only_false_alerts_are_counted_and_the_newest_finding_counts(desk):
    standing = give(
        Standing(),
        adjudicated(desk, 1, 1, "false alert"),
        adjudicated(desk, 2, 2, "confirmed false alert"),
        adjudicated(desk, 3, 3, "confirmed"),
        adjudicated(desk, 4, 4, "undetermined"),
        adjudicated(desk, 5, 5, "rejected"),
    )
    assert standing.false_alerts == 2
    assert give(standing, adjudicated(desk, 6, 1, "confirmed")).false_alerts == 1
    assert give(standing, adjudicated(desk, 6, 1, "confirmed false alert")).false_alerts == 2


def test_false_alerts_that_are_no_longer_kept_one_by_one_still_count(desk):
    standing = Standing()
    for number in range(1, 1203):
        standing = give(standing, adjudicated(desk, number, number, "false alert"))
    assert len(standing.outcomes) == 1000
    assert standing.false_alerts == 1202


def test_a_resume_lifts_the_devices_own_suspension_and_counting_begins_anew(desk):
    standing = give(Standing(), adjudicated(desk, 1, 1, "false alert")).suspended_itself(
        "Too many."
    )
    assert standing.reasons() == ["Too many."]
    assert standing.suspended_itself("Later.").reasons() == ["Too many."]
    again = give(standing, desk.command("resume", 2))
    assert again.reasons() == []
    assert (again.false_alerts, again.resumed) == (0, 2)


def test_another_deployment_counts_its_own_false_alerts_and_keeps_suspension_and_revocations(desk):
    standing = give(
        Standing().serving(DEPLOYMENT),
        adjudicated(desk, 1, 1, "false alert"),
        desk.command("revoke", 2, "r-1"),
        desk.command("suspend", 3),
    )
    assert standing.serving(DEPLOYMENT) is standing
    other = standing.serving(OTHER_DEPLOYMENT)
    assert other.false_alerts == 0
    assert other.revoked == ("r-1",)
    assert other.suspended is not None


def test_another_threshold_counts_its_own_false_alerts_and_a_new_list_goes_on(desk):
    standing = give(Standing().serving(DEPLOYMENT, "t-1"), adjudicated(desk, 1, 1, "false alert"))
    assert standing.serving(DEPLOYMENT, "t-1") is standing
    assert standing.serving(DEPLOYMENT, "t-2").false_alerts == 0


def test_what_is_found_in_silent_mode_is_not_counted_unless_it_corrects_what_was(desk):
    standing = give(Standing().serving(DEPLOYMENT, "t-1"), adjudicated(desk, 1, 1, "false alert"))
    silent = standing.serving(DEPLOYMENT, "t-1", silent=True)
    assert silent.false_alerts == 1
    assert give(silent, adjudicated(desk, 2, 2, "false alert")).false_alerts == 1
    assert give(silent, adjudicated(desk, 2, 1, "confirmed")).false_alerts == 0
    assert give(silent, adjudicated(desk, 2, 2, "false alert")).sequence == 2


@pytest.mark.parametrize(
    "damaged",
    [
        {"ended_at": "2026-13-45T12:00:00.000Z"},
        {"ended_at": "2026-12-31T23:59:60.000Z"},
        {"false_before": 10**400},
        {"sequence": -1},
        {"resumed": 2**53},
    ],
)
def test_orders_with_impossible_times_or_counts_are_refused(damaged, tmp_path):
    path = tmp_path / "orders.json"
    path.write_text(json.dumps({"ended": "it is over"} | damaged))
    with pytest.raises(StorageError, match="ask the desk"):
        read_standing(path)


def test_faces_are_counted_from_the_last_resume_and_for_one_deployment():
    seen = Exposure().grown(100, 2, deployment=DEPLOYMENT, resumed=0)
    seen = seen.grown(50, 1, deployment=DEPLOYMENT, resumed=0)
    assert (seen.faces, seen.alerts) == (150, 3)
    assert seen.grown(5, 0, deployment=DEPLOYMENT, resumed=9).faces == 5
    assert seen.grown(7, 0, deployment=OTHER_DEPLOYMENT, resumed=0).faces == 7
