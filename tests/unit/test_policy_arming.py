"""Armed only if every condition holds; each that does not is one sentence of its own."""

import re
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.policy import conditions
from device.policy.arming import (
    judge,
    may_alert,
    next_change_ns,
    reasons_not_to_arm,
    reasons_not_to_open,
    what_leaves,
)
from device.policy.of_authorisation import window_after
from device.policy.references import counts, state_of, states
from device.policy.situation import Situation
from device.policy.standing import Standing
from device.protocol.authorisation import Authorisation, check_authorisation
from tests.simulators.situations import (
    ARMED,
    AUTHORISATION,
    BROKEN,
    HOLD,
    LEAVING,
    OPEN,
    REFERENCES,
    SHUT,
    VERDICTS,
    Entry,
    at,
    authorised,
    listed,
    now,
    signed,
    window,
)

EVERYTHING = [*conditions.DEVICE, *conditions.AUTHORISATION, *conditions.OPENED]
CASES = [(one.broken.__name__, case) for one in EVERYTHING for case in BROKEN[one.broken.__name__]]


def only_reason(situation):
    (reason,) = reasons_not_to_arm(situation)
    return reason


def test_the_authorisation_of_these_tests_is_one_that_can_be_signed():
    check_authorisation(AUTHORISATION)


@pytest.mark.parametrize("situation", HOLD)
def test_nothing_forbids_comparing_where_every_condition_holds(situation):
    assert reasons_not_to_arm(situation) == []


@pytest.mark.parametrize(("rule", "situation"), CASES)
def test_one_condition_that_fails_is_one_sentence(rule, situation):
    (one,) = [one for one in EVERYTHING if one.broken.__name__ == rule]
    said = only_reason(situation)
    asked = (situation, situation.authorisation, situation.opened)
    count = 1 if one in conditions.DEVICE else 2 if one in conditions.AUTHORISATION else 3
    assert said == one.broken(*asked[:count])
    assert re.fullmatch(r"[A-Z].*\.", said)


def says(rule, *parts):
    text = " ".join(only_reason(case) for case in BROKEN[rule])
    for part in parts:
        assert part in text, (part, text)


def test_outside_its_windows_a_device_is_not_armed_and_says_when_the_next_opens():
    assert "opens on 2026-12-05 at 09:00 UTC" in only_reason(now("05 08:59"))
    assert "opens on 2026-12-07 at 09:00 UTC" in only_reason(now("05 17:00"))
    assert "last time window closed on 2026-12-07 at 17:00 UTC" in only_reason(now("07 17:00"))


def test_a_device_that_is_not_authorised_is_not_armed():
    says("misplaced", "urn:passerby:site-1:camera-3", "the desk must authorise it")


def test_without_a_verified_bundle_nothing_is_armed():
    nothing = replace(ARMED, authorisation=None, opened=None)
    assert "no signed watchlist" in only_reason(nothing)
    assert only_reason(replace(nothing, bundle_fault="Signed once.")) == "Signed once."


def test_a_bundle_that_has_expired_is_not_armed():
    says("stale", "expired on 2026-12-05 at 12:00 UTC", "the desk must refresh it")


def test_a_pilot_that_has_ended_is_not_armed_and_one_without_an_evaluator_neither():
    says("pilot_over", "ended on 2026-12-05 at 12:00 UTC", "a new authorisation")
    says("unevaluated", "does not say who evaluates the pilot")


def test_without_an_impact_assessment_nothing_is_armed():
    says("unassessed", "names no impact assessment", "both must sign again")


def test_a_notice_must_be_attested_before_the_first_window():
    says("unannounced", "Nobody attests", "only after the first time window had begun")


def test_a_threshold_below_its_floor_or_another_than_the_signed_one_is_not_armed():
    says("floor_undercut", "0.5 is below its floor 0.6")
    says("other_threshold", "0.61", "not the authorised 0.62", "none")


def test_a_provisional_threshold_goes_with_silent_mode_only():
    says("unproven", "provisional", "silent mode")


def test_a_list_that_is_longer_than_authorised_is_not_armed():
    says("too_long", "2,001 references", "2,000 are authorised", "1,999 are authorised")


def test_no_authorisation_raises_the_cap_of_the_list():
    looser = msgspec.structs.replace(AUTHORISATION, list_cap=5000)
    assert "2,000 are authorised" in only_reason(replace(listed(size=2001), authorisation=looser))


def test_an_evaluation_must_cover_nine_tenths_of_the_list():
    says("uncovered", "set for 1,799 references", "less than 90 % of the 2,000")


def test_another_list_than_the_authorised_is_not_armed():
    says("another_list", "version 2 of list-1", "version 3 of list-1 was authorised")


def test_models_that_are_not_authorised_or_missing_are_not_armed():
    says("other_models", "not authorised is the embedder", "missing is the attack-detection")


def test_a_list_without_a_comparable_reference_is_not_armed():
    says("nothing_left", "revoked, expired or overdue")


def test_every_fault_of_the_machine_forbids_comparing():
    for fault in ("clock_fault", "storage_fault", "memory_fault", "camera_fault", "stop_rule"):
        assert only_reason(replace(ARMED, **{fault: "Something is wrong."})) == (
            "Something is wrong."
        )


def test_several_conditions_that_fail_are_all_told_in_their_order():
    bad = replace(
        signed(signage=None, impact_assessment="none"),
        clock_fault="The clock.",
        standing=Standing(suspended="a drill"),
        models=(),
        camera_fault="The camera.",
    )
    said = reasons_not_to_arm(bad)
    assert [text.split()[0] + " " + text.split()[1] for text in said] == [
        "The clock.", "The desk", "The authorisation", "Nobody attests", "The models", "The camera."
    ]  # fmt: skip


