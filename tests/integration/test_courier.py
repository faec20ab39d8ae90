"""The courier with a real Mosquitto: what is delivered, what waits, and what is said meanwhile."""

import json
import socket
import time

import msgspec
import pytest
import trustme

from device.alerts import Courier
from device.alerts import courier as courier_module
from device.protocol.alert import decode_alert
from device.protocol.status import StatusData, decode_status
from device.protocol.topics import Topics
from device.settings import AlertSettings, BrokerSettings
from tests.simulators.mosquitto import free_port, wait_until
from tests.unit.test_alert import make_alert

TOPICS = Topics("s1", "d1")
ONLINE = StatusData("online", "comparing")


def _alert(number):
    alert = make_alert()
    data = msgspec.structs.replace(alert.data, sequence=number)
    return msgspec.structs.replace(alert, data=data, id=alert.id[:-4] + f"{number:04x}")


@pytest.fixture
def courier():
    started = []

    def start(port, alerts=None, **broker):
        settings = BrokerSettings("127.0.0.1", port, **({"tls": False} | broker))
        started.append(Courier(settings, TOPICS, alerts or AlertSettings(drain_s=1)))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()


def _sequences(listener):
    return [decode_alert(bytes(m.payload)).data.sequence for m in listener.of("alert")]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_an_alert_arrives_at_qos_1_and_is_not_retained(mosquitto, listen, courier, version):
    broker = mosquitto()
    listener = listen(broker.port)
    courier(broker.port, protocol=version).submit(_alert(1))
    wait_until(lambda: listener.of("alert"))
    (message,) = listener.of("alert")
    assert message.topic == "passerby/v1/s1/d1/alert"
    assert (message.qos, message.retain) == (1, False)
    alert = decode_alert(bytes(message.payload))
    assert alert.data.sent_at is not None
    late = listen(broker.port, client_id="late")
    wait_until(lambda: late.of("status") or True)
    assert late.of("alert") == []


def test_the_status_is_retained_and_ends_with_a_goodbye(mosquitto, listen, courier):
    broker = mosquitto()
    one = courier(broker.port)
    one.report(ONLINE)
    wait_until(lambda: one.online)
    late = listen(broker.port)
    wait_until(lambda: late.of("status"))
    assert late.of("status")[0].retain
    assert decode_status(bytes(late.of("status")[0].payload)).data.link == "online"
    one.stop()
    wait_until(lambda: len(late.of("status")) == 2)
    goodbye = decode_status(bytes(late.of("status")[1].payload)).data
    assert (goodbye.link, goodbye.reasons) == ("offline", ["Stopped."])


def test_alerts_wait_for_a_broker_that_comes_later_in_order_and_say_delayed(
    mosquitto, listen, courier
):
    port = free_port()
    one = courier(port, AlertSettings(delayed_after_s=1))
    for number in range(1, 6):
        assert one.submit(_alert(number))
    wait_until(lambda: "cannot be reached" in (one.fault or ""))
    broker = mosquitto(port=port)
    listener = listen(broker.port)
    wait_until(lambda: len(listener.of("alert")) == 5)
    assert _sequences(listener) == [1, 2, 3, 4, 5]
    assert all(decode_alert(bytes(m.payload)).data.delayed for m in listener.of("alert"))
    wait_until(lambda: one.fault is None)


def test_an_alert_waits_until_somebody_listens(mosquitto, listen, courier):
    broker = mosquitto()
    one = courier(broker.port)
    one.submit(_alert(1))
    wait_until(lambda: "Nobody has subscribed" in (one.fault or ""))
    listener = listen(broker.port)
    wait_until(lambda: listener.of("alert"))
    wait_until(lambda: len(one) == 0)


def test_a_forbidden_topic_is_said_and_loses_nothing(mosquitto, scratch, courier):
    (scratch / "acl").write_text("topic read passerby/#\n")
    broker = mosquitto(f"acl_file {scratch / 'acl'}")
    one = courier(broker.port)
    one.submit(_alert(1))
    wait_until(lambda: "The broker refuses alerts" in (one.fault or ""))
    assert len(one) == 1


