"""Thresholds at the same rate of false alerts for all, by values worked out by hand."""

import math

import pytest

from tests.simulators.bench import passage
from tools.lab.bench.accuracy import Rate, at_thresholds, own_rule, passages_of, separation
from tools.lab.bench.contest import Contested

STRANGERS = [passage(f"s{n}", {"ref-1": n / 10, "ref-2": 0.05}) for n in range(1, 11)]
"""Ten strangers with the scores 0.1, 0.2 … 1.0."""


def enrolled(own, other=0.0):
    return passage("ref-1", {"ref-1": own, "ref-2": other}, enrolled=True)


def test_nobody_may_alert_puts_the_threshold_just_above_the_highest_stranger():
    (found,) = at_thresholds([*STRANGERS, enrolled(1.0), enrolled(1.01)], [0.0])
    assert found.threshold == math.nextafter(1.0, 2)
    assert found.false_alerts == Rate(0, 10)
    # 1.0 is not above the stranger's 1.0.
    assert found.found_rate == Rate(1, 2)


def test_one_of_ten_may_alert():
    people = [enrolled(0.95), enrolled(0.9), enrolled(0.3)]
    (found,) = at_thresholds([*STRANGERS, *people], [0.1])
    assert found.threshold == math.nextafter(0.9, 1)
    assert found.false_alerts == Rate(1, 10)
    assert found.found_rate == Rate(1, 3)
    assert found.found == ("ref-1",)


def test_strangers_with_one_score_alert_all_or_none():
    same = [passage(f"s{n}", {"ref-1": 0.5}) for n in range(4)]
    (found,) = at_thresholds([*same, enrolled(0.6), enrolled(0.5)], [0.5])
    assert found.false_alerts == Rate(0, 4)
    assert found.found_rate == Rate(1, 2)


def test_all_may_alert_and_only_who_leads_is_found():
    people = [enrolled(0.2), enrolled(0.2, other=0.3), passage("ref-3", {}, enrolled=True)]
    (found,) = at_thresholds([*STRANGERS, *people], [1.0])
    assert found.threshold == -math.inf
    assert found.false_alerts == Rate(10, 10)
    assert found.found_rate == Rate(1, 3)


def test_a_stranger_whom_nobody_compared_never_alerts():
    strangers = [passage("s1", {}), passage("s2", {"ref-1": 0.4})]
    (found,) = at_thresholds([*strangers, enrolled(0.41), enrolled(0.39)], [0.5])
    # The threshold may be as low as it likes: the other one has no score at all.
    assert found.threshold == -math.inf
    assert found.false_alerts == Rate(1, 2)
    assert found.found_rate == Rate(2, 2)


def test_the_own_rule_counts_alerts_and_nothing_else():
    passages = [
        passage("s1", {"ref-1": 0.99}),
        passage("s2", {}, alert={"ref-2": 0.5}),
        passage("ref-1", {}, enrolled=True, alert={"ref-1": 0.7, "ref-2": 0.6}),
        passage("ref-2", {"ref-2": 1.0}, enrolled=True),
    ]
    rule = own_rule(passages)
    assert rule.found_rate == Rate(1, 2)
    assert rule.false_alerts == Rate(1, 2)
    assert rule.others == Rate(1, 2)
    assert own_rule(passages[:1]) is None


def test_exact_intervals():
    # Clopper and Pearson: 0 of n ends at 1 - 0.025 ** (1 / n).
    assert Rate(0, 10).interval == pytest.approx((0, 1 - 0.025**0.1))
    assert Rate(10, 10).interval == pytest.approx((0.025**0.1, 1))
    # 7 of 10: tables give 0.3475 to 0.9333.
    assert Rate(7, 10).interval == pytest.approx((0.3475, 0.9333), abs=5e-5)
    assert Rate(0, 0).interval == (0, 1)
    assert math.isnan(Rate(0, 0).share)


def test_separation_is_free_of_the_scale():
    people = [enrolled(0.9), enrolled(0.7), passage("ref-9", {}, enrolled=True)]
    strangers = [passage("s1", {"ref-1": 0.4}), passage("s2", {"ref-2": 0.2}), passage("s3", {})]
    # Means 0.8 and 0.3, both variances 0.02.
    assert separation([*people, *strangers]) == pytest.approx(0.5 / math.sqrt(0.02))
    doubled = [
        passage(p.identity, {k: 2 * v for k, v in p.best.items()}, enrolled=p.enrolled)
        for p in (*people, *strangers)
    ]
    assert separation(doubled) == pytest.approx(separation([*people, *strangers]))
    assert math.isnan(separation([*people, strangers[0]]))


def test_who_did_not_run_has_no_passages():
    assert passages_of(Contested(), "ours", "passages") == []
