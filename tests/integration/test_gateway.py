"""The gateway with a real broker and real databases: what is stored, answered, emitted, dropped."""

import base64
import json
import subprocess
import time

import pytest
import trustme
from sqlalchemy import event, insert

from device.errors import StorageError
from device.protocol.alert import decode_alert
from device.protocol.envelope import digest_of
from device.protocol.identifiers import utc_ns, utc_text
from device.protocol.keys import PrivateKeys
from device.protocol.status import Pace, decode_status
from tests.conftest import ROOT
from tests.simulators.desk import Desk
from tests.simulators.mosquitto import free_port, wait_until
from tools.desk.gateway import gateway as gateway_module
from tools.desk.gateway.database import UnstorableError
from tools.desk.gateway.deliveries import deliveries
from tools.desk.gateway.orderbook import Orders
from tools.desk.gateway.settings import EmitSettings
from tools.desk.gateway.tables import emissions, lanes, statuses
from tools.lab.broker import EmbeddedBroker


@pytest.fixture
def broker(mosquitto):
    return mosquitto()


@pytest.fixture
def desk(scratch, broker, url):
    one = Desk(scratch, broker.port, url)
    yield one
    one.close()


@pytest.fixture
def small_desk(scratch, broker):
    """On SQLite, for what does not depend on the database."""
    one = Desk(scratch, broker.port)
    yield one
    one.close()


def _alerts(events):
    return [decode_alert(one.event.encode()) for one in events if one.kind == "alert"]


def test_an_alert_is_stored_receipted_and_emitted_as_a_plain_event(desk):
    events = []
    desk.gateway(events.append)
    device = desk.device().connect(desk.port)
    alert, letter = device.alert()
    device.publish("alert", device.sent(letter))
    device.wait_for(1)
    receipt = device.receipts[0].data
    assert (receipt.outcome, receipt.digest) == ("stored", digest_of(letter))
    (row,) = desk.rows()
    assert (row.source, row.id, row.kind) == (alert.source, alert.id, "alert")
    assert (row.epoch, row.sequence) == (alert.data.epoch, 1)
    wait_until(lambda: events)
    (plain,) = _alerts(events)
    assert plain.id == alert.id
    assert plain.data.sent_at is not None
    assert json.loads(events[0].event)["specversion"] == "1.0"
    assert events[0].topic == "passerby-desk/v1/s1/d1/alert"


def test_a_duplicate_gets_its_receipt_again_and_is_emitted_once(desk):
    events = []
    desk.gateway(events.append)
    device = desk.device().connect(desk.port)
    _, letter = device.alert()
    for _ in range(4):
        device.publish("alert", device.sent(letter))
    same_cell = device.sent(letter)
    device.publish("alert", same_cell)
    device.publish("alert", same_cell)
    device.wait_for(6)
    last = device.send_alert()
    wait_until(lambda: last.id in [one.id for one in _alerts(events)])
    device.wait_for(7)
    assert device.outcomes() == ["stored"] * 7
    assert len(desk.rows()) == 2
    assert len(_alerts(events)) == 2


def test_a_dummy_gets_one_receipt_of_the_same_size_and_leaves_nothing(desk, listen):
    desk.gateway(lambda _: None)
    device = desk.device().connect(desk.port)
    eavesdropper = listen(desk.port)
    device.publish("alert", device.cover())
    device.send_alert()
    device.wait_for(2)
    assert device.outcomes() == ["cover", "stored"]
    assert device.receipts[0].data.digest is None
    wait_until(lambda: len(eavesdropper.of("receipt")) == 2)
    assert {len(message.payload) for message in eavesdropper.of("receipt")} == {12_288}
    assert len(desk.rows()) == 1
    assert deliveries(desk.database)[0].last_seen is not None


def test_a_burst_loses_nothing_and_every_message_has_one_receipt(scratch, mosquitto):
    desk = Desk(scratch, mosquitto("max_queued_messages 10000").port)
    events = []
    desk.gateway(events.append)
    device = desk.device().connect(desk.port)
    cells = [device.sent(device.alert()[1]) for _ in range(1000)]
    for cell in cells:
        device.publish("alert", cell)
    device.wait_for(1000)
    wait_until(lambda: len(events) == 1000)
    assert [alert.data.sequence for alert in _alerts(events)] == list(range(1, 1001))
    assert len(device.receipts) == len(desk.rows()) == 1000
    desk.close()


