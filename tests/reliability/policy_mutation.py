"""Mutation of the rules: each is taken out of the code, and something must then be let through.

    python -m tests.reliability.policy_mutation      prints the table; 1: a rule can go unnoticed

A condition's function has its body replaced by `return None`, in its syntax tree. A rule that is
one guard among several (the clock, the erasure, the verdict) has its `if` made false, and an
`a if b else c` always one of the two. The code so
changed is compiled and asked again: if every situation still gets the right answer, the mutant has
survived, and nothing in the tests would notice that the rule is gone.
"""

import ast
import contextlib
import inspect
import sys
import textwrap
from unittest import mock

from device.audit import Ledger
from device.exposure import Exposures
from device.policy import (
    arming,
    clock,
    conditions,
    configured,
    erasure,
    of_authorisation,
    of_device,
    references,
    standing,
    stop_rule,
)
from device.policy.standing import Standing
from device.policy.stop_rule import Exposure
from device.protocol.authorisation import StopRule
from device.protocol.order import AdjudicationData
from tests.simulators import situations
from tests.simulators.clocks import FAULTS, FINE, HOUR, T0
from tests.simulators.situations import BROKEN

DAY = 24 * HOUR
GROUPS = ("DEVICE", "AUTHORISATION", "OPENED")


def without_body(function):
    """Return a function as it would be with `return None` for its body."""
    tree = _tree(function)
    (definition,) = tree.body
    definition.body = [ast.Return(ast.Constant(None))]
    return _compiled(tree, function)


def guards(function):
    """Return the ways to settle one choice of a function: an `if` never taken, an `a if b else c`
    always one of the two. Each is the number of the choice, from 0, and the truth put in its place.
    """
    ways = []
    for number, node in enumerate(_choices(_tree(function))):
        ways += [(number, False)] if isinstance(node, ast.If) else [(number, False), (number, True)]
    return ways


def without_guard(function, number, truth):
    """Return a function as it would be with one choice settled."""
    tree = _tree(function)
    _choices(tree)[number].test = ast.Constant(truth)
    return _compiled(tree, function)


def _tree(function):
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _choices(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.If | ast.IfExp)]


def _compiled(tree, function):
    module = sys.modules[function.__module__]
    names = dict(vars(module))
    code = compile(ast.fix_missing_locations(tree), module.__file__, "exec")
    exec(code, names)  # our own code, one node changed
    return names[function.__name__]


def condition_mutants():
    """Yield, for every condition, its number, name, and whether taking it out is noticed."""
    for group in GROUPS:
        for place, one in enumerate(getattr(conditions, group)):
            mutant = one._replace(broken=without_body(one.broken))
            changed = list(getattr(conditions, group))
            changed[place] = mutant
            name = one.broken.__name__
            with mock.patch.object(conditions, group, tuple(changed)):
                yield one.number, name, all(_let_through(name, s) for s in BROKEN[name])


def _let_through(name, situation):
    """Return whether a situation that only this rule forbids is now allowed.

    Without signatures there is no authorisation either, and nothing opens a list without one: there
    the rule's sentence is gone, and a technician would look for the wrong fault.
    """
    reasons = arming.reasons_not_to_arm(situation)
    if name == "unverified":
        return of_device.unverified(situation) not in reasons
    return reasons == []


def guard_mutants():
    """Yield the same for guards inside functions."""
    asked = (
        ("R6", clock, "_fault", _clock_right),
        ("R6", clock.Clock, "answered", _answers_right),
        ("R24", erasure, "certain_ns", _verdict_right),
        ("R24", erasure, "due", _end_right),
        ("R24", erasure, "due_unverified", _unverified_right),
        ("R24", Standing, "end_in_force", _ordered_end_right),
        ("R24", Standing, "end_that_erases", _ordered_end_right),
        ("R32", Standing, "serving", _serving_right),
        ("R32", standing, "_with_outcome", _outcomes_right),
        ("R32", Exposures, "_grow", _exposure_right),
        ("R28, R29", configured, "loosened", _settings_right),
        ("R36", of_authorisation, "unannounced", _notice_right),
        ("R32", stop_rule, "verdict", _stop_right),
        ("R35", arming, "what_leaves", _leaving_right),
        ("R24", arming, "judge", _verdict_right),
        ("R7, R8", references, "state_of", _references_right),
    )
    for number, place, name, right in asked:
        function = getattr(place, name)
        for at, truth in guards(function):
            mutant = without_guard(function, at, truth)
            with mock.patch.object(place, name, mutant), _as_arming_sees(name, mutant):
                yield number, f"{name}, choice {at + 1} {str(truth).lower()}", not _still(right)


def _as_arming_sees(name, mutant):
    """`arming` has some functions under names of its own."""
    if hasattr(arming, name):
        return mock.patch.object(arming, name, mutant)
    return contextlib.nullcontext()


