"""What two people may be asked to sign: the plan, the threshold behind it, and every condition."""

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.bundles.configuration import read_signed
from device.errors import ConfigurationError, MessageError, PasserbyError
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.authorisation import (
    Authorisation,
    Signage,
    Threshold,
    Window,
    check_authorisation,
    decode_authorisation,
    encode_authorisation,
    same_person,
)
from device.protocol.identifiers import utc_ns
from device.vision import Catalogue, default_directory
from tests.conftest import ROOT
from tools.desk.watchlist.authorising import entries_of, hashes_of, settings_of
from tools.desk.watchlist.conditions import obstacles, two_people
from tools.desk.watchlist.evaluation import (
    covers,
    evaluated_threshold,
    provisional_threshold,
    read_statement,
)
from tools.desk.watchlist.plan import Plan, read_plan, text_of
from tools.desk.watchlist.sealing import configuration_of
from tools.desk.watchlist.upkeep import revocations
from tools.lab.evaluate.statement import StatedThreshold, ThresholdStatement

NOW = "2026-02-28T12:00:00.000Z"
NOW_NS = utc_ns(NOW)
MODELS = [
    ModelHash("detector", "passerby-detector-640x480", "1" * 64),
    ModelHash("embedder", "passerby-embedder", "2" * 64),
]
EVALUATED = Threshold(
    kind="evaluated",
    threshold_id="passerby-embedder-1000-0.001",
    threshold=0.52,
    floor=0.52,
    target_fpir=0.001,
    list_size=1000,
    evaluation_sha256="3" * 64,
    words="From 0.5200 an FPIR of at most 1 in 1,000 is shown with 95 %.",
)
PROVISIONAL = msgspec.structs.replace(EVALUATED, kind="provisional", evaluation_sha256=None)


def authorisation(**other):
    usual = {
        "deployment": "0195538c-0000-7000-8000-000000000001",
        "version": 1,
        "signed_at": NOW,
        "objective": "Find people who are wanted on an arrest warrant",
        "place": "North entrance of the arena",
        "devices": ["urn:passerby:s-7f3a:d-01"],
        "windows": [Window("2026-03-01T18:00:00.000Z", "2026-03-01T23:00:00.000Z")],
        "legal_basis": "Operational order 2026-014",
        "impact_assessment": "PIA 2026-002",
        "signage": Signage("Sergeant, badge 1177", "2026-02-28T10:00:00.000Z"),
        "threshold": EVALUATED,
        "models": MODELS,
        "watchlist": ListVersion("0195538c-0000-7000-8000-000000000002", 1),
        "officer": "Inspector, badge 1042",
        "custodian": "Custodian, badge 2208",
        "pilot_ends_at": "2026-06-30T00:00:00.000Z",
        "exit_evaluation": "Audit office by 2026-08-31",
    }
    return Authorisation(**(usual | other))


def found(listed=100, now_ns=NOW_NS, **other):
    return " ".join(obstacles(authorisation(**other), listed, now_ns))


def test_a_careful_authorisation_meets_no_obstacle():
    assert found() == ""
    assert authorisation().mode == "silent"
    assert Authorisation.__struct_defaults__[0] == "silent"


ONE_PERSON = [
    "Inspector, badge 1042",
    "inspector  BADGE 1042",
    "Inspector badge-1042",
    "Inspector; badge 10.42.",
    "Inspector, badge \uff11\uff10\uff14\uff12",
    "\uff29nspector badge 1042",
    "Inspector, badge \u0661\u0660\u0664\u0662",
]


@pytest.mark.parametrize("custodian", ONE_PERSON)
def test_officer_and_custodian_are_two_people(custodian):
    assert "R5" in found(custodian=custodian)
    with pytest.raises(MessageError, match="R5"):
        check_authorisation(authorisation(custodian=custodian))
    assert two_people(authorisation(custodian=custodian))


@given(st.text(), st.text(alphabet=" .,;-/\u200b\u00a0"))
def test_signs_and_case_make_no_other_person(name, signs):
    assert same_person(name, f"{signs}{name}{signs}")
    assert same_person(name, name)
    assert not same_person(f"{name} 1042", f"{name} 1043")


UNPRINTABLE = ["\n", "\x1b[2K", "\r", "\u202e", "\u200b", "\u2028", "\x9b"]