def test_an_alert_too_large_for_the_broker_does_not_block_the_next(mosquitto, listen, courier):
    broker = mosquitto("max_packet_size 4000")
    listener = listen(broker.port)
    one = courier(broker.port)
    wait_until(lambda: one.online)
    one.submit(msgspec.structs.replace(_alert(1), data=make_alert(crop=b"x" * 5000).data))
    one.submit(_alert(2))
    wait_until(lambda: listener.of("alert"))
    assert _sequences(listener) == [2]
    assert one.stop() == 1


def test_what_the_broker_had_not_taken_is_sent_again_after_every_kill(mosquitto, listen, courier):
    port = free_port()
    one = courier(port)
    number = 0
    for _ in range(3):
        broker = mosquitto(port=port)
        listener = listen(port)
        earlier = min(number, 10)
        wait_until(lambda heard=listener, want=earlier: len(heard.of("alert")) == want)
        wait_until(lambda: len(one) == 0)
        wait_until(lambda: one.online)
        broker.freeze()
        for _ in range(10):
            number += 1
            one.submit(_alert(number))
        wait_until(lambda: one._waiting._under_way)
        broker.kill()
        assert len(one) == 10
        listener.close()
    mosquitto(port=port)
    listener = listen(port)
    wait_until(lambda: len(_sequences(listener)) == 10)
    assert _sequences(listener) == list(range(number - 9, number + 1))
    wait_until(lambda: len(one) == 0)


def test_the_broker_tells_the_world_when_the_device_vanishes(mosquitto, listen, courier):
    broker = mosquitto()
    listener = listen(broker.port)
    one = courier(broker.port)
    one.report(ONLINE)
    wait_until(lambda: listener.of("status"))
    one._connection._client.socket().shutdown(2)
    wait_until(lambda: any(b"vanished" in m.payload for m in listener.of("status")))
    wait_until(lambda: b'"online"' in listener.of("status")[-1].payload)


def test_too_many_waiting_alerts_are_refused_and_counted(courier):
    one = courier(free_port(), AlertSettings(queue=3, drain_s=0))
    assert [one.submit(_alert(n)) for n in range(1, 6)] == [True, True, True, False, False]
    assert one.stop() == 5


def test_a_wrong_password_is_said(mosquitto, scratch, courier):
    broker = mosquitto(anonymous=False)
    (scratch / "password").write_text("wrong")
    one = courier(broker.port, username="d1", password_file=str(scratch / "password"))
    wait_until(lambda: "The broker refuses this device" in (one.fault or ""))


def test_a_missing_password_file_is_said(courier, scratch):
    one = courier(free_port(), username="d1", password_file=str(scratch / "none"))
    wait_until(lambda: "password_file" in (one.fault or ""))


def test_a_dead_thread_is_seen_and_an_orderly_stop_is_none(courier, mosquitto):
    one, other = courier(mosquitto().port), courier(mosquitto().port)
    wait_until(lambda: one.online and other.online)
    one.stop()
    assert one.fault is None
    other._events.put(courier_module._STOP)  # the thread ends without having been told to
    wait_until(lambda: not other._thread.is_alive())
    assert "thread has died" in other.fault


def test_an_alert_after_a_long_silence_goes_once_over_the_same_connection(
    mosquitto, listen, courier, monkeypatch
):
    monkeypatch.setattr(courier_module, "_SILENCE_S", 1.0)
    broker = mosquitto()
    listener = listen(broker.port)
    one = courier(broker.port)
    wait_until(lambda: one.online)
    connection = one._connection
    for number in (1, 2):
        time.sleep(2.0)
        one.submit(_alert(number))
        for _ in range(20):
            one.report(ONLINE)
        wait_until(lambda: len(one) == 0)
    assert one._connection is connection
    assert _sequences(listener) == [1, 2]


def test_a_frozen_broker_is_noticed_and_the_alert_sent_again(
    mosquitto, listen, courier, monkeypatch
):
    monkeypatch.setattr(courier_module, "_SILENCE_S", 1.0)
    port = free_port()
    broker = mosquitto(port=port)
    one = courier(port)
    wait_until(lambda: one.online)
    broker.freeze()
    one.submit(_alert(1))
    wait_until(lambda: not one.online)
    broker.kill()
    mosquitto(port=port)
    listener = listen(port)
    wait_until(lambda: _sequences(listener) == [1])


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
    wait_until(lambda: "refuses the status" in (one.fault or ""))


