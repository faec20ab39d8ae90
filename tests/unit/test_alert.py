"""The alert on the wire: its schema, its words, and what is refused."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import get_args

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.alerts.maker import AlertMaker, Circumstances
from device.alerts.writer import farewell
from device.errors import MessageError
from device.matching import Confirmed
from device.protocol.alert import (
    LARGEST_CROP_BYTES,
    Alert,
    ListVersion,
    ModelHash,
    decode_alert,
    encode_alert,
)
from device.protocol.bands import margin_band, score_band
from device.protocol.identifiers import utc_ns, utc_text, uuid7
from device.protocol.status import Pace, Status, StatusData, decode_status, encode_status
from device.protocol.topics import Topics
from tests.conftest import ROOT

NOW_NS = 1_790_000_000_123_000_000
EPOCH = uuid7(NOW_NS)


def make_alert(score=0.612345, crop=b"\xff\xd8jpeg", now_ns=NOW_NS, attack_detection="no PAD"):
    circumstances = Circumstances(
        "urn:passerby:s1:d1",
        ListVersion("list-1", 3),
        [ModelHash("embedder", "e", "ab" * 32)],
        "threshold-1",
        (0.55, 0.65),
        demonstration=True,
        attack_detection=attack_detection,
    )
    confirmed = Confirmed("ref-7", score, 0.2, 2, 0.873)
    draft = AlertMaker(circumstances, lambda: now_ns).draft(confirmed, now_ns - 40_000_000, crop)
    return draft.numbered(EPOCH, 1, utc_text(now_ns))


def _schema(name):
    return json.loads((ROOT / f"docs/schemas/{name}.schema.json").read_text("utf-8"))


def test_an_alert_is_a_cloud_event_that_fits_its_published_schema():
    event = json.loads(encode_alert(make_alert()))
    jsonschema.validate(event, _schema("alert"), jsonschema.Draft202012Validator)
    assert event["specversion"] == "1.0"
    assert event["source"] == "urn:passerby:s1:d1"
    assert event["time"] == event["data"]["captured_at"] == utc_text(NOW_NS - 40_000_000)


def test_the_schema_refuses_what_is_missing_or_added():
    validator = jsonschema.Draft202012Validator(_schema("alert"))
    event = json.loads(encode_alert(make_alert()))
    assert validator.is_valid(event)
    assert not validator.is_valid(event | {"subject": "x"})
    assert not validator.is_valid(event | {"data": event["data"] | {"score": 0.6}})
    assert not validator.is_valid({k: v for k, v in event.items() if k != "id"})


def test_an_alert_comes_back_as_it_was():
    alert = make_alert()
    assert decode_alert(encode_alert(alert)) == alert


def test_it_opens_unreviewed_and_says_what_it_is_not():
    data = json.loads(encode_alert(make_alert()))["data"]
    assert data["state"] == "unreviewed"
    assert data["words"] == "possible match"
    assert "not an identification" in data["notice"]
    assert "sole ground" in data["notice"]
    assert data["presentation_attack_detection"] == "no PAD"
    assert data["demonstration"] is True


def test_with_attack_detection_it_names_its_threshold():
    alert = make_alert(attack_detection="minifasnet-v2-default-0.500")
    event = json.loads(encode_alert(alert))
    jsonschema.validate(event, _schema("alert"), jsonschema.Draft202012Validator)
    assert event["data"]["presentation_attack_detection"] == "minifasnet-v2-default-0.500"
    assert decode_alert(encode_alert(alert)) == alert


def test_attack_detection_cannot_be_praised_in_an_alert():
    event = json.loads(encode_alert(make_alert()))
    changed = event | {"data": event["data"] | {"presentation_attack_detection": "All real!"}}
    with pytest.raises(MessageError):
        decode_alert(json.dumps(changed).encode())


def test_no_other_state_or_wording_can_be_decoded():
    event = json.loads(encode_alert(make_alert()))
    for key, value in (("state", "confirmed"), ("words", "identified"), ("notice", "Match.")):
        changed = event | {"data": event["data"] | {key: value}}
        with pytest.raises(MessageError):
            decode_alert(json.dumps(changed).encode())


def test_the_raw_score_is_nowhere_in_it():
    text = encode_alert(make_alert(score=0.612345)).decode()
    assert "0.612" not in text
    assert json.loads(text)["data"]["score_band"] == "strong"


def _maker():
    circumstances = Circumstances(
        "urn:passerby:s:d", ListVersion("l", 1), [], "t", (0.5, 0.6), demonstration=True
    )
    return AlertMaker(circumstances, lambda: NOW_NS)


def test_the_outbox_gives_the_number_and_nothing_else_of_a_draft_changes():
    drafts = [_maker().draft(Confirmed("r", 0.5, 0.1, 2, 0.5), NOW_NS, None) for _ in range(3)]
    assert len({draft.id for draft in drafts}) == 3
    alerts = [draft.numbered(EPOCH, n, utc_text(NOW_NS)) for n, draft in enumerate(drafts, 5)]
    assert [alert.id for alert in alerts] == [draft.id for draft in drafts]
    assert [alert.data.sequence for alert in alerts] == [5, 6, 7]
    assert {alert.data.epoch for alert in alerts} == {EPOCH}
    assert {(draft.reference_id, draft.captured_at) for draft in drafts} == {
        (alert.data.reference_id, alert.data.captured_at) for alert in alerts
    }
    assert alerts[0].data.sent_at is None
    assert not alerts[0].data.delayed


@pytest.mark.parametrize(
    ("length", "kept"), [(LARGEST_CROP_BYTES, True), (LARGEST_CROP_BYTES + 1, False)]
)
def test_a_crop_that_no_letter_has_room_for_is_left_out(length, kept):
    draft = _maker().draft(Confirmed("r", 0.5, 0.1, 2, 0.5), NOW_NS, bytes(length))
    assert (draft.numbered(EPOCH, 1, utc_text(NOW_NS)).data.crop is not None) == kept


@pytest.mark.parametrize("number", [0, -1, 2**53, 1.0, "1"])
def test_a_number_that_not_every_language_reads_is_refused(number):
    event = json.loads(encode_alert(make_alert()))
    changed = event | {"data": event["data"] | {"sequence": number}}
    with pytest.raises(MessageError):
        decode_alert(json.dumps(changed).encode())


def test_sending_stamps_the_time_and_the_delay():
    sent = make_alert().sent(utc_text(NOW_NS + 60_000_000_000), delayed=True)
    assert sent.data.delayed
    assert sent.data.sent_at == utc_text(NOW_NS + 60_000_000_000)
    assert sent.data.captured_at < sent.data.queued_at < sent.data.sent_at


def test_an_alert_prints_no_content():
    assert repr(make_alert()).startswith("<Alert ")
    assert "ref-7" not in repr(make_alert())


def test_oversize_is_refused_before_it_is_read():
    with pytest.raises(MessageError, match="bytes is refused"):
        decode_alert(b" " * 70_000)


@given(st.integers(0, 2000), st.integers(0, 255))
@settings(max_examples=300)
def test_a_flipped_byte_is_refused_or_still_an_alert(place, value):
    payload = bytearray(encode_alert(make_alert()))
    payload[place % len(payload)] = value
    with suppress(MessageError):
        assert isinstance(decode_alert(bytes(payload)), Alert)


@given(
    st.binary(max_size=400)
    | st.recursive(
        st.none() | st.booleans() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    ).map(lambda o: json.dumps(o).encode())
)
@settings(max_examples=300)
def test_anything_else_is_refused_with_a_sentence(payload):
    for decode in (decode_alert, decode_status):
        with pytest.raises(MessageError, match="This is no"):
            decode(payload)


def test_a_status_fits_its_schema_and_comes_back():
    status = Status(
        uuid7(NOW_NS), "urn:passerby:s1:d1", utc_text(NOW_NS), StatusData("online", "comparing")
    )
    jsonschema.validate(json.loads(encode_status(status)), _schema("status"))
    assert decode_status(encode_status(status)) == status


def test_a_status_has_no_field_that_could_carry_a_count():
    for kind in (StatusData, Pace):
        for field in msgspec.structs.fields(kind):
            assert field.type not in {int, float}, field.name
    # Numbers from a closed list: five steps, and always as many.
    assert get_args(Pace.__annotations__["step"]) == (0, 1, 2, 3, 4)
    assert get_args(Pace.__annotations__["of"]) == (4,)


def test_a_status_without_a_pace_as_older_devices_send_it_is_read():
    status = Status(
        uuid7(NOW_NS), "urn:passerby:s1:d1", utc_text(NOW_NS), StatusData("online", "comparing")
    )
    event = json.loads(encode_status(status))
    del event["data"]["pace"]
    assert decode_status(json.dumps(event).encode()).data.pace is None


def test_a_device_that_has_gone_says_no_pace():
    status = StatusData("online", "comparing", pace=Pace(1, 4, "Less is done."))
    assert farewell(status, "Gone.").pace is None


@pytest.mark.parametrize("step", [-1, 5, 17, 1.5, "1"])
def test_a_step_that_there_is_not_is_refused(step):
    pace = {"step": step, "of": 4, "sentence": "Full effort."}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(pace, Pace)


def test_topics_hold_opaque_ids_only():
    topics = Topics("s1", "d1")
    assert topics.of("alert") == "passerby/v1/s1/d1/alert"
    assert topics.source == "urn:passerby:s1:d1"


def test_bands():
    assert [score_band(s, (0.55, 0.65)) for s in (0.5, 0.55, 0.7)] == [
        "moderate",
        "strong",
        "very strong",
    ]
    assert [margin_band(m) for m in (0.05, 0.3)] == ["thin", "clear"]


def test_uuid7_is_ordered_by_time_and_carries_its_version():
    early, late = uuid7(NOW_NS), uuid7(NOW_NS + 5_000_000)
    assert early < late
    assert early[14] == "7"
    assert early[19] in "89ab"
    assert int(early.replace("-", "")[:12], 16) == NOW_NS // 1_000_000


@given(st.integers(0, 4_000_000_000_000))
def test_times_survive_text(milliseconds):
    text = utc_text(milliseconds * 1_000_000)
    assert utc_ns(text) == milliseconds * 1_000_000
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(milliseconds / 1000, UTC)
