"""Every rule of the policy is needed: taken out of the code, it is missed."""

import pytest

from device.policy import conditions
from tests.reliability import policy_mutation
from tests.simulators.situations import ARMED, BROKEN

ROWS = policy_mutation.table()


@pytest.mark.parametrize(("number", "rule", "noticed"), ROWS, ids=str)
def test_a_rule_that_is_taken_out_of_the_code_is_missed(number, rule, noticed):
    assert noticed, f"{number}: nothing notices that {rule} is gone"


def test_every_condition_is_taken_out_once():
    everything = [*conditions.DEVICE, *conditions.AUTHORISATION, *conditions.OPENED]
    names = [one.broken.__name__ for one in everything]
    assert len(names) == len(set(names)) == 24
    assert set(names) <= {rule for _, rule, _ in ROWS}
    assert set(names) == set(BROKEN)


def test_a_mutant_is_the_rule_without_what_it_says():
    (condition,) = [c for c in conditions.OPENED if c.broken.__name__ == "too_long"]
    (situation, *_) = BROKEN["too_long"]
    asked = (situation, situation.authorisation, situation.opened)
    assert "2,001 references" in condition.broken(*asked)
    assert policy_mutation.without_body(condition.broken)(*asked) is None


def test_a_rule_that_nothing_asks_about_would_be_seen(monkeypatch, capsys):
    monkeypatch.setitem(BROKEN, "too_long", [ARMED, BROKEN["another_list"][0]])
    assert policy_mutation.main() == 1
    assert "too_long" in capsys.readouterr().out.split("SURVIVED")[0].splitlines()[-1]