def test_a_record_is_stored_receipted_and_emitted(desk):
    events = []
    desk.gateway(events.append)
    device = desk.device().connect(desk.port)
    record, letter = device.record()
    device.publish("record", device.sent(letter))
    device.wait_for(1)
    wait_until(lambda: events)
    assert (events[0].kind, events[0].id) == ("record", record.id)


def test_strangers_forgers_and_the_revoked_get_no_answer_and_leave_nothing(desk):
    events = []
    gateway = desk.gateway(events.append)
    device = desk.device().connect(desk.port)
    stranger = desk.device("d9", known=False).connect(desk.port)
    revoked = desk.device("d8").connect(desk.port)
    desk.register.revoke(revoked.topics, utc_text(1))
    _, letter = device.alert()
    good = device.sent(letter)
    flipped = bytearray(good)
    flipped[-1] ^= 1
    for cell in (bytes(flipped), good[:-1], good + b"x", b"", b"\x00" * 12_288):
        device.publish("alert", cell)
    # A cell on another device's topic, and one of a device's name with other keys.
    revoked.publish("alert", good)
    impostor = desk.device(known=False, keys=PrivateKeys.generate())
    device.publish("alert", impostor.sent(impostor.alert()[1]))
    device.publish("record", good)
    stranger.send_alert()
    revoked.send_alert()
    device._client.publish("passerby/v1/s1/d1/alert/more", good, qos=1)
    device._client.publish("passerby/v1/s1/D1/alert", good, qos=1)
    last = device.send_alert()
    wait_until(lambda: _alerts(events))
    device.wait_for(1)
    assert device.outcomes() == ["stored"]
    assert stranger.receipts == revoked.receipts == []
    assert [row.id for row in desk.rows()] == [last.id]
    assert gateway.faults == []


def test_a_damaged_letter_of_a_known_device_is_refused_for_good(small_desk):
    small_desk.gateway(lambda _: None)
    device = small_desk.device().connect(small_desk.port)
    letter = bytearray(device.alert()[1])
    letter[-1] ^= 1
    device.publish("alert", device.sent(bytes(letter)))
    device.wait_for(1)
    receipt = device.receipts[0].data
    assert (receipt.outcome, receipt.digest) == ("refused", digest_of(bytes(letter)))
    assert small_desk.rows() == []


def test_a_status_is_emitted_once_and_an_old_one_changes_nothing(desk):
    events = []
    desk.gateway(events.append)
    device = desk.device().connect(desk.port)
    now_ns = time.time_ns()
    old = device.say(device.status(time_ns=now_ns - 10**10))
    wait_until(lambda: len(events) == 1)
    new = device.say(device.status(time_ns=now_ns, reasons=["The list is stale."]))
    wait_until(lambda: len(events) == 2)
    device.say(old)
    device.say(new)
    will = device.say(device.status("offline", now_ns - 10**11))
    wait_until(lambda: len(events) == 3)
    device.say(new)
    device.say(old)
    device.send_alert()
    wait_until(lambda: _alerts(events))
    statuses = [decode_status(one.event.encode()) for one in events if one.kind == "status"]
    assert [one.id for one in statuses] == [old.id, new.id, will.id]
    assert deliveries(desk.database)[0].link == "offline"
    device.wait_for(1)
    assert device.outcomes() == ["stored"]


def test_a_status_from_the_future_is_refused_and_does_not_blind_the_desk(small_desk, caplog):
    events = []
    small_desk.gateway(events.append)
    device = small_desk.device().connect(small_desk.port)
    device.say(device.status(time_ns=time.time_ns() + 10**13))
    status = device.say(device.status())
    wait_until(lambda: events)
    assert [one.id for one in events] == [status.id]
    assert "dropped: a status from the future" in caplog.text


