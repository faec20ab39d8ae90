"""How many faces the stop rule counts against: over restarts, and never too many (R32)."""

import msgspec
import pytest

from device.audit import Ledger
from device.errors import StorageError
from device.exposure import NAME, Exposures
from device.policy.standing import Standing
from device.policy.stop_rule import Exposure
from device.protocol.authorisation import StopRule
from device.protocol.identifiers import utc_text
from tests.simulators.charge import EVALUATED, S, Street, World, alerting, authorised
from tests.simulators.repository import DEPLOYMENT

RULE = StopRule(authorised_fpir=0.001, confidence=0.95)
SERVING = Standing(deployment=DEPLOYMENT)
ONE_FALSE = msgspec.structs.replace(SERVING, false_before=1)


class Notes:
    def __init__(self):
        self.faults = []

    def failed(self, error):
        self.faults.append(str(error))


@pytest.fixture
def notes():
    return Notes()


def counted(folder, notes, faces, standing=SERVING):
    """Watch so many faces, and stop."""
    exposures, ledger = Exposures(folder, notes), Ledger()
    exposures.begin(ledger, standing)
    ledger.faces += faces
    exposures.step(standing, 1e9)
    return exposures


def kept(folder):
    return msgspec.json.decode((folder / NAME).read_bytes(), type=Exposure)


def test_faces_add_up_over_restarts(tmp_path, notes):
    counted(tmp_path, notes, 600)
    counted(tmp_path, notes, 500)
    assert kept(tmp_path).faces == 1100


def test_one_false_alert_of_many_faces_does_not_stop_and_of_few_does(tmp_path, notes):
    assert counted(tmp_path, notes, 5).verdict(RULE, ONE_FALSE) is not None
    assert counted(tmp_path, notes, 5000).verdict(RULE, ONE_FALSE) is None
    assert Exposures(tmp_path, notes).verdict(RULE, ONE_FALSE) is None


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[" * 3000, b" " * 5000])
def test_a_count_that_is_lost_or_damaged_weighs_against_the_device(tmp_path, notes, content):
    counted(tmp_path, notes, 5000)
    if content is None:
        (tmp_path / NAME).unlink()
    else:
        (tmp_path / NAME).write_bytes(content)
    exposures = Exposures(tmp_path, notes)
    assert exposures.verdict(RULE, ONE_FALSE) is not None
    exposures.begin(Ledger(), SERVING)
    assert exposures.verdict(RULE, ONE_FALSE) is not None


def test_a_lost_count_begins_anew_with_what_is_seen_since(tmp_path, notes):
    (tmp_path / NAME).write_bytes(b"{")
    assert counted(tmp_path, notes, 5000).verdict(RULE, ONE_FALSE) is None


def test_a_count_is_written_only_when_it_has_changed(tmp_path, notes):
    exposures = counted(tmp_path, notes, 10)
    (tmp_path / NAME).unlink()
    exposures.keep()
    assert not (tmp_path / NAME).exists()


def test_without_a_false_alert_a_lost_count_stops_nothing(tmp_path, notes):
    (tmp_path / NAME).write_bytes(b"{")
    assert Exposures(tmp_path, notes).verdict(RULE, SERVING) is None


@pytest.mark.parametrize(
    "since",
    [
        msgspec.structs.replace(ONE_FALSE, resumed=7),
        msgspec.structs.replace(ONE_FALSE, deployment="0195d2f0-0000-7000-8000-00000000000f"),
        msgspec.structs.replace(ONE_FALSE, threshold_id="t-2"),
    ],
)
def test_faces_of_before_a_resume_or_of_another_deployment_do_not_count(tmp_path, notes, since):
    exposures = counted(tmp_path, notes, 5000)
    assert exposures.verdict(RULE, ONE_FALSE) is None
    assert exposures.verdict(RULE, since) is not None
    assert counted(tmp_path, notes, 1, since).verdict(RULE, since) is not None
    assert kept(tmp_path).faces == 1


def test_a_count_that_cannot_be_kept_is_a_fault(tmp_path, notes, monkeypatch):
    def failing(*_):
        raise StorageError("The disk is full.")

    monkeypatch.setattr("device.exposure.write_atomically", failing)
    counted(tmp_path, notes, 10)
    assert notes.faults == ["The disk is full."]


SILENT = msgspec.structs.replace(SERVING, silent=True)


def test_faces_of_silent_mode_do_not_dilute_the_false_alerts_of_alerting(tmp_path, notes):
    counted(tmp_path, notes, 100_000, SILENT)
    exposures = counted(tmp_path, notes, 5)
    assert kept(tmp_path).faces == 5
    assert exposures.verdict(RULE, ONE_FALSE) is not None


def test_faces_of_alerting_stay_through_a_time_of_silence(tmp_path, notes):
    counted(tmp_path, notes, 5000)
    counted(tmp_path, notes, 100_000, SILENT)
    assert kept(tmp_path).faces == 5000
    assert counted(tmp_path, notes, 1).verdict(RULE, ONE_FALSE) is None
    assert kept(tmp_path).faces == 5001


@pytest.mark.parametrize("before", [SILENT, msgspec.structs.replace(SERVING, threshold_id="t-1")])
def test_the_last_faces_of_a_session_do_not_count_for_the_bundle_after_it(tmp_path, notes, before):
    exposures, ledger = Exposures(tmp_path, notes), Ledger()
    exposures.begin(ledger, before)
    ledger.faces += 5000
    exposures.step(SERVING, 1e9)
    assert exposures.verdict(RULE, ONE_FALSE) is not None


def test_a_count_that_nobody_can_have_seen_is_lost_and_one_that_grows_stops_growing(
    tmp_path, notes
):
    counted(tmp_path, notes, 2 * 10**9)
    assert kept(tmp_path).faces == 10**9
    (tmp_path / NAME).write_bytes(b'{"faces":1%s}' % (b"0" * 400))
    assert Exposures(tmp_path, notes).verdict(RULE, ONE_FALSE) is not None


def test_a_device_that_steps_from_silence_to_alerts_is_stopped_by_its_first_false_one(
    tmp_path, monkeypatch
):
    silent = authorised(threshold=EVALUATED)
    one = World(tmp_path, monkeypatch, authorisation=silent)
    one.install()
    device = one.boot()
    device.serve(Street(), looks=1)
    assert device.obedience.standing.silent
    assert device.obedience.standing.threshold_id == EVALUATED.threshold_id
    assert not (one.state / NAME).exists()
    one.clocks.pass_by(60 * S)
    one.publish(alerting(version=2, signed_at=utc_text(one.clocks.wall_ns)))
    one.install()
    device = one.boot()
    assert device.until_settled().state == "armed"
    assert not device.obedience.standing.silent
    device.serve(Street(), looks=1)
    assert kept(one.state).faces > 0
    device.obey(one.found("0192f3a4-0000-7000-8000-000000000001"))
    device.live()
    assert device.obedience.standing.stopped is not None
