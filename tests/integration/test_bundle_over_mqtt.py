"""A bundle through a real broker: in parts, retained, put together on the device's disk."""

import random
import time

import pytest

from device.alerts import Courier, Limits, Post
from device.bundles.parts import Incoming
from device.errors import MessageError
from device.protocol.part import digest_of_bundle, parts_of
from device.protocol.status import StatusData
from device.settings import AlertSettings, BrokerSettings
from tests.simulators.desk import Desk
from tests.simulators.drafts import make_draft
from tests.simulators.mosquitto import free_port, wait_until
from tools.desk.gateway.bundles import Bundles

SMALL = random.Random(1).randbytes(200_000)
LARGER = random.Random(2).randbytes(300_000)
LIST_OF_2000 = random.Random(3).randbytes(2_600_000)


class Device:
    """Courier and `Incoming` of a device; `arrived` holds the bundles that came whole."""

    def __init__(self, one, port, folder, protocol="auto"):
        self.arrived, self.refusals = [], []
        self.one = one
        post = Post(folder / "outbox.sqlite", Limits(10_000_000, 3600), one.envelope)
        self.courier = Courier(
            BrokerSettings("127.0.0.1", port, tls=False, protocol=protocol),
            one.topics,
            AlertSettings(cover="off", drain_s=0.5),
            one.envelope,
            post,
            on_refusal=self.refusals.append,
            on_part=self._take,
        )
        self.incoming = Incoming(
            folder / "incoming", one.topics.source, self._came, self.courier.fetch_bundle
        )
        self.courier.report(StatusData("online", "not comparing"))
        self.courier.start()

    def _take(self, part):
        self.incoming.take(part)

    def _came(self, path):
        self.arrived.append(path.read_bytes())

    def says_what_it_has(self):
        data = StatusData("online", "not comparing", bundle=self.incoming.newest)
        self.courier.report(data)


@pytest.fixture
def broker(mosquitto):
    return mosquitto()


@pytest.fixture
def desk(scratch, broker, url):
    one = Desk(scratch, broker.port, url)
    yield one
    one.close()


@pytest.fixture
def start(scratch):
    """Start a device: `start(one, port)`; with the same name it finds the same disk."""
    started = []

    def call(one, port, **options):
        device = Device(one, port, scratch / f"state-{one.topics.device}", **options)
        started.append(device)
        return device

    yield call
    for device in started:
        device.courier.stop()


def is_sent(bundles):
    return lambda: all(one.sent_at for one in bundles.listing())


def retained(listen, port, name):
    """Return the parts that the broker keeps: number by number, by asking it anew."""
    listener = listen(port, client_id=name, topic="passerby/v1/+/+/bundle/+")
    count, deadline = -1, time.monotonic() + 30
    while count != len(listener.messages) and time.monotonic() < deadline:
        count = len(listener.messages)
        time.sleep(1.0)
    return {message.topic for message in listener.messages if message.payload}


def test_a_bundle_arrives_whole_and_is_forgotten_by_the_broker_once_the_device_has_it(
    desk, start, listen
):
    bundles = Bundles(desk.database)
    device = start(desk.device(), desk.port)
    desk.gateway(lambda _: None)
    bundles.offer([device.one.topics.source], SMALL)
    wait_until(lambda: device.arrived, what="the bundle")
    assert device.arrived == [SMALL]
    assert device.refusals == []
    device.says_what_it_has()
    wait_until(lambda: bundles.listing()[0].delivered_at and is_sent(bundles)())
    assert retained(listen, desk.port, "after") == set()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_device_that_comes_later_gets_all_by_retention(desk, start, listen, protocol):
    bundles = Bundles(desk.database)
    one = desk.device()
    desk.gateway(lambda _: None)
    bundles.offer([one.topics.source], SMALL)
    wait_until(is_sent(bundles), what="all parts at the broker")
    desk.gateways[0].stop()
    kept = retained(listen, desk.port, "kept")
    assert kept == {one.topics.of("bundle", n) for n in range(1, parts_of(len(SMALL)) + 1)}
    device = start(one, desk.port, protocol=protocol)
    wait_until(lambda: device.arrived)
    assert device.arrived == [SMALL]


def test_a_new_bundle_replaces_the_old_and_no_part_of_it_stays(desk, start, listen):
    bundles = Bundles(desk.database)
    one = desk.device()
    desk.gateway(lambda _: None)
    bundles.offer([one.topics.source], LARGER)
    wait_until(is_sent(bundles))
    bundles.offer([one.topics.source], SMALL)
    wait_until(is_sent(bundles))
    kept = retained(listen, desk.port, "kept")
    assert len(kept) == parts_of(len(SMALL)) < parts_of(len(LARGER))
    device = start(one, desk.port)
    wait_until(lambda: device.arrived)
    assert device.arrived == [SMALL]
    bundles.withdraw([one.topics.source])
    wait_until(is_sent(bundles))
    assert retained(listen, desk.port, "withdrawn") == set()


def test_every_part_is_a_cell_that_only_its_device_opens(desk, listen):
    one, other = desk.device("d1"), desk.device("d2")
    desk.gateway(lambda _: None)
    Bundles(desk.database).offer([one.topics.source], SMALL)
    listener = listen(desk.port, topic="passerby/v1/+/+/bundle/+")
    wait_until(lambda: len(listener.messages) >= parts_of(len(SMALL)))
    for message in listener.messages:
        assert len(message.payload) == 12_288
        assert SMALL[:24] not in message.payload
    payload = listener.messages[0].payload
    assert one.envelope.open(payload, "bundle").message.data.bundle == digest_of_bundle(SMALL)
    with pytest.raises(MessageError):
        other.envelope.open(payload, "bundle")


