"""Nothing of a face and no score can be written into the log: no event has a word for it (R44)."""

import ast
import base64
import re

import numpy as np
import pytest

from device.audit import AuditLog
from device.audit.events import EVENTS, LONGEST_TEXT, checked
from tests.conftest import ROOT

FORBIDDEN = re.compile(
    r"score|template|probe|vector|embedding|crop|picture|image|pixel|sample|landmark|box|"
    r"similarity|name|birth|born|address"
)
SOURCES = sorted((ROOT / "device").rglob("*.py"))
EXAMPLE = {"text": "in words", "name": "an-id", "digest": "a" * 64, "count": 7}
DETAILS = [
    (event, detail)
    for event, known in EVENTS.items()
    for detail in (*known.always, *known.sometimes)
]


def example(event):
    return {name: EXAMPLE[kind] for name, kind in EVENTS[event].always.items()}


def notes():
    """Every call that writes a line, in the whole appliance: file, event, names of its details."""
    for path in SOURCES:
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            if call.func.attr not in ("note", "_note", "write") or "alerts" in path.parts:
                continue  # the courier notes alarms, for the status
            words = [a for a in call.args if isinstance(a, ast.Constant)]
            if words and isinstance(words[0].value, str):
                named = [keyword.arg for keyword in call.keywords if keyword.arg is not None]
                named += [
                    key.value
                    for a in call.args
                    if isinstance(a, ast.Dict)
                    for key in a.keys
                    if isinstance(key, ast.Constant)
                ]
                yield path.relative_to(ROOT), words[0].value, named


NOTES = list(notes())


def test_the_search_for_notes_finds_them():
    assert {"start", "stop", "alert", "search", "searched", "export", "checkpoint"} <= {
        event for _, event, _ in NOTES
    }


@pytest.mark.parametrize("note", NOTES, ids=lambda note: f"{note[0].stem}: {note[1]}")
def test_every_line_that_the_appliance_writes_is_in_the_closed_list(note):
    _, event, named = note
    assert event in EVENTS
    for name in named:
        assert EVENTS[event].kind_of(name), f"{event} has no {name}"


@pytest.mark.parametrize(("event", "detail"), DETAILS)
def test_no_detail_is_made_for_a_face_or_a_person(event, detail):
    assert not FORBIDDEN.search(detail)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("value", [0.93, b"\xff\xd8", [0.1, 0.2], {"x": 1}, None, True, -1, 2**60])
def test_no_value_but_a_word_or_a_count_is_taken(event, value):
    for name in (*EVENTS[event].always, *EVENTS[event].sometimes):
        with pytest.raises(ValueError, match=f'"{name}"'):
            checked(event, example(event) | {name: value})


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("name", ["score", "template", "crop", "margin", "name", "landmarks"])
def test_a_detail_that_is_not_in_the_list_is_refused(event, name):
    with pytest.raises(ValueError, match=f'has no "{name}"'):
        checked(event, example(event) | {name: "x"})


def test_an_event_that_is_not_in_the_list_is_refused_and_not_written(tmp_path):
    path = tmp_path / "audit.jsonl"
    with pytest.raises(ValueError, match="no event of the audit log"):
        AuditLog(path).write(0, "face seen", {})
    assert not path.exists()


@pytest.mark.parametrize("event", [e for e in EVENTS if EVENTS[e].always])
def test_a_detail_that_must_be_there_must_be_there(event):
    with pytest.raises(ValueError, match="must say"):
        checked(event, {})


@pytest.mark.parametrize("kind", [np.float32, np.int8, np.uint8])
def test_no_template_fits_into_any_detail(kind):
    template = base64.b64encode(np.ones(256, kind).tobytes()).decode()
    for event, detail in DETAILS:
        try:
            told = checked(event, example(event) | {detail: template})
        except ValueError:
            continue
        assert template not in str(told)
        assert len(str(told[detail])) <= LONGEST_TEXT


def test_what_an_erasure_says_is_in_the_list():
    told = {"reason": "the end", "deployment": "unknown", "not overwritten": "a sentence"}
    assert checked("erased", told) == told


def test_a_text_that_is_not_utf8_is_written_as_it_can_be_shown():
    told = checked("erased", {"file": b"M\xfcller.jpg".decode("utf-8", "surrogateescape")})
    assert told == {"file": "M\\xfcller.jpg"}
