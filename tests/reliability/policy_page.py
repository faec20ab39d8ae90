"""Writes what docs/policy.md takes from the code: the conditions, and the stop rule's figures.

python -m tests.reliability.policy_page            writes them
python -m tests.reliability.policy_page --check    says whether they are up to date
"""

import sys
from pathlib import Path

from device.policy import conditions
from device.protocol.authorisation import StopRule
from tests.reliability.stop_chances import chance_of_a_stop, most_faces_that_stop
from tests.simulators.situations import BROKEN

PAGE = Path(__file__).resolve().parents[2] / "docs/policy.md"
RULE = StopRule()
GROUPS = (
    ("The device, always:", "DEVICE", 1),
    ("The authorisation, once a bundle was verified:", "AUTHORISATION", 2),
    ("The list and what compares with it, once it is open:", "OPENED", 3),
)
FACES = (1_000, 10_000, 100_000)
RATES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)


def conditions_table():
    """Return every condition in its order, with the sentence that a technician reads."""
    lines, number = [], 0
    for heading, group, count in GROUPS:
        head = (
            "| | rule | what must hold | what it says otherwise, for example |",
            "|---|---|---|---|",
        )
        lines += [heading, "", *head]
        for one in getattr(conditions, group):
            number += 1
            case = BROKEN[one.broken.__name__][0]
            said = one.broken(*(case, case.authorisation, case.opened)[:count])
            lines.append(f"| {number} | {one.number} | {one.holds} | {said} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def stops_table():
    """Return after how many faces at most so many false alerts stop a device."""
    counts = (1, 2, 3, 4, 5, 10, 20, 50)
    return "\n".join(
        (
            "| false alerts | " + " | ".join(str(k) for k in counts) + " |",
            "|---" * (len(counts) + 1) + "|",
            "| stop within … faces | "
            + " | ".join(f"{most_faces_that_stop(k, RULE):,}" for k in counts)
            + " |",
        )
    )


def chances_table():
    """Return how likely a device is stopped, by its true rate and the faces it has seen."""
    head = "| true rate | " + " | ".join(f"{faces:,} faces" for faces in FACES) + " |"
    lines = [head, "|---" * (len(FACES) + 1) + "|"]
    for factor in RATES:
        rate = factor * RULE.authorised_fpir
        chances = (chance_of_a_stop(RULE, rate, faces) for faces in FACES)
        shown = " | ".join(f"{chance:.1%}" for chance in chances)
        lines.append(f"| 1 in {1 / rate:,.0f} | {shown} |")
    return "\n".join(lines)


def page():
    """Return the page with its generated parts as they should be."""
    text = PAGE.read_text("utf-8")
    for name, part in (
        ("conditions", conditions_table()),
        ("stops", stops_table()),
        ("chances", chances_table()),
    ):
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise SystemExit(f"{PAGE} has no place for {name}: put in {begin} and {end}.")
        text = f"{before}{begin}\n{part}\n{end}{after}"
    return text


def main(arguments):
    wanted = page()
    if "--check" in arguments:
        return 0 if PAGE.read_text("utf-8") == wanted else 1
    PAGE.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