@pytest.mark.parametrize("sign", UNPRINTABLE)
def test_nothing_that_forges_a_line_of_the_summary_is_signed(sign):
    """A signer must not be shown a line, or hidden one, that somebody wrote into a text."""
    forged = f"{sign}Mode          alerting"
    for name in ("objective", "place", "legal_basis", "impact_assessment", "exit_evaluation"):
        text = f"{getattr(authorisation(), name)}{forged}"
        assert f"authorisation.{name} has a character" in found(**{name: text})
    for name in ("officer", "custodian"):
        assert f"authorisation.{name}" in found(**{name: f"Chief, badge 7{forged}"})
    attested = Signage(f"Sergeant{forged}", "2026-02-28T10:00:00.000Z")
    assert "authorisation.signage.attested_by" in found(signage=attested)
    for name in ("words", "threshold_id"):
        told = msgspec.structs.replace(EVALUATED, **{name: f"{getattr(EVALUATED, name)}{forged}"})
        assert f"authorisation.threshold.{name}" in found(threshold=told)
    models = [MODELS[0], ModelHash("embedder", f"passerby-embedder{forged}", "2" * 64)]
    assert "authorisation.models[1].name" in found(models=models)
    with pytest.raises(MessageError, match="plain text"):
        decode_authorisation(encode_authorisation(authorisation(models=models)))


def test_a_text_in_another_script_is_plain_text():
    assert found(place="Entr\u00e9e nord, \u5317\u5165\u53e3, \u0421\u0435\u0432\u0435\u0440") == ""


@pytest.mark.parametrize("text", ["n/a", "none", "TBD", "--", "pending"])
def test_nobody_signs_as_nobody_and_nothing_stands_in_for_an_assessment(text):
    assert "R5" in found(officer=text)
    assert "R40" in found(impact_assessment=text)
    assert "R54" in found(exit_evaluation=text)


def test_a_pilot_has_an_end_that_is_not_past():
    assert "R54" in found(now_ns=utc_ns("2026-06-30T00:00:00.000Z"))
    assert "R54" in found(pilot_ends_at="2028-01-01T00:00:00.000Z")
    late = [Window("2026-06-29T18:00:00.000Z", "2026-06-30T23:00:00.000Z")]
    assert "after the pilot" in found(windows=late)


def test_the_evaluation_covers_nine_tenths_of_the_list():
    assert covers(900, 1000)
    assert not covers(899, 1000)
    assert found(listed=1111) == ""
    assert "R29" in found(listed=1112)


def test_the_list_is_not_longer_than_the_authorised_cap():
    assert found(listed=50, list_cap=50) == ""
    assert "R12" in found(listed=51, list_cap=50)


def test_nobody_is_engaged_while_the_threshold_is_provisional():
    assert found(threshold=PROVISIONAL) == ""
    assert "R35" in found(threshold=PROVISIONAL, mode="alerting")
    assert found(mode="alerting") == ""


def test_the_notice_was_seen_and_seen_before_the_first_window():
    assert found(signage=None) == ""
    assert "R36" in found(signage=Signage("Sergeant 1177", "2026-02-28T12:00:00.001Z"))
    assert "R36" in found(signage=Signage("n/a", "2026-02-28T10:00:00.000Z"))
    begun = [Window("2026-02-28T09:00:00.000Z", "2026-03-01T09:00:00.000Z")]
    assert "the notice comes first" in found(windows=begun)


def test_a_window_that_is_over_is_nothing_to_authorise():
    assert "R6" in found(now_ns=utc_ns("2026-03-01T23:00:00.000Z"))


def test_all_obstacles_are_named_at_once():
    text = found(
        listed=2000,
        threshold=msgspec.structs.replace(PROVISIONAL, list_size=10),
        impact_assessment="none",
        exit_evaluation="tbd",
        list_cap=1500,
    )
    for rule in ("R12", "R29", "R40", "R54"):
        assert rule in text


# The threshold.


def line(size=1000, target=0.001, **other):
    usual = {
        "list_size": size,
        "whole_gallery": False,
        "target_fpir": target,
        "supported": True,
        "threshold": 0.48,
        "threshold_upper_bound": 0.52,
        "fpir_bound": 0.0009,
        "words": f"With {size} references, from 0.5200 it is shown with 95 %.",
    }
    return usual | other


def statement(tmp_path, *lines, models=MODELS):
    path = tmp_path / "statement.json"
    content = {
        "models": msgspec.to_builtins(models),
        "thresholds": list(lines) or [line()],
        "format": "passerby.threshold-statement.v1",
        "signed": False,
    }
    path.write_text(json.dumps(content))
    return read_statement(path)


