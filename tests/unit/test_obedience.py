"""Orders of the desk: obeyed once, in order, kept over restarts, noted; all else does nothing."""

import json
import time

import pytest

from device.errors import StorageError
from device.notebook import Notebook
from device.obedience import NAME, Obedience
from device.policy.standing import Standing
from tests.simulators.correspondents import TOPICS, Correspondents


class Desk:
    """Gives orders to one device and looks at its audit log."""

    def __init__(self, folder):
        self.folder = folder
        self.between = Correspondents()
        self.now_s = 0.0

    def device(self):
        notebook = Notebook(self.folder)
        return Obedience(self.folder, TOPICS.source, notebook, now_s=lambda: self.now_s)

    def log(self):
        path = self.folder / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def desk(scratch):
    return Desk(scratch)


def give(device, *orders):
    for order in orders:
        device.take(order)
    return device.obey()


def test_a_suspension_outlives_a_restart_and_only_a_resume_lifts_it(desk):
    between = desk.between
    give(desk.device(), between.command("suspend", 1))
    again = desk.device()
    assert "suspended this device (drill)" in again.standing.reasons()[0]
    give(again, between.command("resume", 2))
    assert desk.device().standing.reasons() == []


def test_an_end_is_not_lifted_by_a_resume(desk):
    device = desk.device()
    give(device, desk.between.command("end", 1), desk.between.command("resume", 2))
    assert "ended this deployment" in desk.device().standing.reasons()[0]


def test_revoked_references_add_up(desk):
    device = desk.device()
    for sequence, name in enumerate(("r-2", "r-1", "r-2"), start=1):
        give(device, desk.between.command("revoke", sequence, name))
    assert desk.device().standing.revoked == ("r-1", "r-2")


def test_a_replayed_or_reordered_order_does_nothing(desk):
    device, between = desk.device(), desk.between
    suspend, resume = between.command("suspend", 1), between.command("resume", 2)
    assert give(device, suspend, resume) == [suspend, resume]
    assert give(device, suspend) == []
    assert give(desk.device(), suspend, resume) == []
    assert desk.device().standing.reasons() == []


def test_a_late_order_does_nothing(desk):
    long_ago = time.time_ns() - 3600 * 10**9
    assert give(desk.device(), desk.between.command("suspend", 1, now_ns=long_ago)) == []


def test_an_order_from_the_future_does_nothing(desk):
    ahead = time.time_ns() + 3600 * 10**9
    assert give(desk.device(), desk.between.command("suspend", 1, now_ns=ahead)) == []


def test_an_order_for_another_device_does_nothing(desk):
    other = Correspondents(topics=type(TOPICS)("s1", "d2"))
    assert give(desk.device(), other.command("suspend", 1)) == []


def test_every_order_leaves_a_line_and_missing_ones_are_noted(desk):
    device, between = desk.device(), desk.between
    give(device, between.command("suspend", 1), between.command("revoke", 5, "r-1"))
    give(device, between.adjudication("0" * 8 + "-0000" * 3 + "-" + "0" * 12, "false alert", 6))
    lines = [line for line in desk.log() if "order" in line["details"]]
    assert [line["event"] for line in lines] == [
        "order obeyed",
        "order obeyed",
        "adjudication received",
    ]
    assert lines[1]["details"]["reference"] == "r-1"
    assert lines[1]["details"]["missing_before"] == "3"
    assert lines[2]["details"]["outcome"] == "false alert"


def test_outcomes_are_kept_for_the_stop_rule(desk):
    device = desk.device()
    alert = "0" * 8 + "-0000" * 3 + "-" + "0" * 12
    give(device, desk.between.adjudication(alert, "false alert", 1))
    give(device, desk.between.adjudication(alert, "confirmed false alert", 2))
    assert desk.device().standing.outcomes == {alert: "confirmed false alert"}


def test_an_order_that_comes_again_is_no_attack_and_leaves_no_second_line(desk):
    device, order = desk.device(), desk.between.command("suspend", 1)
    give(device, order)
    give(device, order)
    device.obey()
    assert [line["event"] for line in desk.log()] == ["order obeyed"]


def test_a_flood_of_forgeries_does_not_fill_the_disk_but_is_counted(desk):
    device = desk.device()
    for _ in range(500):
        device.refuse("ForgedError: It does not open.")
    device.obey()
    for _ in range(300):
        device.refuse("ForgedError: It does not open.")
        device.obey()
    desk.now_s += 61
    device.refuse("ForgedError: It does not open.")
    device.obey()
    lines = [line for line in desk.log() if line["event"] == "message refused"]
    assert [line["details"]["since_last_note"] for line in lines] == ["500", "301"]


def test_an_order_that_cannot_be_kept_is_not_obeyed(desk, monkeypatch):
    device = desk.device()

    def fail(*_args, **_kwargs):
        raise StorageError("The disk is full.")

    monkeypatch.setattr("device.obedience.write_atomically", fail)
    assert give(device, desk.between.command("resume", 1)) == []
    assert device.standing == Standing()
    assert device._notebook.fault == "The disk is full."


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"sequence": "x"}', b"\xff" * 10])
def test_damaged_orders_stop_the_device(desk, content):
    (desk.folder / NAME).write_bytes(content)
    with pytest.raises(StorageError, match="compares nothing"):
        desk.device()
