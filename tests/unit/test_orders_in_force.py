"""What the desk's orders do to a running appliance."""

import json

import msgspec
import pytest

from device.capture import Camera
from device.errors import BrokerError
from device.settings import WatchlistSettings
from tests.simulators.appliance import assembled
from tests.simulators.correspondents import TOPICS, Correspondents
from tests.simulators.sink import RecordingSink
from tests.simulators.street import Person, StreetSource, eye, gallery, settings

WALKERS = [Person(30, 10, y=40, speed=40), Person(90, 300, y=220, speed=-20)]


@pytest.fixture
def desk():
    return Correspondents(topics=TOPICS)


class Run:
    def __init__(self, folder, orders=(), *, sink=None):
        self.list_file = folder / "watchlist.bin"
        configuration = msgspec.structs.replace(
            settings(folder), watchlist=WatchlistSettings(str(self.list_file))
        )
        self.sink = sink or RecordingSink()
        self.eye = eye(configuration)
        self.source = StreetSource(WALKERS, 60)
        self.gallery = gallery([30, 150])
        self.appliance = assembled(
            configuration, self.eye, self.gallery, Camera(self.source), self.sink, orders
        )

    def go(self):
        self.appliance.run()
        return self

    @property
    def reasons(self):
        return [reason for status in self.sink.statuses for reason in status.reasons]


def test_a_suspended_device_compares_nothing_and_says_so(tmp_path, desk):
    order = desk.command("suspend")
    run = Run(tmp_path, [order]).go()
    assert (run.sink.alerts, run.eye.embedder.calls) == ([], 0)
    assert any("suspended this device" in reason for reason in run.reasons)
    assert run.sink.statuses[-1].last_order == order.id
    again = Run(tmp_path).go()  # after a restart
    assert again.eye.embedder.calls == 0
    resumed = Run(tmp_path, [desk.command("resume", 2)]).go()
    assert len(resumed.sink.alerts) == 1


def test_a_revoked_reference_raises_no_alert_any_more(tmp_path, desk):
    run = Run(tmp_path, [desk.command("revoke", 1, "ref-30")]).go()
    assert run.sink.alerts == []
    assert run.eye.embedder.calls > 0
    assert Run(tmp_path).go().sink.alerts == []


def test_an_end_erases_the_list_sends_the_record_and_lasts(tmp_path, desk):
    run = Run(tmp_path, [desk.command("end")])
    run.list_file.write_bytes(b"templates")
    run.go()
    assert not run.list_file.exists()
    assert not run.gallery.matrix.any()
    (record,) = run.sink.records
    assert (record.data.alerts, record.data.list_size) == (0, 2)
    assert any("ended this deployment" in reason for reason in run.reasons)
    events = [
        json.loads(line)["event"] for line in (tmp_path / "audit.jsonl").read_text().splitlines()
    ]
    assert events == ["start", "order obeyed", "erased", "searched", "stop"]
    again = Run(tmp_path)
    again.list_file.write_bytes(b"put back")
    again.go()
    assert again.sink.alerts == []
    assert not again.list_file.exists()


def test_a_dead_courier_ends_the_process_for_the_supervisor(tmp_path):
    sink = RecordingSink()
    sink.alive, sink.fault = False, "The courier's thread has died: restart the appliance."
    with pytest.raises(BrokerError, match="has died"):
        Run(tmp_path, sink=sink).go()


def test_alarms_of_the_outbox_are_in_the_status_and_the_camera_goes_on(tmp_path):
    sink = RecordingSink()
    sink.alarms = ["Alerts were lost: the outbox is full."]
    run = Run(tmp_path, sink=sink).go()
    assert "Alerts were lost: the outbox is full." in run.reasons
    assert len(run.sink.alerts) == 1
    assert run.appliance.ledger.frames == 60
