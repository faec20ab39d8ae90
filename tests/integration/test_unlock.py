"""Remote unlock over a real broker: device and gateways, a theft, an end (R49, R24)."""

import time

import pytest

from device.alerts import Courier, Limits, Post
from device.protocol.alert import ListVersion
from device.protocol.identifiers import utc_ns, uuid7
from device.protocol.unlocking import unwrap_key
from device.settings import AlertSettings, BrokerSettings
from device.unlock import Unlocking, Wanted
from tests.integration.test_gateway_orders import passerby_desk
from tests.simulators.desk import Desk
from tests.simulators.mosquitto import wait_until
from tools.desk.gateway.orderbook import Orders
from tools.desk.gateway.unlocking import Unlocks

DEPLOYMENT = uuid7(time.time_ns())
KEY = bytes(range(32))
WANTED = Wanted(DEPLOYMENT, ListVersion("list-1", 3), "ab" * 32)


class Device:
    """A device's courier and unlocking, without a camera. one: keys and topics."""

    def __init__(self, one, port, folder, cover="off"):
        self.answers, self.orders, self.refusals = [], [], []
        post = Post(folder / "outbox.sqlite", Limits(10_000_000, 3600), one.envelope)
        self.courier = Courier(
            BrokerSettings("127.0.0.1", port, tls=False),
            one.topics,
            AlertSettings(cover=cover, cover_period_s=0.5, drain_s=0.5),
            one.envelope,
            post,
            on_order=self.orders.append,
            on_refusal=self.refusals.append,
            on_unlock=self._take,
        )
        self.unlocking = Unlocking(
            one.topics.source, self.courier.ask, self.answers.append, self.refusals.append
        )
        self.courier.start()

    def _take(self, unlock):
        self.unlocking.take(unlock)

    def asks(self):
        self.unlocking.begin(WANTED)
        before = len(self.answers)

        def answered():
            self.unlocking.tick(time.monotonic(), time.time_ns())
            return len(self.answers) > before

        wait_until(answered, what="an answer of the desk")
        return self.answers[-1]


@pytest.fixture
def broker(mosquitto):
    return mosquitto()


@pytest.fixture
def desk(scratch, broker, url):
    one = Desk(scratch, broker.port, url)
    yield one
    one.close()


@pytest.fixture
def start(scratch, broker):
    """Start a device: `start(one)`."""
    started = []

    def call(one, **options):
        device = Device(one, broker.port, scratch / f"state{len(started)}", **options)
        started.append(device)
        return device

    yield call
    for device in started:
        device.courier.stop()


def test_a_device_gets_the_key_of_its_list_and_the_time_and_the_desk_writes_it_down(desk, start):
    unlocks = Unlocks(desk.database)
    one = desk.device()
    unlocks.keep(DEPLOYMENT, [one.topics.source], KEY, desk.keys.public)
    desk.gateway(lambda _: None)
    before_ns = time.time_ns()
    answer = start(one).asks()
    assert answer.key == bytearray(KEY)
    assert before_ns - 10**9 < answer.desk_ns < time.time_ns() + 10**9
    (row,) = unlocks.listing()
    assert (row.source, row.outcome) == (one.topics.source, "unlocked")
    assert utc_ns(row.answered_at) == answer.desk_ns


@pytest.mark.parametrize("cover", ["constant", "off"])
def test_a_request_and_its_answer_are_cells_like_all_others(desk, start, listen, cover):
    listener = listen(desk.port)
    one = desk.device()
    Unlocks(desk.database).keep(DEPLOYMENT, [one.topics.source], KEY, desk.keys.public)
    desk.gateway(lambda _: None)
    assert start(one, cover=cover).asks().key == bytearray(KEY)
    wait_until(lambda: listener.of("request") and listener.of("command"))
    for message in listener.of("request") + listener.of("command"):
        assert len(message.payload) == 12_288
        assert not message.retain
        assert KEY not in message.payload


def test_a_request_waits_for_a_gateway_that_comes_later(desk, start):
    one = desk.device()
    device = start(one)
    device.unlocking.begin(WANTED)
    device.unlocking.tick(time.monotonic(), time.time_ns())
    Unlocks(desk.database).keep(DEPLOYMENT, [one.topics.source], KEY, desk.keys.public)
    desk.gateway(lambda _: None)
    assert device.asks().key == bytearray(KEY)


