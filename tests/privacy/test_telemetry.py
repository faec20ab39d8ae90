"""What the appliance says of itself tells nothing of who passes, and nothing that it does not know.

The real appliance runs over generated streets, with faults: status, status file and log of a street
full of people who match nobody are those of an empty one. The ledger and the audit log add up; the
record says a number that the log supports, or "unknown". There are no metrics.
"""

import ast
import json
import logging
import tempfile
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from device.appliance import Appliance
from device.audit import Ledger
from device.audit.reading import Snapshot
from device.audit.verify import verify
from device.deployment import deployment_record
from device.policy.stop_rule import verdict
from device.protocol.alert import ListVersion
from device.protocol.authorisation import StopRule
from device.protocol.event import encode_event
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.status import Status, StatusData
from device.recognition import Recogniser
from device.statusfile import LocalStatus
from tests.conftest import ROOT
from tests.privacy.test_log_lines import strange
from tests.simulators import street
from tests.simulators.correspondents import Correspondents
from tests.simulators.run_small import (
    BEFORE_FACES,
    ENROLLED,
    WITH_FACES,
    Trouble,
    difference,
    run_small,
)
from tests.simulators.street import Person
from tests.unit.test_audit_totals import LIST, Device
from tests.unit.test_pacing import SENTENCES

SCHEMAS = ROOT / "docs/schemas"
SOURCES = sorted((ROOT / "device").rglob("*.py"))
SLOW = settings(
    deadline=None,
    max_examples=20,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a run takes too long to be shrunk
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
NOW_NS = 1_790_000_000_000_000_000
RECOGNITION = logging.getLogger("device.recognition")


def _validator(name):
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)


STATUS, RECORD = _validator("status"), _validator("record")
LOCAL = jsonschema.Draft202012Validator(msgspec.json.schema(LocalStatus))


def event_of(status):
    """Return a status as it leaves, as JSON."""
    event = Status(uuid7(NOW_NS), "urn:passerby:s1:d1", utc_text(NOW_NS), status)
    return json.loads(encode_event(event))


def check_what_was_said(told):
    """Every status, status file and log line is of its published form, and no count left."""
    assert told.statuses
    assert told.files
    for status in told.statuses:
        STATUS.validate(event_of(status))
        assert status.pace is None or status.pace.sentence in SENTENCES
    for content in told.files:
        local = json.loads(content)
        LOCAL.validate(local)
        STATUS.evolve(schema=STATUS.schema | {"$ref": "#/$defs/StatusData"}).validate(
            local["status"]
        )
    assert strange(told.lines) == []
    assert told.sink.records == []


def check_that_nobody_was_found(told):
    """Strangers alone passed: there is no alert, and no line that only somebody causes."""
    assert told.sink.alerts == []
    # "slowed by heat" is not among them: the thermometer of these runs shows nothing.
    events = {line.event for line in told.audit()}
    assert events <= {"start", "searched", "stop", "storage works again"}


def check_the_ledger(told):
    """What the ledger counted is whole, and the local log, the only place of counts, agrees.

    From the log they leave only in the sealed record that answers the end of a deployment.
    """
    ledger = told.ledger
    counts = {name: getattr(ledger, name) for name in Ledger.__slots__}
    assert min(counts.values()) >= 0
    assert ledger.appearances == ledger.destroyed
    assert ledger.faces <= ledger.appearances
    # Whoever was seen is counted as somebody, also when the frame failed in which they came.
    assert (ledger.faces > 0) == (ledger.appearances > 0)
    report = verify(Snapshot.of(told.folder / "audit.jsonl"), None)
    assert report.ok, report.findings
    if told.audit("stop"):
        lines = told.audit("searched")
        assert all(sum(line.details[name] for line in lines) == n for name, n in counts.items())
    else:
        # The disk failed to the end: what was not written is not known, whatever it was.
        said = record_of(told.folder, listed=ListVersion("list-1", 1))
        assert said.faces == said.compared == "unknown"


# --- Generated streets ----------------------------------------------------------------------------

strangers = st.builds(
    Person,
    hue=st.integers(60, 120),
    x=st.integers(0, 560),
    y=st.integers(0, 280),
    size=st.integers(40, 80),
    speed=st.sampled_from([-60, -20, 0, 20, 60]),
    until_s=st.sampled_from([0.5, 1.5, 1e9]),
)
streets = st.lists(strangers, max_size=10)


def troubles_of(stages):
    """Faults, one for each stage at most; those of the disk last until they are noticed."""
    one = st.builds(Trouble, st.sampled_from(stages), st.integers(0, 20), st.integers(1, 4))
    many = st.lists(one, max_size=3, unique_by=lambda trouble: trouble.stage)
    return many.map(lambda found: [_lasting(trouble) for trouble in found])


