"""The courier with a real Mosquitto: what is delivered, what waits, and what is said meanwhile."""

import re
import socket
import threading
import time

import msgspec
import pytest

from device.alerts import Courier, Limits, Post
from device.alerts import courier as courier_module
from device.alerts.connection import Connection, Subscribed
from device.alerts.courier import _STOP
from device.protocol.cell import CELL_BYTES
from device.protocol.status import Pace, StatusData
from device.settings import AlertSettings, BrokerSettings
from tests.simulators.correspondents import TOPICS, Correspondents, FarEnd
from tests.simulators.drafts import make_draft
from tests.simulators.mosquitto import free_port, wait_until

ONLINE = StatusData("online", "comparing")
QUICK = {"cover": "off", "drain_s": 1, "receipt_timeout_s": 1}


@pytest.fixture
def between():
    return Correspondents()


@pytest.fixture
def courier(scratch, between):
    started = []

    def start(port, alerts=None, *, folder="state", limit=10_000_000, **broker):
        settings = BrokerSettings("127.0.0.1", port, **({"tls": False} | broker))
        post = Post(scratch / folder / "outbox.sqlite", Limits(limit, 3600), between.device)
        orders, refusals = [], []
        one = Courier(
            settings,
            TOPICS,
            AlertSettings(**(QUICK | (alerts or {}))),
            between.device,
            post,
            on_order=orders.append,
            on_refusal=refusals.append,
        )
        one.orders, one.refusals = orders, refusals
        started.append(one)
        one.start()
        return one

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def desk(between):
    started = []

    def start(port, **options):
        started.append(FarEnd(port, between, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_an_alert_arrives_sealed_and_its_receipt_empties_the_outbox(
    mosquitto, listen, courier, desk, version
):
    broker = mosquitto()
    far, wire = desk(broker.port), listen(broker.port)
    one = courier(broker.port, protocol=version)
    assert one.submit(make_draft())
    wait_until(lambda: far.alerts)
    wait_until(lambda: len(one) == 0 and wire.of("alert"))
    (message,) = wire.of("alert")
    assert (message.topic, message.qos, message.retain) == ("passerby/v1/s1/d1/alert", 1, False)
    assert len(message.payload) == CELL_BYTES
    assert b"ref-7" not in message.payload
    assert b"possible match" not in message.payload
    (alert,) = far.alerts
    assert alert.data.sent_at is not None
    assert (alert.data.sequence, alert.data.delayed) == (1, True)  # captured long ago
    assert {len(m.payload) for m in wire.messages} == {CELL_BYTES}


def test_a_puback_does_not_empty_the_outbox(mosquitto, courier, desk):
    broker = mosquitto()
    far = desk(broker.port, silent=True)
    one = courier(broker.port)
    one.submit(make_draft())
    wait_until(lambda: len(far.alerts) >= 2)  # sent again for want of a receipt
    assert len(one) == 1
    far.silent = False
    wait_until(lambda: len(one) == 0)
    assert set(far.sequences()) == {1}


def test_two_sendings_of_one_alert_do_not_look_alike(mosquitto, listen, courier, desk):
    broker = mosquitto()
    wire = listen(broker.port)
    far = desk(broker.port, silent=True)
    courier(broker.port).submit(make_draft())
    wait_until(lambda: len(far.alerts) >= 2 and len(wire.of("alert")) >= 2)
    first, second = (m.payload for m in wire.of("alert")[:2])
    same = sum(a == b for a, b in zip(first[18:], second[18:], strict=True))
    assert same < len(first) * 0.02  # 1 in 256 bytes is equal by chance


def test_alerts_outlive_the_process(mosquitto, courier, desk):
    port = free_port()
    one = courier(port)
    for _ in range(3):
        assert one.submit(make_draft())
    assert one.stop() == 3
    mosquitto(port=port)
    far = desk(port)
    again = courier(port)
    again.submit(make_draft())
    wait_until(lambda: len(again) == 0)
    assert far.sequences() == [1, 2, 3, 4]
    assert len({alert.data.epoch for alert in far.alerts}) == 1


def test_alerts_wait_for_a_broker_that_comes_later_in_order_and_say_delayed(
    mosquitto, courier, desk
):
    port = free_port()
    one = courier(port)
    for _ in range(5):
        one.submit(make_draft(now_ns=time.time_ns() - 20_000_000_000))
    wait_until(lambda: "cannot be reached" in (one.fault or ""))
    mosquitto(port=port)
    far = desk(port)
    wait_until(lambda: len(far.alerts) == 5)
    assert far.sequences() == [1, 2, 3, 4, 5]
    assert all(alert.data.delayed for alert in far.alerts)
    wait_until(lambda: one.fault is None)


def test_an_alert_sent_at_once_is_not_delayed_and_its_times_are_true(mosquitto, courier, desk):
    broker = mosquitto()
    far = desk(broker.port)
    one = courier(broker.port)
    wait_until(lambda: one.online)
    one.submit(make_draft(now_ns=time.time_ns()))
    wait_until(lambda: far.alerts)
    data = far.alerts[0].data
    assert data.captured_at <= data.queued_at <= data.sent_at
    assert not data.delayed


def test_an_alert_waits_until_somebody_listens(mosquitto, courier, desk):
    broker = mosquitto()
    one = courier(broker.port)
    one.submit(make_draft())
    wait_until(lambda: "Nobody has subscribed" in (one.fault or ""))
    desk(broker.port)
    wait_until(lambda: len(one) == 0)


def test_a_forbidden_topic_is_said_and_loses_nothing(mosquitto, scratch, courier):
    (scratch / "acl").write_text("topic read passerby/#\n")
    broker = mosquitto(f"acl_file {scratch / 'acl'}")
    one = courier(broker.port)
    one.submit(make_draft())
    wait_until(lambda: "may not publish" in (one.fault or ""))
    assert len(one) == 1


def test_a_broker_that_takes_no_cells_is_not_hammered(mosquitto, courier):
    broker = mosquitto("max_packet_size 12500")
    one = courier(broker.port)
    one.submit(make_draft())
    wait_until(lambda: "raise its limit" in (one.fault or ""))
    connection = one._connection
    time.sleep(1.0)
    assert one._connection is connection
    assert len(one) == 1


def test_a_small_receive_maximum_is_kept_to(mosquitto, courier, desk):
    port = free_port()
    one = courier(port)
    for _ in range(30):
        one.submit(make_draft())
    mosquitto("max_inflight_messages 2", port=port)
    far = desk(port)
    wait_until(lambda: len(one) == 0)
    assert sorted(set(far.sequences())) == list(range(1, 31))


def test_nothing_is_lost_when_the_broker_is_killed_and_forgets(mosquitto, courier, desk):
    port = free_port()
    one = courier(port)
    number, seen = 0, set()
    for _ in range(3):
        broker = mosquitto(port=port)
        far = desk(port)
        wait_until(lambda: len(one) == 0 and one.online)
        broker.freeze()
        for _ in range(10):
            number += 1
            one.submit(make_draft())
        wait_until(lambda: one._flow.unanswered)
        broker.kill()
        assert len(one) == 10
        seen |= set(far.sequences())
        far.close()
    mosquitto(port=port)
    far = desk(port)
    wait_until(lambda: len(one) == 0)
    assert seen | set(far.sequences()) == set(range(1, number + 1))


def test_the_status_is_retained_sealed_and_ends_with_a_goodbye(mosquitto, listen, courier, desk):
    broker = mosquitto()
    one = courier(broker.port)
    one.report(ONLINE)
    wait_until(lambda: one.online)
    far, wire = desk(broker.port), listen(broker.port)
    wait_until(lambda: far.statuses and wire.of("status"))
    assert far.statuses[0].data.link == "online"
    assert wire.of("status")[0].retain
    assert b"comparing" not in wire.of("status")[0].payload
    one.stop()
    wait_until(lambda: len(far.statuses) == 2)
    goodbye = far.statuses[1].data
    assert (goodbye.link, goodbye.reasons) == ("offline", ["Stopped."])
    assert goodbye.connection == far.statuses[0].data.connection


def test_the_broker_tells_the_world_when_the_device_vanishes(mosquitto, courier, desk):
    broker = mosquitto()
    far = desk(broker.port)
    one = courier(broker.port)
    one.report(StatusData("online", "comparing", demonstration=True, software="9.9"))
    wait_until(lambda: far.statuses)
    one._connection._client.socket().shutdown(2)
    wait_until(lambda: any("vanished" in str(s.data.reasons) for s in far.statuses))
    will = next(s for s in far.statuses if "vanished" in str(s.data.reasons))
    assert (will.data.demonstration, will.data.software, will.data.link) == (True, "9.9", "offline")
    wait_until(lambda: far.statuses[-1].data.link == "online")
    assert far.statuses[-1].data.connection != will.data.connection


def test_a_full_outbox_refuses_the_newest_and_says_so(mosquitto, courier, desk):
    port = free_port()
    one = courier(port, limit=10_000)
    taken = [one.submit(make_draft()) for _ in range(8)]
    assert taken[0]
    assert not taken[-1]
    assert "outbox is full" in one.alarms[0]
    mosquitto(port=port)
    far = desk(port)
    wait_until(lambda: len(one) == 0)
    assert far.sequences() == list(range(1, sum(taken) + 1))
    one.submit(make_draft())
    wait_until(lambda: len(far.alerts) == sum(taken) + 1)
    assert far.sequences()[-1] == 9  # the gap tells the desk what was refused
    assert "outbox is full" in one.alarms[0]  # for a while, so that a status has it


def test_a_refused_letter_is_set_aside_and_does_not_block_the_next(mosquitto, courier, desk):
    broker = mosquitto()
    far = desk(broker.port, silent=True)
    one = courier(broker.port, {"receipt_timeout_s": 60})
    one.submit(make_draft())
    wait_until(lambda: far.alerts)
    digest = one._post.after(0).digest
    far.send("receipt", far.between.receipt(digest, "refused"))
    wait_until(lambda: len(one) == 0)
    assert "kept aside" in one.alarms[0]
    far.silent = False
    one.submit(make_draft())
    wait_until(lambda: len(far.alerts) == 2)
    wait_until(lambda: len(one) == 0)


def test_a_wrong_password_is_said(mosquitto, scratch, courier):
    broker = mosquitto(anonymous=False)
    (scratch / "password").write_text("wrong")
    one = courier(broker.port, username="d1", password_file=str(scratch / "password"))
    wait_until(lambda: "The broker refuses this device" in (one.fault or ""))


def test_a_missing_password_file_is_said(courier, scratch):
    one = courier(free_port(), username="d1", password_file=str(scratch / "none"))
    wait_until(lambda: "password_file" in (one.fault or ""))


def test_a_dead_thread_is_seen_and_an_orderly_stop_is_none(courier, mosquitto):
    one, other = courier(mosquitto().port), courier(mosquitto().port, folder="other")
    wait_until(lambda: one.online and other.online)
    one.stop()
    assert one.alive
    other._events.put(_STOP)  # the thread ends without having been told to
    wait_until(lambda: not other._thread.is_alive())
    assert not other.alive
    assert "thread has died" in other.fault


def test_a_thread_that_is_stuck_is_seen_too(courier, mosquitto, monkeypatch):
    monkeypatch.setattr(courier_module, "_STUCK_S", 1.0)
    one = courier(mosquitto().port)
    wait_until(lambda: one.online)
    assert one.alive
    monkeypatch.setattr(one, "_broker", msgspec.structs.replace(one._broker, keepalive_s=0))
    released = threading.Event()
    monkeypatch.setattr(one._post, "tend", released.wait)
    wait_until(lambda: not one.alive)
    released.set()
    wait_until(lambda: one.alive)


def test_an_alert_after_a_long_silence_goes_once_over_the_same_connection(
    mosquitto, courier, desk, monkeypatch
):
    monkeypatch.setattr(courier_module, "_SILENCE_S", 1.0)
    broker = mosquitto()
    far = desk(broker.port)
    one = courier(broker.port, {"receipt_timeout_s": 60})
    wait_until(lambda: one.online)
    connection = one._connection
    for _ in range(2):
        time.sleep(2.0)
        one.submit(make_draft())
        for _ in range(20):
            one.report(ONLINE)
        wait_until(lambda: len(one) == 0)
    assert one._connection is connection
    assert far.sequences() == [1, 2]


def test_a_frozen_broker_is_noticed_and_the_alert_sent_again(mosquitto, courier, desk, monkeypatch):
    monkeypatch.setattr(courier_module, "_SILENCE_S", 1.0)
    port = free_port()
    broker = mosquitto(port=port)
    one = courier(port)
    wait_until(lambda: one.online)
    broker.freeze()
    one.submit(make_draft())
    wait_until(lambda: not one.online)
    broker.kill()
    mosquitto(port=port)
    far = desk(port)
    wait_until(lambda: set(far.sequences()) == {1})


def test_a_glitch_while_connecting_does_not_leave_mqtt_5(mosquitto, courier):
    broker = mosquitto()
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        one = courier(port)
        door.accept()[0].close()  # a hang-up before any answer
        wait_until(lambda: "ended the connection" in (one.fault or ""))
    mosquitto(port=port)
    wait_until(lambda: one.online)
    assert one.version == "5"
    assert broker.port != port


def test_a_refused_status_is_said(mosquitto, scratch, courier):
    (scratch / "acl").write_text("topic write passerby/v1/s1/d1/alert\n")
    one = courier(mosquitto(f"acl_file {scratch / 'acl'}").port)
    one.report(ONLINE)
    wait_until(lambda: "The status is not taken" in (one.fault or ""))


class TestWhatTheDeviceHears:
    def test_an_order_is_handed_on(self, mosquitto, courier, desk):
        broker = mosquitto()
        far, one = desk(broker.port), courier(broker.port)
        wait_until(lambda: one.online)
        time.sleep(0.5)
        far.send("command", far.between.command("suspend"))
        wait_until(lambda: one.orders)
        assert one.orders[0].data.action == "suspend"

    def test_an_order_waits_at_the_broker_for_a_device_that_is_away(self, mosquitto, courier, desk):
        broker = mosquitto()
        first = courier(broker.port)
        wait_until(lambda: first.online)
        time.sleep(0.5)
        first.stop()
        far = desk(broker.port)
        far.send("command", far.between.command("suspend")).wait_for_publish(10)
        second = courier(broker.port)
        wait_until(lambda: second.orders)

    def test_what_the_desk_did_not_sign_does_nothing(self, mosquitto, courier, desk):
        broker = mosquitto()
        far, one = desk(broker.port, silent=True), courier(broker.port)
        one.submit(make_draft())
        wait_until(lambda: far.alerts)
        stranger = Correspondents()
        digest = one._post.after(0).digest
        garbage = [
            b"",
            b"x" * CELL_BYTES,
            stranger.desk.cell(stranger.receipt(digest)),
            far.between.desk.cell(far.between.command("suspend")),  # on the topic of receipts
            far.cells[-1][2],
        ]
        for payload in garbage:
            far.send_raw("receipt", payload)
        wait_until(lambda: len(one.refusals) == len(garbage))
        assert (len(one), one.orders) == (1, [])
        assert one.online
        assert all(re.match(r"\w+Error: [A-Z]", reason) for reason in one.refusals)


class TestCover:
    def test_cells_leave_at_every_beat_and_dummies_cannot_be_told_from_alerts(
        self, mosquitto, listen, courier, desk
    ):
        broker = mosquitto()
        far, wire = desk(broker.port), listen(broker.port)
        one = courier(broker.port, {"cover": "constant", "cover_period_s": 0.1})
        one.report(ONLINE)
        wait_until(lambda: len(wire.of("alert")) >= 10)
        one.submit(make_draft())
        wait_until(lambda: far.alerts)
        wait_until(lambda: len(one) == 0)
        wait_until(lambda: len(wire.of("receipt")) >= 10)
        assert {len(m.payload) for m in wire.messages} == {CELL_BYTES}
        assert len({m.payload for m in wire.of("alert")}) == len(wire.of("alert"))
        kinds = [kind for kind, _ in far.heard]
        assert kinds.count("alert") == len(wire.of("alert"))

    def test_a_flood_of_alerts_leaves_one_by_one(self, mosquitto, courier, desk):
        broker = mosquitto()
        far = desk(broker.port)
        one = courier(broker.port, {"cover": "constant", "cover_period_s": 0.1})
        wait_until(lambda: one.online)
        for _ in range(10):
            one.submit(make_draft())
        wait_until(lambda: len(one) == 0)
        at = [when for when, topic, _ in far.cells if topic.endswith("/alert")]
        assert at[-1] - at[0] > 0.1 * (len(at) - 2)
        assert far.sequences() == list(range(1, 11))

    def test_the_status_goes_with_the_beat_changed_or_not(self, mosquitto, courier, desk):
        broker = mosquitto()
        far = desk(broker.port)
        one = courier(broker.port, {"cover": "constant", "cover_period_s": 0.05})
        one.report(ONLINE)
        wait_until(lambda: len(far.statuses) >= 4)
        assert len({status.id for status in far.statuses}) == len(far.statuses)

    def test_a_change_of_pace_makes_no_message_of_its_own(self, mosquitto, listen, courier, desk):
        broker = mosquitto()
        far, wire = desk(broker.port), listen(broker.port)
        one = courier(broker.port, {"cover": "constant", "cover_period_s": 0.05})
        paces = [Pace(step, 4, f"Step {step}.") for step in (0, 1, 2, 3, 4)]
        reported = 0
        while len(wire.of("alert")) < 60:
            one.report(msgspec.structs.replace(ONLINE, pace=paces[reported % len(paces)]))
            reported += 1
            time.sleep(0.005)
        # One as the connection is made, one at every sixth beat, one that is under way.
        assert 5 <= len(wire.of("status")) <= len(wire.of("alert")) // 6 + 2 < reported
        assert {len(m.payload) for m in wire.of("status")} == {CELL_BYTES}
        wait_until(lambda: len({s.data.pace for s in far.statuses if s.data.pace}) > 1)


def test_nobody_listening_to_the_status_is_no_fault(mosquitto, courier):
    one = courier(mosquitto().port)
    one.report(ONLINE)
    wait_until(lambda: one.online and one._status_sent is not None)
    wait_until(lambda: one._status_message is None)
    assert one.fault is None


def test_a_refused_subscription_stays_a_fault_until_it_is_granted(mosquitto, courier, desk):
    broker = mosquitto()
    desk(broker.port)
    one = courier(broker.port)
    wait_until(lambda: one.online)
    time.sleep(0.5)
    one._events.put(Subscribed("Not authorized"))
    one.submit(make_draft())
    wait_until(lambda: len(one) == 0)
    assert "refuses receipts" in one.fault
    one._resubscribe_s = 0.0
    wait_until(lambda: one.fault is None)


def test_a_refusal_in_mqtt_5_does_not_leave_mqtt_5(mosquitto, courier):
    one = courier(mosquitto(anonymous=False).port)
    wait_until(lambda: one._back_off._failures >= 4)
    assert one.version == "5"
    assert "refuses this device" in one.fault


def test_a_slow_look_up_of_the_name_is_not_taken_for_silence(mosquitto, courier, monkeypatch):
    monkeypatch.setattr(courier_module, "CONNECT_TIMEOUT_S", 0.5)
    quick = Connection.open

    def slow(connection):
        time.sleep(1.0)
        quick(connection)

    monkeypatch.setattr(Connection, "open", slow)
    one = courier(mosquitto().port)
    wait_until(lambda: one.online)


def test_a_broker_that_takes_one_message_at_a_time_gets_one(mosquitto, courier, desk):
    broker = mosquitto("max_inflight_messages 1")
    far = desk(broker.port)
    one = courier(broker.port)
    for _ in range(5):
        one.submit(make_draft())
        one.report(StatusData("online", "comparing", software=str(_)))
    wait_until(lambda: len(one) == 0)
    assert sorted(set(far.sequences())) == [1, 2, 3, 4, 5]


def test_with_cover_a_broker_that_takes_one_message_at_a_time_gets_every_alert(
    mosquitto, courier, desk
):
    broker = mosquitto("max_inflight_messages 1")
    far = desk(broker.port)
    one = courier(broker.port, {"cover": "constant", "cover_period_s": 0.05})
    one.report(ONLINE)
    for _ in range(12):
        one.submit(make_draft())
    wait_until(lambda: len(one) == 0)
    assert sorted(set(far.sequences())) == list(range(1, 13))