def test_the_threshold_is_the_one_that_the_evaluation_has_shown(tmp_path):
    made = evaluated_threshold(statement(tmp_path), MODELS, 1000, 0.001)
    assert (made.kind, made.threshold, made.floor, made.list_size) == (
        "evaluated",
        0.52,
        0.52,
        1000,
    )
    assert made.evaluation_sha256 == statement(tmp_path).sha256


def test_the_line_of_the_nearest_list_size_is_taken(tmp_path):
    lines = [line(size) for size in (100, 460, 500, 2000)]
    read = statement(tmp_path, *lines)
    sizes = {100: 100, 101: 460, 500: 500, 501: 2000, 2000: 2000, 2222: 2000}
    for listed, size in sizes.items():
        assert evaluated_threshold(read, MODELS, listed, 0.001).list_size == size


def test_a_list_that_the_evaluation_does_not_cover_is_refused(tmp_path):
    read = statement(tmp_path, line(900))
    assert evaluated_threshold(read, MODELS, 1000, 0.001).list_size == 900
    with pytest.raises(ConfigurationError, match="R29"):
        evaluated_threshold(read, MODELS, 1001, 0.001)


def test_a_rate_that_was_not_shown_is_not_signed(tmp_path):
    unsupported = line(supported=False, threshold_upper_bound=None)
    with pytest.raises(ConfigurationError, match="--provisional"):
        evaluated_threshold(statement(tmp_path, unsupported), MODELS, 1000, 0.001)
    with pytest.raises(ConfigurationError, match="--provisional"):
        evaluated_threshold(statement(tmp_path, line(supported=False)), MODELS, 1000, 0.001)
    with pytest.raises(ConfigurationError, match="says nothing"):
        evaluated_threshold(statement(tmp_path, line(target=0.01)), MODELS, 1000, 0.001)


def test_a_threshold_of_other_models_is_refused(tmp_path):
    read = statement(tmp_path, models=[MODELS[0], ModelHash("embedder", "other", "9" * 64)])
    with pytest.raises(ConfigurationError, match="R34"):
        evaluated_threshold(read, MODELS, 1000, 0.001)


@pytest.mark.parametrize("bound", [0.01, 1.3])
def test_a_threshold_that_no_device_could_apply_is_refused(tmp_path, bound):
    with pytest.raises(ConfigurationError, match="outside"):
        evaluated_threshold(
            statement(tmp_path, line(threshold_upper_bound=bound)), MODELS, 1000, 0.001
        )


def test_a_provisional_threshold_says_so():
    catalogue = Catalogue.read(default_directory())
    made = provisional_threshold(catalogue.entry("passerby-embedder", "embedder"), 7, 0.001)
    assert made.kind == "provisional"
    assert made.evaluation_sha256 is None
    assert made.words.startswith("PROVISIONAL")
    assert made.list_size == 7


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=300))
def test_a_statement_of_garbage_is_refused(tmp_path, garbage):
    path = tmp_path / "garbage.json"
    path.write_bytes(garbage)
    with pytest.raises(ConfigurationError):
        read_statement(path)


def test_a_statement_that_is_missing_or_huge_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_statement(tmp_path / "none.json")
    (tmp_path / "huge.json").write_bytes(b" " * (4 * 1024 * 1024 + 1))
    with pytest.raises(ConfigurationError, match="too large"):
        read_statement(tmp_path / "huge.json")


def test_the_desk_reads_what_the_lab_writes():
    theirs = set(StatedThreshold.__struct_fields__)
    assert set(msgspec.json.decode(json.dumps(line()))) <= theirs
    assert {"models", "thresholds", "format"} <= set(ThresholdStatement.__struct_fields__)


# The plan.


def test_the_example_is_a_plan_and_silent():
    plan = read_plan(ROOT / "examples/authorisation.toml")
    assert plan.mode == "silent"
    assert plan.sources == ["urn:passerby:s-7f3a:d-01", "urn:passerby:s-7f3a:d-02"]
    assert plan.windows_signed()[0].begins_at == "2026-03-01T23:00:00.000Z"


def test_of_several_detectors_all_are_signed_and_the_plan_s_own_is_the_configured_one():
    plan = msgspec.structs.replace(
        read_plan(ROOT / "examples/authorisation.toml"),
        detector="passerby-detector-640x480",
        embedder="passerby-embedder",
        other_detectors=["passerby-detector-320x256"],
    )
    models = hashes_of(entries_of(plan, Catalogue.read(default_directory())))
    assert [model.name for model in models] == [
        "passerby-detector-640x480",
        "passerby-detector-320x256",
        "passerby-embedder",
    ]
    check_authorisation(authorisation(models=models))
    assert settings_of(models).detector == "passerby-detector-640x480"