def test_hostile_parts_do_nothing(desk, start):
    one, other = desk.device("d1"), desk.device("d2")
    device = start(one, desk.port)
    wait_until(lambda: device.courier.online)
    other.connect(desk.port)
    garbage = [b"x", bytes(12_288), other.cover(), one.cover()]
    for payload in garbage:
        other._client.publish(one.topics.of("bundle", 7), payload, qos=1, retain=True)
    wait_until(lambda: len(device.refusals) == len(garbage))
    other._client.publish(one.topics.of("bundle", 7), b"", qos=1, retain=True)
    desk.gateway(lambda _: None)
    Bundles(desk.database).offer([one.topics.source], SMALL)
    wait_until(lambda: device.arrived)
    assert len(device.refusals) == len(garbage), "an empty message is none"


@pytest.mark.parametrize("persistence", [True, False])
def test_a_broker_that_restarts_in_between_loses_nothing(
    scratch, mosquitto, start, persistence, monkeypatch
):
    """What the broker loses goes again, when the device says that it still has none."""
    monkeypatch.setattr("tools.desk.gateway.bundles._MISSING_NS", 10**9)
    monkeypatch.setattr("device.alerts.courier._STATUS_AGAIN_S", 2.0)
    port = free_port()
    keeps = [f"persistence {str(persistence).lower()}", f"persistence_location {scratch}/"]
    broker = mosquitto(*keeps, port=port)
    desk = Desk(scratch, port)
    one = desk.device()
    desk.gateway(lambda _: None)
    bundles = Bundles(desk.database)
    bundles.offer([one.topics.source], LIST_OF_2000)

    def half_way():
        with desk.database.reading() as connection:
            done = connection.exec_driver_sql("SELECT done FROM bundle_offers").scalar()
        return done > 60

    wait_until(half_way)
    broker.stop()
    broker.start()
    wait_until(is_sent(bundles), what="the rest of the parts")
    device = start(one, port)
    wait_until(lambda: device.arrived, timeout_s=120, what="the bundle")
    assert device.arrived == [LIST_OF_2000]
    desk.close()


def test_alerts_and_receipts_do_not_wait_behind_a_bundle(desk, start):
    one, two = desk.device("d1"), desk.device("d2")
    desk.gateway(lambda _: None)
    two.connect(desk.port)
    Bundles(desk.database).offer([one.topics.source], LIST_OF_2000)
    for count in range(1, 11):
        two.send_alert()
        two.wait_for(count)
    still = Bundles(desk.database).due()
    assert still, "the receipts came while the bundle was still under way"
    device = start(one, desk.port)
    device.courier.submit(make_draft(source=one.topics.source))
    wait_until(lambda: len(device.courier) == 0, what="the receipt of an alert")
    wait_until(lambda: device.arrived)


def test_a_gateway_that_dies_hands_its_bundle_on(scratch, broker, fresh_postgres, start):
    desk = Desk(scratch, broker.port, fresh_postgres)
    for name in ("a", "b"):
        desk.gateway(lambda _: None, name=name, session_h=0)
    one = desk.device()
    device = start(one, desk.port)
    Bundles(desk.database).offer([one.topics.source], LIST_OF_2000)

    def begun():
        return any(gateway._sender._doing is not None for gateway in desk.gateways)

    wait_until(begun)
    next(one for one in desk.gateways if one._sender._doing is not None).stop()
    wait_until(lambda: device.arrived, timeout_s=120)
    assert device.arrived == [LIST_OF_2000]
    desk.close()


def test_a_disk_that_was_full_gets_the_parts_again(desk, start, monkeypatch):
    monkeypatch.setattr("device.alerts.courier._FETCH_AGAIN_S", 1.0)
    from device.bundles import parts  # noqa: PLC0415
    from device.errors import StorageError  # noqa: PLC0415

    real, full = parts.write_atomically, True

    def sometimes(path, data):
        if full:
            raise StorageError("The disk is full.")
        real(path, data)

    monkeypatch.setattr(parts, "write_atomically", sometimes)
    one = desk.device()
    desk.gateway(lambda _: None)
    bundles = Bundles(desk.database)
    bundles.offer([one.topics.source], SMALL)
    wait_until(is_sent(bundles))
    device = start(one, desk.port)
    wait_until(lambda: device.incoming.fault == "The disk is full.")
    full = False
    wait_until(lambda: device.arrived)
    assert device.arrived == [SMALL]


def test_a_broker_that_refuses_parts_is_said_and_stops_nothing_else(scratch, mosquitto):
    acl = scratch / "acl"
    acl.write_text(
        "topic readwrite passerby/v1/+/+/alert\ntopic readwrite passerby/v1/+/+/receipt\n"
    )
    broker = mosquitto(f"acl_file {acl}")
    desk = Desk(scratch, broker.port)
    gateway = desk.gateway(lambda _: None)
    one = desk.device().connect(desk.port)
    Bundles(desk.database).offer([one.topics.source], SMALL)
    wait_until(lambda: any("refuses parts of bundles" in fault for fault in gateway.faults))
    one.send_alert()
    one.wait_for(1)
    Bundles(desk.database).withdraw([one.topics.source])
    desk.close()