def _still(right):
    """Return whether all answers are right; a crash is none."""
    try:
        return right()
    except Exception:  # noqa: BLE001 - a mutant may do anything
        return False


def _clock_right():
    judged = lambda case: case.clock.judged(case.reading, case.signed_ns)[1]  # noqa: E731
    return all(judged(case) for case in FAULTS.values()) and not any(map(judged, FINE.values()))


def _answers_right():
    def floor(waited_ns):
        clock_after = clock.Clock(T0 + DAY).answered(T0, waited_ns, FINE["synchronised"].reading)
        return clock_after.floor_ns()

    fresh = floor(0) == floor(clock.TOLERANCE_NS) == T0
    return fresh and floor(-1) == floor(clock.TOLERANCE_NS + 1) == T0 + DAY


def _unverified_right():
    return all(
        (erasure.due_unverified(deadline, end.standing, end.time_ns) is None)
        is (end.because is None)
        for end in situations.ENDS
        if end.authorisation is not None and end.held is None
        for deadline in [erasure.Deadline.of(end.authorisation, None)]
    )


def _references_right():
    return all(
        references.state_of(situations.Entry(), revoked, situations.at(time)) == state
        for time, revoked, state in situations.REFERENCES
    )


def _end_right():
    return all(
        (reason is None) if end.because is None else end.because in (reason or "")
        for end in situations.ENDS
        for reason in [erasure.due(end.authorisation, end.standing, end.time_ns, held=end.held)]
    )


def _ordered_end_right():
    undated, signed_at = Standing(ended="over"), situations.AUTHORISATION.signed_at
    way_out = "give `end` once more" in (undated.end_in_force(signed_at) or "")
    plain = undated.end_in_force(None) == "The desk has ended this deployment (over)."
    return way_out and plain and _end_right() and _verdict_right()


def _stop_right():
    counted = ((0, 10, 0, ""), (1, 51, 0, "faces seen"), (1, 52, 0, ""), (2, 355, 9, "faces seen"))
    lost = ((1, None, 1, "faces unknown"), (1, None, 52, ""), (2, 356, 2, ""))
    return all(
        (text in said) if text else said is None
        for k, faces, alerts, text in (*counted, *lost)
        for said in [stop_rule.verdict(StopRule(), k, faces, alerts)]
    )


def _serving_right():
    counted = Standing(outcomes={"a": "false alert"}, deployment="d", threshold_id="t")
    others = (counted.serving("d", "u"), counted.serving("e", "t"))
    silent = counted.serving("d", "t", silent=True)
    return (
        counted.serving("d", "t") is counted
        and all(one.false_alerts == 0 for one in others)
        and (silent.silent, silent.false_alerts) == (True, 1)
    )


def _outcomes_right():
    def found(alert, *, silent):
        before = Standing(outcomes={"a": "confirmed"}, silent=silent)
        data = AdjudicationData("d", 1, "2026-12-05T12:00:00.000Z", alert, "false alert")
        return standing._with_outcome(before, data).false_alerts

    alerting = found("a", silent=False) == found("b", silent=False) == 1
    return alerting and (found("a", silent=True), found("b", silent=True)) == (1, 0)


def _exposure_right():
    def faces(*, before, then):
        counts = object.__new__(Exposures)
        counts._base, counts._unknown, ledger = Exposure(None, 0, 100), True, Ledger()
        counts.begin(ledger, before)
        ledger.faces = 7
        counts._grow(then)
        return counts._base.faces, counts._unknown

    plain, silent, other = Standing(), Standing(silent=True), Standing(threshold_id="u")
    return (
        faces(before=plain, then=plain) == (107, True)
        and faces(before=silent, then=silent) == (100, True)
        and faces(before=silent, then=plain) == (100, True)
        and faces(before=other, then=other) == (7, False)
        and faces(before=plain, then=other) == (0, False)
    )


def _settings_right():
    return all(
        len(configured.loosened(matching, vision, live)) == count
        for matching, vision, live, count in situations.SETTINGS
    )


def _notice_right():
    refused = (of_authorisation.unannounced(s, s.authorisation) for s in BROKEN["unannounced"])
    held = (of_authorisation.unannounced(s, s.authorisation) for s in situations.HOLD)
    return all(refused) and not any(held)


def _leaving_right():
    return all(arming.what_leaves(one) == leaves for one, leaves in situations.LEAVING)


def _verdict_right():
    return all(arming.judge(one).state == state for one, state in situations.VERDICTS)


def table():
    """Return rows of requirement, rule, and whether its removal is noticed."""
    return [*condition_mutants(), *guard_mutants()]


def main():
    rows = table()
    for number, name, noticed in rows:
        print(f"{number:<8} {name:<34} {'caught' if noticed else 'SURVIVED'}")
    survivors = sum(not noticed for *_, noticed in rows)
    print(f"{len(rows)} rules taken out, {survivors} unnoticed.")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
