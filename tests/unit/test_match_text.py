"""What `passerby match` prints for people (R20, R51)."""

from device.cli.match import _as_text
from device.protocol.wording import NOTICE
from device.search import Found, Result


def _text(**found):
    result = Result("a.jpg", "still", faces=2)
    if found:
        values = {"band": "strong", "margin_band": "clear", "shots": 1, "box": (1, 2, 3, 4)}
        result.candidates.append(Found("ref-1", **(values | found)))
    return _as_text(result)


def test_a_candidate_is_a_possible_match_with_the_notice():
    text = _text(at_s=None)
    assert "possible match: ref-1 (strong)" in text
    assert NOTICE in text


def test_a_thin_margin_warns_of_a_look_alike():
    assert "look-alike" in _text(margin_band="thin")
    assert "look-alike" not in _text(margin_band="clear")


def test_a_clip_tells_where():
    assert "at 3.5 s" in _text(at_s=3.5)


def test_nobody_found_is_said():
    assert _text() == "a.jpg: 2 faces\n  no candidate"


def test_a_judged_attack_is_said_and_never_a_candidate():
    text = _as_text(Result("a.jpg", "still", faces=1, judged_attacks=1))
    assert "a face near a reference: judged a presentation attack (print or screen)" in text
    assert "no candidate" in text
    assert "possible match" not in text