def _lasting(trouble):
    lasts = 25 if trouble.stage in {"disk", "audit log"} else trouble.lasts
    return Trouble(trouble.stage, trouble.frame, lasts)


STAYS = [stage for stage in BEFORE_FACES if stage != "motion"]
GATED = [stage for stage in BEFORE_FACES if stage != "detection"]


@given(streets, troubles_of([*BEFORE_FACES, *WITH_FACES]))
@SLOW
def test_whatever_happens_is_said_in_the_published_form_and_adds_up(people, troubles):
    with tempfile.TemporaryDirectory() as folder:
        told = run_small(Path(folder), people, 40, troubles)
        check_what_was_said(told)
        check_the_ledger(told)
        check_that_nobody_was_found(told)
        failed = any("could not be processed" in reason for reason in reasons(told))
        assert told.ledger.faults or not failed


@given(streets, troubles_of([*BEFORE_FACES, *WITH_FACES]))
@settings(SLOW, max_examples=5)
def test_with_somebody_of_the_list_among_them_it_adds_up_too(people, troubles):
    enrolled = Person(ENROLLED[0], 20, y=270, speed=40)
    with tempfile.TemporaryDirectory() as folder:
        told = run_small(Path(folder), [*people, enrolled], 40, troubles)
        check_what_was_said(told)
        check_the_ledger(told)
        assert len(told.sink.alerts) == told.ledger.alerts


def reasons(told):
    return [reason for status in told.statuses for reason in status.reasons]


@given(st.lists(strangers, min_size=1, max_size=10), troubles_of(STAYS) | troubles_of(GATED))
@SLOW
def test_a_full_street_says_what_an_empty_one_says(people, troubles):
    with tempfile.TemporaryDirectory() as folder:
        full = run_small(Path(folder) / "full", people, 40, troubles)
        empty = run_small(Path(folder) / "empty", [], 40, troubles)
        assert difference(full, empty) == []
        assert empty.ledger.faces == 0


CROWD = [Person(60 + 7 * i, 20 + 95 * i, y=40 + 90 * (i % 3), size=60) for i in range(6)]


@pytest.mark.parametrize("stage", WITH_FACES)
def test_a_fault_that_needs_a_face_does_not_say_how_many_there_were(stage, tmp_path):
    # That one was there it does say: a frame could not be processed.
    troubles = [Trouble(stage, 0)]
    one = run_small(tmp_path / "one", CROWD[:1], 12, troubles)
    many = run_small(tmp_path / "many", CROWD, 12, troubles)
    assert one.ledger.faults == many.ledger.faults == 1
    assert any("could not be processed" in reason for reason in reasons(one))
    assert difference(one, many) == []
    check_the_ledger(one)
    check_the_ledger(many)


def test_a_face_at_every_frame_is_counted_although_every_frame_fails(tmp_path):
    told = run_small(tmp_path, CROWD[:2], 12, [Trouble("embedding", 0, lasts=12)])
    assert told.ledger.faults > 0
    assert told.ledger.faces == 2
    check_the_ledger(told)


# --- The comparison of two streets can fail -------------------------------------------------------


def test_a_count_in_a_reason_is_found(tmp_path, monkeypatch):
    whole = Appliance._report

    def report(self, state, reasons):
        whole(self, state, [*reasons, f"{self.ledger.faces} people have passed."])

    monkeypatch.setattr(Appliance, "_report", report)
    full, empty = run_small(tmp_path / "full", CROWD, 5), run_small(tmp_path / "empty", [], 5)
    assert difference(full, empty) == ["statuses", "status files"]


def test_a_count_in_a_log_line_is_found(tmp_path, monkeypatch):
    whole = Recogniser.process

    def process(self, *arguments):
        found = whole(self, *arguments)
        RECOGNITION.debug("faces=%d", found.faces)
        return found

    monkeypatch.setattr(Recogniser, "process", process)
    full, empty = run_small(tmp_path / "full", CROWD, 5), run_small(tmp_path / "empty", [], 5)
    assert difference(full, empty) == ["log"]
    assert strange(full.lines)
    with pytest.raises(AssertionError):
        check_what_was_said(full)


def test_a_line_that_only_faces_cause_is_found(tmp_path, monkeypatch):
    whole = street.HueEmbedder.embed

    def embed(self, sample):
        RECOGNITION.debug("embedded")
        return whole(self, sample)

    monkeypatch.setattr(street.HueEmbedder, "embed", embed)
    full, empty = run_small(tmp_path / "full", CROWD, 5), run_small(tmp_path / "empty", [], 5)
    assert difference(full, empty) == ["log"]


@pytest.mark.parametrize("strange_one", [{"faces": 3}, {"reasons": [3]}, {"watchlist": 3}])
def test_a_status_of_another_form_is_found(strange_one):
    event = event_of(StatusData("online", "comparing"))
    STATUS.validate(event)
    with pytest.raises(jsonschema.ValidationError):
        STATUS.validate(event | {"data": event["data"] | strange_one})