def test_a_device_that_does_less_than_it_could_is_shown_as_such(small_desk):
    small_desk.gateway(lambda _: None)
    device = small_desk.device().connect(small_desk.port)
    device.say(device.status(pace=Pace(3, 4, "Less is done.")))
    wait_until(lambda: deliveries(small_desk.database)[0].slowed == "3 of 4")
    device.say(device.status(pace=Pace(0, 4, "Full effort.")))
    wait_until(lambda: deliveries(small_desk.database)[0].slowed is None)


def test_a_device_with_new_keys_begins_anew_also_with_its_status(desk):
    desk.gateway(lambda _: None)
    old = desk.device().connect(desk.port)
    old.say(old.status(time_ns=time.time_ns() + 10**11))
    wait_until(lambda: deliveries(desk.database)[0].link == "online")
    desk.register.revoke(old.topics, utc_text(1))
    desk.register.add(old.topics, old.keys.public, utc_text(2))
    assert deliveries(desk.database)[0].link == "online"
    desk.register.revoke(old.topics, utc_text(3))
    old.close()
    new = desk.device().connect(desk.port)
    assert deliveries(desk.database)[0].link is None
    new.say(new.status())
    wait_until(lambda: deliveries(desk.database)[0].link == "online")


def test_a_gateway_of_the_longest_name_sends_orders(desk):
    gateway = desk.gateway(lambda _: None, name="g" * 32)
    device = desk.device().connect(desk.port)
    Orders(desk.database).command(desk.keys.public, device.topics.source, 60, "suspend", "A.")
    wait_until(lambda: device.orders)
    # SQLite does not mind; PostgreSQL does.
    assert len(gateway._dispatcher._holder) <= lanes.c.holder.type.length


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (lanes, {"source": "urn:passerby:s1:d9", "target": "t"}),
        (lanes, {"source": "urn:passerby:s1:d1", "target": None}),
        (emissions, {"alert": 7, "target": "t", "emitted_at": utc_text(0)}),
        (statuses, {"source": "urn:passerby:s1:d1"}),
    ],
)
def test_a_row_that_breaks_a_rule_of_the_database_is_not_tried_again(desk, table, row):
    desk.device()
    with pytest.raises(UnstorableError), desk.database.writing() as connection:
        connection.execute(insert(table), row)


def test_a_will_of_an_earlier_connection_is_not_believed(small_desk):
    events = []
    small_desk.gateway(events.append)
    device = small_desk.device().connect(small_desk.port)
    will = device.status("offline", time.time_ns() - 10**10)
    device.connection = "0" * 8 + "-0000-0000-0000-" + "1" * 12
    device.say(device.status())
    device.say(will)
    device.send_alert()
    wait_until(lambda: _alerts(events))
    assert deliveries(small_desk.database)[0].link == "online"


def test_a_gateway_that_comes_later_finds_the_retained_status(small_desk):
    device = small_desk.device().connect(small_desk.port)
    status = device.say(device.status())
    events = []
    small_desk.gateway(events.append)
    wait_until(lambda: events)
    assert events[0].id == status.id


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_either_version_of_mqtt_and_what_waits_at_the_broker_arrives(small_desk, version):
    events = []
    first = small_desk.gateway(events.append, protocol=version)
    device = small_desk.device().connect(small_desk.port)
    device.send_alert()
    device.wait_for(1)
    first.stop()
    # More than the broker's window: what comes before the subscription is confirmed counts too.
    for _ in range(50):
        device.send_alert()
    small_desk.gateway(events.append, protocol=version)
    device.wait_for(51)
    wait_until(lambda: len(_alerts(events)) == 51)


def test_it_works_with_a_broker_that_knows_only_mqtt_3_1_1(scratch):
    with EmbeddedBroker() as broker:
        desk = Desk(scratch, broker.port)
        events = []
        gateway = desk.gateway(events.append)
        device = desk.device().connect(broker.port, version=3)
        device.send_alert()
        device.publish("alert", device.cover())
        device.wait_for(2)
        wait_until(lambda: _alerts(events))
        assert gateway.faults == []
        desk.close()


