"""How many faces the stop rule counts against: over restarts, and never too many (R32)."""

import msgspec
import pytest

from device.audit import Ledger
from device.errors import StorageError
from device.exposure import NAME, Exposures
from device.policy.standing import Standing
from device.policy.stop_rule import Exposure
from device.protocol.authorisation import StopRule
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
