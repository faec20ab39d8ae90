"""docs/policy.md says what the code does."""

import re

from device.policy import conditions
from tests.reliability import policy_mutation, policy_page

TEXT = policy_page.PAGE.read_text("utf-8")


def test_the_tables_are_made_from_the_code():
    assert policy_page.page() == TEXT, "run python -m tests.reliability.policy_page"
    assert policy_page.main(["--check"]) == 0


def test_the_figures_in_the_text_are_those_of_the_table():
    (row,) = re.findall(r"\| 1 in 1,000 \| (.*) \|", TEXT)
    told = [float(share.strip(" %")) for share in row.split("|")]
    stopped = re.search(
        r"in (\d+) % of\s+deployments of 1,000 faces, (\d+) % of 10,000 and (\d+) % of 100,000",
        TEXT,
    )
    assert all(
        abs(int(share) - exact) <= 0.5 for share, exact in zip(stopped.groups(), told, strict=True)
    )


def test_the_count_of_rules_taken_out_is_right():
    rows = policy_mutation.table()
    assert f"{len(rows)} rules taken out, 0 unnoticed" in TEXT


def test_the_rules_stand_in_the_modules_text_in_their_order():
    lines = re.findall(r"^ ?(\d+)\. (R[\dR, ]+): ", conditions.__doc__, re.MULTILINE)
    everything = [*conditions.DEVICE, *conditions.AUTHORISATION, *conditions.OPENED]
    assert lines == [(str(place), one.number) for place, one in enumerate(everything, start=1)]
    for one in everything:
        assert one.broken.__doc__.startswith(f"{one.number}: ")