def test_the_will_and_the_goodbye_say_what_the_status_said(mosquitto, listen, courier):
    broker = mosquitto()
    listener = listen(broker.port)
    one = courier(broker.port)
    one.report(StatusData("online", "comparing", demonstration=True, software="9.9"))
    wait_until(lambda: listener.of("status"))
    one._lost("fault injected")
    wait_until(lambda: any(b"vanished" in m.payload for m in listener.of("status")))
    wait_until(lambda: one.online)
    one.stop()
    wait_until(lambda: b"Stopped." in listener.of("status")[-1].payload)
    goodbye = decode_status(bytes(listener.of("status")[-1].payload)).data
    assert (goodbye.demonstration, goodbye.software, goodbye.link) == (True, "9.9", "offline")


def test_on_3_1_1_an_alert_that_the_broker_cannot_bear_does_not_block_the_next(
    mosquitto, listen, courier
):
    broker = mosquitto("max_packet_size 4000")
    listener = listen(broker.port)
    one = courier(broker.port, protocol="3.1.1")
    wait_until(lambda: one.online)
    one.submit(msgspec.structs.replace(_alert(1), data=make_alert(crop=b"x" * 5000).data))
    one.submit(_alert(2))
    wait_until(lambda: listener.of("alert"))
    assert _sequences(listener) == [2]
    wait_until(lambda: len(one) == 1)


class TestTls:
    @pytest.fixture
    def secure(self, mosquitto, scratch):
        """Start a broker that asks for client certificates; return what a device needs."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(scratch / "ca.pem")
        server = authority.issue_cert("127.0.0.1")
        server.private_key_pem.write_to_path(scratch / "server.key")
        server.cert_chain_pems[0].write_to_path(scratch / "server.pem")
        device = authority.issue_cert("d1")
        device.private_key_pem.write_to_path(scratch / "device.key")
        device.cert_chain_pems[0].write_to_path(scratch / "device.pem")
        broker = mosquitto(
            f"cafile {scratch / 'ca.pem'}",
            f"certfile {scratch / 'server.pem'}",
            f"keyfile {scratch / 'server.key'}",
            "require_certificate true",
        )
        return broker.port, {
            "tls": True,
            "ca_file": str(scratch / "ca.pem"),
            "certificate_file": str(scratch / "device.pem"),
            "key_file": str(scratch / "device.key"),
        }

    def test_with_its_certificate_the_device_is_let_in(self, secure, courier):
        port, files = secure
        one = courier(port, **files)
        wait_until(lambda: one.online)
        assert one._connection._client.socket().version() == "TLSv1.3"

    def test_without_one_it_is_not(self, secure, courier):
        port, files = secure
        one = courier(port, **(files | {"certificate_file": "", "key_file": ""}))
        wait_until(lambda: one.fault and "Not yet" not in one.fault)
        assert not one.online

    def test_a_broker_of_another_authority_is_refused(self, secure, courier, scratch):
        port, files = secure
        trustme.CA().cert_pem.write_to_path(scratch / "rogue.pem")
        one = courier(port, **(files | {"ca_file": str(scratch / "rogue.pem")}))
        wait_until(lambda: "not trusted" in (one.fault or ""))

    def test_a_broker_without_tls_is_refused(self, mosquitto, courier, secure):
        one = courier(mosquitto().port, **secure[1])
        wait_until(lambda: one.fault and "Not yet" not in one.fault)
        assert not one.online

    def test_a_damaged_certificate_is_said(self, secure, courier, scratch):
        port, files = secure
        (scratch / "device.pem").write_text("no certificate")
        one = courier(port, **files)
        wait_until(lambda: "TLS files" in (one.fault or ""))


def test_payload_on_the_wire_is_json_for_any_language(mosquitto, listen, courier):
    broker = mosquitto()
    listener = listen(broker.port)
    courier(broker.port).submit(_alert(1))
    wait_until(lambda: listener.of("alert"))
    event = json.loads(listener.of("alert")[0].payload)
    assert event["type"] == "passerby.alert.v1"
    assert event["data"]["reference_id"] == "ref-7"