def test_a_stolen_device_is_told_so_and_ordered_to_end(desk, start, listen):
    """The drill of R49 with the real programs; `listener` is the thief's recording."""
    listener = listen(desk.port)
    one = desk.device()
    Unlocks(desk.database).keep(DEPLOYMENT, [one.topics.source], KEY, desk.keys.public)
    desk.gateway(lambda _: None)
    device = start(one)
    assert device.asks().key == bytearray(KEY)
    config = desk.write_configuration()
    printed = passerby_desk(
        "devices", "stolen", "--site", "s1", "--device", "d1", "--config", config
    )
    assert "reported stolen" in printed
    answer = device.asks()
    assert (answer.key, answer.refusal) == (None, "reported stolen")
    wait_until(lambda: device.orders)
    assert [order.data.action for order in device.orders] == ["end"]
    assert len(Orders(desk.database).listing()) == 1
    assert "stolen" in passerby_desk("devices", "list", "--config", config)
    # Everything that was ever sent, opened with everything that is on the card.
    recorded = [one.envelope.open(m.payload, "command").message for m in listener.of("command")]
    wrapped = [m.data.wrapped_key for m in recorded if getattr(m.data, "wrapped_key", None)]
    assert len(wrapped) == 1
    with pytest.raises(Exception, match="for somebody else"):
        unwrap_key(wrapped[0], one.keys, one.topics.source, DEPLOYMENT)


def test_after_the_end_of_the_deployment_nobody_gets_the_key(desk, start):
    unlocks = Unlocks(desk.database)
    one = desk.device()
    unlocks.keep(DEPLOYMENT, [one.topics.source], KEY, desk.keys.public)
    desk.gateway(lambda _: None)
    unlocks.destroy(DEPLOYMENT)
    answer = start(one).asks()
    assert (answer.key, answer.refusal) == (None, "ended")
    with desk.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT wrapped_key, overwritten_at FROM deployment_keys")
        wrapped, overwritten_at = rows.one()
    assert wrapped is None
    assert overwritten_at is not None


def test_a_stranger_is_not_answered_at_all(desk, start, listen):
    listener = listen(desk.port)
    stranger = desk.device("d2", known=False)
    Unlocks(desk.database).keep(DEPLOYMENT, [stranger.topics.source], KEY, desk.keys.public)
    known = desk.device("d1")
    desk.gateway(lambda _: None)
    device = start(stranger)
    device.unlocking.begin(WANTED)
    device.unlocking.tick(time.monotonic(), time.time_ns())
    wait_until(lambda: listener.of("request"))
    # Whoever asks after the stranger is answered, so the stranger had its turn.
    assert start(known).asks().refusal == "unknown"
    assert all(message.topic.split("/")[3] == "d1" for message in listener.of("command"))


def test_two_gateways_answer_each_request_and_a_device_uses_one_answer(
    scratch, broker, start, request
):
    desk = Desk(scratch, broker.port, request.getfixturevalue("fresh_postgres"))
    for name in ("a", "b"):
        desk.gateway(lambda _: None, name=name, session_h=0)
    ones = [desk.device(f"d{number}") for number in range(1, 5)]
    sources = [one.topics.source for one in ones]
    Unlocks(desk.database).keep(DEPLOYMENT, sources, KEY, desk.keys.public)
    devices = [start(one) for one in ones]
    for device in devices:
        assert device.asks().key == bytearray(KEY)
    assert {row.source for row in Unlocks(desk.database).listing()} == set(sources)
    desk.close()


def test_a_checkpoint_of_the_audit_log_is_kept_with_every_status_that_names_a_new_one(desk):
    desk.gateway(lambda _: None)
    device = desk.device().connect(desk.port)
    for checkpoint in ("ab" * 32, "ab" * 32, None, "cd" * 32):
        device.say(device.status(checkpoint=checkpoint, time_ns=time.time_ns()))
        time.sleep(0.05)

    def kept():
        with desk.database.reading() as connection:
            query = "SELECT source, checkpoint FROM checkpoints ORDER BY checkpoint"
            return connection.exec_driver_sql(query).all()

    source = device.topics.source
    wait_until(lambda: len(kept()) == 2)
    assert [tuple(row) for row in kept()] == [(source, "ab" * 32), (source, "cd" * 32)]
