"""What two people read before they sign: every condition, and no line that a text has forged."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.protocol.authorisation import StopRule
from tests.unit.test_watchlist_authorising import EVALUATED, PROVISIONAL, authorisation
from tools.desk.watchlist.to_sign import COLUMNS, lines_to_sign, plain

LOCAL = "urn:passerby:s-7f3a:d-01"


def told(local=(), categories=None, **other):
    lines = lines_to_sign(authorisation(**other), local, 3, categories or {}, {"robbery": 3})
    return "\n".join(lines)


def test_the_stop_rule_the_target_the_evaluation_and_the_local_keys_are_shown():
    text = told(
        local=[LOCAL],
        stop_rule=StopRule(0.00042, 0.91),
        threshold=msgspec.structs.replace(EVALUATED, target_fpir=0.00077),
    )
    for part in ("0.00042", "0.91", "0.00077", EVALUATED.evaluation_sha256, "1000 references"):
        assert part in text
    (line,) = [one for one in text.splitlines() if one.startswith("Unlock locally")]
    assert "s-7f3a/d-01: whoever takes" in line
    assert "none: every device asks" in told()
    assert "NONE: nothing stands behind" in told(threshold=PROVISIONAL)


def test_every_field_that_is_signed_is_shown():
    """A condition that is added to the authorisation later must be shown, too."""
    shown = authorisation()
    text = " ".join(told().split())
    for name, value in msgspec.to_builtins(shown).items():
        if name == "kind":
            continue
        for leaf in _leaves(value):
            assert leaf in text, name


def _leaves(value):
    if isinstance(value, dict):
        return [one for part in value.values() for one in _leaves(part)]
    if isinstance(value, list):
        return [one for part in value for one in _leaves(part)]
    if isinstance(value, float):
        return [f"{value:g}"]
    return [str(value).removeprefix("urn:passerby:").replace("s-7f3a:", "s-7f3a/")]


@pytest.mark.parametrize("sign", ["\n", "\r", "\x1b[2J", "\u202e", "\u2028", " " * 60, "\u3000"])
def test_no_text_can_pass_for_a_line_of_its_own(sign):
    """Not by a line break, not by moving the cursor, not by blanks up to the screen's edge."""
    forged = f"Find people{sign}" + sign.join(["Mode            alerting"] * 20)
    text = told(objective=forged, categories={forged: 3})
    assert [one for one in text.splitlines() if one.startswith("Mode ")] == [
        "Mode            silent"
    ]
    assert all(one.isprintable() and len(one) <= COLUMNS for one in text.splitlines())


def test_a_text_of_wide_letters_stays_within_the_screen():
    text = told(objective="\u5317" * 300)
    (longest,) = {max(len(one) for one in text.splitlines() if "\u5317" in one)}
    assert longest <= COLUMNS // 2 + 16


@given(st.text(max_size=300))
def test_what_is_not_printable_is_escaped(text):
    assert plain(text).isprintable()