def test_a_broker_that_comes_later_and_goes_is_no_failure(scratch, mosquitto):
    port = free_port()
    desk = Desk(scratch, port)
    events = []
    gateway = desk.gateway(events.append, wait=False)
    wait_until(lambda: any("cannot be reached" in fault for fault in gateway.faults))
    broker = mosquitto(port=port)
    device = desk.device().connect(port)
    wait_until(gateway.ready.is_set)
    device.send_alert()
    device.wait_for(1)
    broker.kill()
    wait_until(lambda: gateway.faults)
    broker.start()
    wait_until(lambda: not gateway.faults)
    wait_until(device._client.is_connected)
    device.send_alert()
    device.wait_for(2)
    desk.close()


def test_gaps_and_new_epochs_are_shown(desk):
    desk.gateway(lambda _: None)
    device = desk.device().connect(desk.port)
    for sequence in (2, 3, 7):
        device.send_alert(sequence=sequence)
    device.wait_for(3)
    (one,) = deliveries(desk.database)
    assert [str(gap) for gap in one.gaps] == ["1", "4-6"]
    assert (one.newest, one.epochs) == (7, 1)
    device.epoch = "f" * 8 + device.epoch[8:]
    device.send_alert(sequence=1)
    device.wait_for(4)
    (one,) = deliveries(desk.database)
    assert (one.newest, one.epochs) == (1, 2)


def test_the_content_is_erased_in_time_and_a_replay_stays_a_duplicate(desk, caplog):
    clock = [time.time_ns()]
    events = []
    desk.gateway(events.append, now_ns=lambda: clock[0], alerts_h=0.0003)
    device = desk.device().connect(desk.port)
    _, letter = device.alert(crop=b"\xff\xd8 face of nobody")
    device.publish("alert", device.sent(letter))
    wait_until(lambda: events)
    assert desk.rows()[0].event is not None
    clock[0] += 5 * 10**9
    wait_until(lambda: desk.rows()[0].event is None)
    device.publish("alert", device.sent(letter))
    device.wait_for(2)
    assert device.outcomes() == ["stored", "stored"]
    (row,) = desk.rows()
    assert row.event is None
    assert (row.sequence, len(row.digest)) == (1, 64)
    assert len(events) == 1
    assert "ALARM" not in caplog.text
    if desk.database.is_sqlite:
        face = base64.b64encode(b"\xff\xd8 face of nobody")
        wait_until(lambda: not _on_disk(desk.folder, face.decode()))


def _on_disk(folder, text):
    # In another process: reading the file here would end SQLite's locks on it.
    return subprocess.run(["grep", "-rqF", text, str(folder)], check=False).returncode == 0


def test_what_could_not_be_emitted_is_erased_all_the_same_and_that_is_an_alarm(small_desk, caplog):
    clock = [time.time_ns()]

    def refuse(_):
        raise RuntimeError("no")

    small_desk.gateway(refuse, now_ns=lambda: clock[0], alerts_h=0.0003)
    device = small_desk.device().connect(small_desk.port)
    device.send_alert()
    device.wait_for(1)
    clock[0] += 5 * 10**9
    wait_until(lambda: small_desk.rows()[0].event is None)
    wait_until(lambda: "ALARM" in caplog.text)


def test_an_alert_older_than_the_retention_is_still_delivered(small_desk):
    events = []
    small_desk.gateway(events.append)
    device = small_desk.device().connect(small_desk.port)
    _, letter = device.alert(captured_ns=time.time_ns() - 48 * 3600 * 10**9)
    device.publish("alert", device.sent(letter, delayed=True))
    wait_until(lambda: events)
    (alert,) = _alerts(events)
    assert alert.data.delayed
    assert utc_ns(alert.data.captured_at) < time.time_ns() - 47 * 3600 * 10**9


def test_two_gateways_share_the_alerts_and_emit_each_once(scratch, broker, fresh_postgres):
    desk = Desk(scratch, broker.port, fresh_postgres)
    first, second = [], []
    desk.gateway(first.append, name="a", session_h=0)
    desk.gateway(second.append, name="b", session_h=0)
    devices = [desk.device(f"d{number}").connect(desk.port) for number in range(1, 4)]
    for _ in range(20):
        for device in devices:
            device.send_alert()
            device.publish("alert", device.cover())
    for device in devices:
        device.wait_for(40)
    wait_until(lambda: len(first) + len(second) >= 60)
    emitted = [one.id for one in first + second]
    assert len(emitted) == len(set(emitted)) == 60
    assert {row.id for row in desk.rows()} == set(emitted)
    assert len(desk.rows()) == 60
    for device in devices:
        assert sorted(device.outcomes()) == ["cover"] * 20 + ["stored"] * 20
    # One goes: the other takes everything.
    desk.gateways[0].stop()
    for device in devices:
        device.send_alert()
        device.wait_for(41)
    desk.close()