def test_a_face_that_is_not_counted_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("device.vision.sample.Sample.wipe", lambda _: None)
    with pytest.raises(AssertionError):
        check_the_ledger(run_small(tmp_path, CROWD, 5))


def test_an_alert_is_found_where_nobody_should_be(tmp_path):
    told = run_small(tmp_path, [Person(ENROLLED[0], 100)], 20)
    check_the_ledger(told)
    assert told.ledger.alerts == 1
    with pytest.raises(AssertionError):
        check_that_nobody_was_found(told)


# --- Where a number could stand -------------------------------------------------------------------


def numbers_of(part, path=()):
    """Yield the places of a JSON schema at which a number may stand."""
    if isinstance(part, dict):
        if {"integer", "number"} & set(_listed(part.get("type"))):
            yield path
        for key, value in part.items():
            yield from numbers_of(value, (*path, key))
    elif isinstance(part, list):
        for item in part:
            yield from numbers_of(item, path)


def _listed(kind):
    return [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []


def test_a_status_has_no_place_for_a_count():
    version = ("$defs", "ListVersion", "properties", "version")
    assert list(numbers_of(STATUS.schema)) == [version]
    process = ("$defs", "LocalStatus", "properties", "process")
    assert set(numbers_of(LOCAL.schema)) == {version, process}
    counts = {path[3] for path in numbers_of(RECORD.schema) if path[1] == "RecordData"}
    assert counts == {"list_size", "faces", "compared", "attacks", "alerts"}


@given(
    st.integers(1, 400), st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from([0.5, 0.99])
)
def test_the_stop_rule_does_not_say_how_many_passed(false_alerts, faces, others, confidence):
    # Its sentence goes into the status, so to the desk, long before the record.
    rule = StopRule(authorised_fpir=0.0001, confidence=confidence)
    said = {verdict(rule, false_alerts, seen) for seen in (faces, others)} - {None}
    assert len(said) <= 1


METRICS = {
    "aiohttp",
    "datadog",
    "flask",
    "http",
    "influxdb",
    "opencensus",
    "opentelemetry",
    "prometheus_client",
    "sentry_sdk",
    "socketserver",
    "statsd",
    "syslog",
    "wsgiref",
    "xmlrpc",
}
SERVING = {"bind", "listen", "accept", "create_server", "start_server", "serve_forever"}
HANDLERS = {"SysLogHandler", "HTTPHandler", "SocketHandler", "DatagramHandler", "SMTPHandler"}


def offers(text):
    """Return what in a source would offer or send figures: modules, servers, remote handlers."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & METRICS
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").split(".")[0]} & METRICS
        elif isinstance(node, ast.Attribute):
            found |= {node.attr} & (SERVING | HANDLERS)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value.split(".")[0]} & METRICS if "." in node.value else set()
    return found


def test_there_are_no_metrics_and_no_server():
    for path in SOURCES:
        assert offers(path.read_text("utf-8")) == set(), path


@pytest.mark.parametrize(
    "text",
    [
        "import prometheus_client",
        "from http.server import HTTPServer",
        "own.bind(('', 80))",
        "logging.handlers.SysLogHandler()",
        "importlib.import_module('http.server')",
    ],
)
def test_a_metric_or_a_server_is_found(text):
    assert offers(text)


# --- The ledger -----------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 64), st.booleans())))
def test_the_ledger_destroys_what_appeared_and_says_when_not(frames):
    ledger = Ledger()
    for faces, wiped in frames:
        ledger.frame_ended(faces, wiped=wiped)
    left = sum(faces for faces, wiped in frames if not wiped)
    assert ledger.frames == len(frames)
    assert ledger.appearances - ledger.destroyed == left
    assert ledger.destroyed >= 0


# --- The record -----------------------------------------------------------------------------------


HAND_IN = {
    "device/effects.py": "the desk's order ends the deployment",
    "device/ending.py": "whatever else ends it: the record is owed from then on",
    "device/correspondence.py": "the record of an end that was ordered before this start",
    "device/lent.py": "hands on",
    "device/alerts/courier.py": "hands on",
}
"""Who hands in a record, and why then."""


def test_only_an_end_hands_in_a_record():
    callers = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "submit_record"
    }
    assert callers == set(HAND_IN)
    makers = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if {"Record", "RecordData"}
        & {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
    }
    assert makers == {"device/deployment.py"}


def test_an_end_hands_in_one_record_with_the_counts_and_nothing_else_does(tmp_path):
    desk = Correspondents()
    for number, action in enumerate(("suspend", "resume")):
        told = run_small(tmp_path / action, CROWD, 5, orders={0: desk.command(action, number + 1)})
        assert told.sink.records == []
    before = run_small(tmp_path / "ended", CROWD, 20)
    ended = run_small(tmp_path / "ended", CROWD, 5, orders={0: desk.command("end")})
    (record,) = ended.sink.records
    RECORD.validate(json.loads(encode_event(record)))
    assert record.data.faces == before.ledger.faces == len(CROWD)
    assert record.data.compared == before.ledger.compared > 0


def test_counts_that_could_not_be_written_yet_are_unknown_in_the_record(tmp_path):
    orders = {15: Correspondents().command("end")}
    told = run_small(tmp_path, CROWD, 30, [Trouble("audit log", 5, lasts=30)], orders=orders)
    assert told.ledger.faces == len(CROWD)
    (record,) = told.sink.records
    counted = {name: getattr(record.data, name) for name in COUNTED}
    assert counted == dict.fromkeys(COUNTED, "unknown")


def record_of(folder, *, running=False, listed=LIST):
    """Return the record of what lies in a folder, as it leaves."""
    record = deployment_record(
        street.settings(folder), listed, 7, "t-1", running=running, written=True
    )
    RECORD.validate(json.loads(encode_event(record)))
    return record.data


COUNTED = ("faces", "compared", "attacks", "alerts")


def a_life(folder):
    """Two runs of one list, whole and closed; every count of its record is above 0."""
    device = Device(folder)
    for faces in (130, 70):
        device.starts()
        device.sees(faces)
        device.alerts()
        device.attacked()
        device.sees(10)
        device.stops()
    return {name: getattr(record_of(folder), name) for name in COUNTED}


def damage(content, kind, where, byte):
    """Return a log that something happened to. where: between 0 and 1."""
    lines = content.splitlines(keepends=True)
    at, line = int(where * len(content)), int(where * len(lines))
    before, this, after = lines[:line], lines[line : line + 1], lines[line + 1 :]
    kept = {
        "cut": [content[:at]],
        "cut after a line": before,
        "front gone": [*this, *after],
        "line gone": [*before, *after],
        "line twice": [*before, *this, *this, *after],
        "exchanged": [*before, *after[:1], *this, *after[1:]],
        "byte": [content[:at], bytes([byte]), content[at + 1 :]],
    }
    return b"".join(kept[kind])


DAMAGE = ("cut", "cut after a line", "front gone", "line gone", "line twice", "exchanged", "byte")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(DAMAGE),
            st.floats(0, 1, exclude_max=True),
            st.sampled_from(b"0123456789\n{a\0"),
        ),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_a_damaged_log_gives_its_true_counts_or_unknown(life, happened, head_too):
    folder, true, content, head = life
    damaged = content
    for kind, where, byte in happened:
        damaged = damage(damaged, kind, where, byte) if damaged else damaged
    (folder / "audit.jsonl").write_bytes(damaged)
    (folder / "audit.head").write_bytes(head)
    if head_too:
        (folder / "audit.head").unlink()
    for running in (True, False):
        said = record_of(folder, running=running)
        told = {name: getattr(said, name) for name in COUNTED}
        assert all(number in (true[name], "unknown") for name, number in told.items()), told


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    folder = tmp_path_factory.mktemp("life")
    true = a_life(folder)
    assert true == {"faces": 220, "compared": 220, "attacks": 2, "alerts": 2}
    log, head = folder / "audit.jsonl", folder / "audit.head"
    return folder, true, log.read_bytes(), head.read_bytes()


def test_a_whole_log_is_known(life):
    folder, true, content, head = life
    (folder / "audit.jsonl").write_bytes(content)
    (folder / "audit.head").write_bytes(head)
    said = record_of(folder)
    assert {name: getattr(said, name) for name in COUNTED} == true


@pytest.mark.parametrize("listed", [ListVersion("list-2", 1), None])
def test_of_a_list_that_the_log_does_not_name_nothing_is_known(life, listed):
    folder, _, content, head = life
    (folder / "audit.jsonl").write_bytes(content)
    (folder / "audit.head").write_bytes(head)
    said = record_of(folder, listed=listed)
    assert {getattr(said, name) for name in COUNTED} == {"unknown"}
    assert said.from_at == "unknown"


def test_without_a_log_nothing_is_known(tmp_path):
    assert {getattr(record_of(tmp_path), name) for name in COUNTED} == {"unknown"}


@given(st.integers(1, 5), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=10)
def test_a_run_that_was_broken_off_leaves_unknown_counts(faces, alert, again):
    with tempfile.TemporaryDirectory() as folder:
        device = Device(Path(folder))
        device.starts()
        device.sees(faces)
        if alert:
            device.alerts()
        if again:
            device.starts()
            device.stops()
        said = record_of(Path(folder))
        assert (said.faces, said.compared) == ("unknown", "unknown")
        assert said.alerts == int(alert)