def test_before_the_list_is_open_only_what_is_known_is_asked():
    shut = replace(ARMED, **SHUT)
    assert reasons_not_to_open(shut) == []
    assert "not open yet" in only_reason(shut)
    assert only_reason(replace(shut, lock_fault="The desk is silent.")) == "The desk is silent."
    # The camera is off as long as the list is shut.
    assert reasons_not_to_open(replace(shut, camera_fault="No frames.")) == []


def test_while_something_else_forbids_opening_the_lock_is_no_reason_of_its_own():
    shut = replace(now("06 12:00"), **SHUT, lock_fault="The desk is silent.")
    assert "No time window is open" in only_reason(shut)


@given(st.sampled_from(sorted(set(BROKEN) - {"unverified"})), st.data())
def test_what_is_wrong_stays_wrong_whatever_else_is(rule, data):
    first = data.draw(st.sampled_from(BROKEN[rule]))
    other = data.draw(st.sampled_from([c for cases in BROKEN.values() for c in cases]))
    fields = [f for f in Situation.__dataclass_fields__ if getattr(other, f) != getattr(ARMED, f)]
    touched = [f for f in Situation.__dataclass_fields__ if getattr(first, f) != getattr(ARMED, f)]
    mixed = replace(first, **{f: getattr(other, f) for f in fields if f not in touched})
    assert reasons_not_to_arm(mixed)


@given(st.integers(min_value=at("01 00:00"), max_value=at("31 00:00")))
def test_at_any_moment_a_device_is_armed_exactly_in_its_windows(now_ns):
    inside = any(at(f"{day} 09:00") <= now_ns < at(f"{day} 17:00") for day in ("05", "07"))
    situation = replace(ARMED, now_ns=now_ns, fresh_until_ns=at("31 00:00"))
    assert (reasons_not_to_arm(situation) == []) is inside


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 2000))
def test_cap_and_coverage_are_kept_at_every_size(size, evaluated, cap):
    threshold = msgspec.structs.replace(AUTHORISATION.threshold, list_size=evaluated)
    situation = replace(signed(threshold=threshold, list_cap=cap), opened=replace(OPEN, size=size))
    allowed = size <= cap and 10 * evaluated >= 9 * size
    assert (reasons_not_to_arm(situation) == []) is allowed


@pytest.mark.parametrize(("situation", "state"), VERDICTS)
def test_the_verdict_is_one_of_four(situation, state):
    verdict = judge(situation)
    assert verdict.state == state
    assert bool(verdict.reasons) is (state != "armed")


def test_the_waiting_room_knows_when_time_alone_may_change_something():
    assert judge(now("05 08:00", **SHUT)).next_change_ns == at("05 09:00")
    assert judge(now("05 09:00")).next_change_ns == at("05 17:00")
    assert judge(now("05 12:00", fresh_until_ns=at("05 13:00"))).next_change_ns == at("05 13:00")
    assert judge(now("06 12:00")).next_change_ns == at("07 09:00")
    assert next_change_ns(AUTHORISATION, None, at("08 12:00")) == at("31 00:00")
    assert next_change_ns(AUTHORISATION, None, at("31 00:00")) is None
    assert next_change_ns(None, None, 0) is None


@given(st.integers(min_value=at("01 00:00"), max_value=at("31 00:00")))
def test_between_two_changes_the_verdict_stays_the_same(now_ns):
    situation = replace(ARMED, now_ns=now_ns, floor_ns=now_ns)
    verdict = judge(situation)
    if verdict.next_change_ns is not None and verdict.state != "over":
        last = verdict.next_change_ns - 1
        assert judge(replace(situation, now_ns=last, floor_ns=last)).state == verdict.state


@pytest.mark.parametrize(("situation", "leaves"), LEAVING)
def test_in_silent_mode_a_candidate_is_recorded_and_nobody_is_engaged(situation, leaves):
    assert what_leaves(situation) == leaves
    assert may_alert(situation) is (leaves == "alert")


def test_an_authorisation_that_says_nothing_of_it_is_silent():
    fields = msgspec.structs.asdict(AUTHORISATION)
    del fields["mode"]
    assert what_leaves(replace(ARMED, authorisation=Authorisation(**fields))) == "record"


def test_the_window_is_found_among_many():
    days = [window(f"{day:02}") for day in range(5, 31)]
    many = authorised(windows=days)
    for day in range(5, 31):
        assert window_after(many, at(f"{day:02} 09:00")) == days[day - 5]
        assert window_after(many, at(f"{day:02} 17:00")) == (days[day - 4] if day < 30 else None)


@pytest.mark.parametrize(("time", "revoked", "state"), REFERENCES)
def test_a_reference_is_compared_until_its_review_its_expiry_or_its_revocation(
    time, revoked, state
):
    assert state_of(Entry(), revoked, at(time)) == state


def test_held_and_comparable_references_are_counted():
    entries = [
        Entry("r-1"),
        Entry("r-2", review_at="2026-12-05T12:00:00.001Z"),
        Entry("r-3", expires_at="2026-12-05T12:00:00.000Z"),
        Entry("r-4", review_at="2026-12-30T00:00:00.000Z"),
    ]
    found = states(entries, ["r-4"], at("05 12:00"))
    assert found == {"r-1": "overdue", "r-2": "comparable", "r-3": "expired", "r-4": "revoked"}
    assert counts(found) == (2, 1)
    assert counts({}) == (0, 0)