def test_a_database_that_goes_away_loses_nothing(scratch, broker, postgres, fresh_postgres):
    desk = Desk(scratch, broker.port, fresh_postgres)
    events = []
    gateway = desk.gateway(events.append)
    device = desk.device().connect(desk.port)
    device.send_alert()
    device.wait_for(1)
    postgres.stop()
    try:
        device.send_alert()
        wait_until(lambda: any("cannot be used" in fault for fault in gateway.faults))
        time.sleep(0.5)
        assert len(device.receipts) == 1
    finally:
        postgres.start()
    device.wait_for(2)
    wait_until(lambda: len(_alerts(events)) == 2)
    wait_until(lambda: gateway.faults == [])
    desk.close()


def test_a_full_disk_means_no_receipt_until_there_is_room(small_desk):
    gateway = small_desk.gateway(lambda _: None)
    device = small_desk.device().connect(small_desk.port)
    device.send_alert()
    device.wait_for(1)
    with gateway._database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    def limit(connection, _record, _proxy):
        connection.execute(f"PRAGMA max_page_count = {limit.pages}")

    limit.pages = pages
    event.listen(gateway._database._engine, "checkout", limit)
    for _ in range(3):
        device.send_alert(crop=b"x" * 5000)
    wait_until(lambda: any("disk is full" in fault for fault in gateway.faults))
    assert len(device.receipts) == 1
    limit.pages = 1_000_000
    device.wait_for(4)
    assert len(small_desk.rows()) == 4


def test_what_finds_no_place_in_memory_comes_again(small_desk, monkeypatch):
    monkeypatch.setattr(gateway_module, "_AT_ONCE", 4)
    monkeypatch.setattr(gateway_module, "_MOST_WAITING", 10)
    gateway = small_desk.gateway(lambda _: None)
    device = small_desk.device().connect(small_desk.port)
    store, away = gateway._work._store, [True]
    take = store.take

    def taken(*batch):
        if away:
            raise StorageError("The database is away.")
        return take(*batch)

    monkeypatch.setattr(store, "take", taken)
    for _ in range(40):
        device.send_alert()
    wait_until(lambda: any("more than this gateway can store" in one for one in gateway.faults))
    away.clear()
    wait_until(lambda: len(small_desk.rows()) == 40)
    wait_until(lambda: gateway.faults == [])


def test_mutual_tls_and_the_published_access_list(scratch, mosquitto):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(scratch / "ca.pem")
    server = authority.issue_cert("localhost", "127.0.0.1")
    server.private_key_pem.write_to_path(scratch / "server.key")
    server.cert_chain_pems[0].write_to_path(scratch / "server.pem")
    client = authority.issue_cert(common_name="gateway")
    client.private_key_and_cert_chain_pem.write_to_path(scratch / "gateway.pem")
    acl = ROOT / "firmware_config/broker/acl"
    broker = mosquitto(
        f"cafile {scratch / 'ca.pem'}",
        f"certfile {scratch / 'server.pem'}",
        f"keyfile {scratch / 'server.key'}",
        "tls_version tlsv1.3",
        "require_certificate true",
        "use_identity_as_username true",
        f"acl_file {acl}",
        f"listener {(plain := free_port())} 127.0.0.1",
    )
    desk = Desk(scratch, broker.port)
    desk.gateway(
        emit=EmitSettings(),
        tls=True,
        ca_file=str(scratch / "ca.pem"),
        certificate_file=str(scratch / "gateway.pem"),
    )
    device = desk.device()
    device.username = "d1"
    device.connect(plain)
    device.send_alert()
    device.wait_for(1)
    assert device.outcomes() == ["stored"]
    desk.close()