def test_a_detector_that_was_not_evaluated_gets_no_evaluated_threshold(tmp_path):
    other = ModelHash("detector", "passerby-detector-320x256", "4" * 64)
    with pytest.raises(ConfigurationError, match="R34"):
        evaluated_threshold(statement(tmp_path), [*MODELS, other], 1000, 0.001)


def test_a_plan_that_says_nothing_of_the_mode_is_silent():
    assert {f.name: f.default for f in msgspec.structs.fields(Plan)}["mode"] == "silent"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('objective = "Find', 'objectiv = "Find'),
        ("2026-03-01T18:00:00-05:00", "2026-03-01T18:00:00"),
        ('"s-7f3a/d-01"', '"Main Street/d-01"'),
        ('mode = "silent"', 'mode = "loud"'),
        ("list_cap = 500", "list_cap = 2001"),
        ("alerts_h = 24.0", "alerts_h = 25.0"),
        ('impact_assessment = "PIA', 'unrelated = "PIA'),
        ("[signage]", "[signage]]"),
    ],
)
def test_a_plan_with_a_slip_is_refused_and_the_key_is_named(tmp_path, before, after):
    text = (ROOT / "examples/authorisation.toml").read_text("utf-8")
    assert before in text
    path = tmp_path / "plan.toml"
    path.write_text(text.replace(before, after), "utf-8")
    with pytest.raises(ConfigurationError, match=r"plan\.toml"):
        read_plan(path)


def test_a_plan_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="examples"):
        read_plan(tmp_path / "none.toml")
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError):
        read_plan(tmp_path / "x.toml")


@pytest.mark.parametrize(
    "content",
    [
        "a = " + "[" * 5000 + "]" * 5000,
        "a = " + "9" * 5000,
        "\ud800",
        "a = 1\n" * 500_000,
    ],
)
def test_a_plan_that_no_person_wrote_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "plan.toml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigurationError, match=r"plan\.toml"):
        read_plan(path)


@pytest.mark.parametrize("read", [read_plan, read_statement])
def test_neither_a_device_without_end_nor_a_pipe_nor_a_folder_is_read(tmp_path, read):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (Path("/dev/zero"), pipe, tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            read(path)


def test_a_time_that_there_is_not_in_utc_is_refused():
    last = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))
    with pytest.raises(ConfigurationError, match="correct the year"):
        text_of(last)
    with pytest.raises(ConfigurationError, match="correct the year"):
        text_of(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))))


# The configuration.


def test_the_usual_configuration_is_one_that_devices_take():
    signed = authorisation()
    made = read_signed(configuration_of(signed, None).decode())
    assert made.matching.threshold == 0.52
    assert made.models.embedder == "passerby-embedder"
    assert made.retention.alerts_h == 24.0


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("threshold = 0.52", "threshold = 0.51", "R31"),
        ("threshold = 0.52", "margin = 0.1", "R31"),
        ("threshold = 0.52", "threshold = 0.52\nmargin = 0.0", "matching.margin is 0,"),
        ("[matching]", "[vision]\nshots_per_track = 100\n[matching]", "shots_per_track is 100"),
        ("passerby-embedder", "omz-0095", "R34"),
        ("alerts_h = 24.0", "alerts_h = 48.0", "R25"),
        ("[matching]", "[broker]", "broker"),
        ("[matching]", "[[[", "refused"),
    ],
)
def test_a_configuration_that_contradicts_the_authorisation_is_refused(
    tmp_path, before, after, rule
):
    path = tmp_path / "c.toml"
    text = configuration_of(authorisation(), None).decode()
    assert before in text
    path.write_text(text)
    assert configuration_of(authorisation(), path) == text.encode()
    path.write_text(text.replace(before, after))
    with pytest.raises(PasserbyError, match=rule):
        configuration_of(authorisation(), path)


def test_a_draft_survives_its_own_encoding():
    assert decode_authorisation(encode_authorisation(authorisation())) == authorisation()


def test_the_lines_to_send_name_device_and_reference():
    lines = revocations(["urn:passerby:s-7f3a:d-01", "urn:passerby:s-7f3a:d-02"], "r-0123456789ab")
    assert [line.split(" --reason")[0] for line in lines] == [
        "passerby-desk order revoke --device s-7f3a/d-01 --reference r-0123456789ab",
        "passerby-desk order revoke --device s-7f3a/d-02 --reference r-0123456789ab",
    ]
