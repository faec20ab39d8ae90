"""Orders and the commands of the desk: from the command line to a device and back."""

import re
import subprocess
import sys
import time

import pytest
from sqlalchemy import update

from device.protocol.envelope import desk_source
from device.protocol.identifiers import utc_text
from device.protocol.keys import decode_private_keys, decode_public_keys, encode_keys
from device.protocol.order import Adjudication, Command
from tests.simulators.desk import Desk
from tests.simulators.device_simulator import DeviceSimulator
from tests.simulators.mosquitto import wait_until
from tools.desk.gateway.orderbook import Orders
from tools.desk.gateway.tables import devices
from tools.desk.gateway.tables import orders as order_table


@pytest.fixture
def broker(mosquitto):
    return mosquitto()


@pytest.fixture
def desk(scratch, broker):
    one = Desk(scratch, broker.port)
    yield one
    one.close()


def passerby_desk(*arguments, code=0):
    """Run a command as a user does; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.desk.main", *(str(one) for one in arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        env={"PATH": "/usr/bin", "COLUMNS": "200"},
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert re.match(r"passerby-desk: .*[.)]\n$", done.stderr), done.stderr
        return done.stderr
    return done.stdout


def _state(desk):
    return [one.state for one in Orders(desk.database).listing()]


def test_an_order_goes_out_until_the_status_says_that_it_was_obeyed(desk):
    desk.gateway(lambda _: None)
    device = desk.device().connect(desk.port)
    config = desk.write_configuration()
    printed = passerby_desk(
        *("order", "suspend", "--device", "s1/d1", "--reason", "The camera was moved."),
        *("--config", config),
    )
    wait_until(lambda: device.orders)
    (command,) = device.orders
    assert isinstance(command, Command)
    assert command.id in printed
    assert (command.data.action, command.data.sequence) == ("suspend", 1)
    wait_until(lambda: _state(desk) == ["sent"])
    device.say(device.status(last_order=command.id))
    wait_until(lambda: _state(desk) == ["obeyed"])
    shown = passerby_desk("orders", "--config", config)
    assert "suspend" in shown
    assert "obeyed" in shown


def test_an_order_waits_for_a_device_that_is_away_and_is_sealed_anew_each_time(desk, listen):
    desk.gateway(lambda _: None)
    device = desk.device()
    eavesdropper = listen(desk.port)
    orders = Orders(desk.database)
    given = orders.command(desk.keys.public, device.topics.source, 600, "resume", "Go on.")
    wait_until(lambda: _state(desk) == ["sent"])
    device.connect(desk.port)
    time.sleep(0.3)
    assert device.orders == []
    device.say(device.status())
    wait_until(lambda: device.orders)
    assert device.orders[0].id == given.id
    cells = [bytes(message.payload) for message in eavesdropper.of("command")]
    assert len(set(cells)) == len(cells) == 2
    assert {len(cell) for cell in cells} == {12_288}
    expiries = [m.properties.MessageExpiryInterval for m in eavesdropper.of("command")]
    assert all(0 < expiry <= 600 for expiry in expiries)
    assert not any(message.retain for message in eavesdropper.of("command"))


def test_what_cannot_be_read_of_one_device_keeps_no_order_from_another(desk, caplog):
    orders = Orders(desk.database)
    sources = [desk.device(f"d{number}").topics.source for number in (1, 2, 3)]
    for source in sources:
        orders.command(desk.keys.public, source, 600, "suspend", "A.")
    with desk.database.writing() as connection:
        of_first, of_second = devices.c.source == sources[0], order_table.c.source == sources[1]
        connection.execute(update(devices).where(of_first).values(public_keys="{}"))
        connection.execute(update(order_table).where(of_second).values(event="{}"))
    third = desk.devices[2].connect(desk.port)
    desk.gateway(lambda _: None)
    third.say(third.status())
    wait_until(lambda: third.orders)
    time.sleep(1.5)
    said = [record.message for record in caplog.records if "cannot be sent" in record.message]
    assert [source in one for source, one in zip(sources, said, strict=False)] == [True, True]
    assert len(said) == 2


def test_orders_keep_their_order_and_what_was_overtaken_is_not_called_obeyed(desk):
    device = desk.device()
    orders = Orders(desk.database)
    source = device.topics.source
    first = orders.command(desk.keys.public, source, 600, "suspend", "A.")
    second = orders.adjudication(desk.keys.public, source, 600, first.id, "confirmed false alert")
    # It listens before the gateway speaks: the first order must not be the one that it missed.
    device.connect(desk.port)
    desk.gateway(lambda _: None, resend_orders_s=1.0)
    device.say(device.status())
    wait_until(lambda: len(device.orders) >= 4)
    numbers = [order.data.sequence for order in device.orders]
    assert numbers[:2] == [1, 2]
    assert isinstance(device.orders[1], Adjudication)
    device.say(device.status(last_order=second.id))
    wait_until(lambda: _state(desk) == ["obeyed", "overtaken"])
    time.sleep(1.5)
    before = len(device.orders)
    time.sleep(1.5)
    assert len(device.orders) == before


def test_an_order_that_expires_is_sent_no_more_and_says_so(desk):
    clock = [time.time_ns()]
    orders = Orders(desk.database, lambda: clock[0])
    device = desk.device()
    orders.command(desk.keys.public, device.topics.source, 60, "suspend", "A.")
    assert len(orders.due("me", 30)) == 1
    # Another gateway leaves it to the first, until that one's lease ends.
    assert orders.due("other", 30) == []
    clock[0] += 20 * 10**9
    assert len(orders.due("other", 30)) == 1
    clock[0] += 41 * 10**9
    assert orders.due("other", 30) == []
    assert [one.state for one in orders.listing()] == ["expired"]


def test_keys_are_made_once_and_devices_are_added_revoked_and_listed(desk, scratch):
    folder = scratch / "keys"
    printed = passerby_desk("keys", "create", "--out", folder)
    private, public = folder / "desk.key", folder / "desk.pub"
    assert private.stat().st_mode & 0o777 == 0o600
    keys = decode_private_keys(private.read_bytes())
    assert decode_public_keys(public.read_bytes()) == keys.public
    assert keys.public.fingerprint in printed
    assert desk_source(keys.public).startswith("urn:passerby:desk:")
    assert "not overwritten" in passerby_desk("keys", "create", "--out", folder, code=9)

    config = desk.write_configuration()
    device = DeviceSimulator(desk.keys.public)
    file = scratch / "d1.pub"
    file.write_bytes(encode_keys(device.keys.public))
    names = ("--site", "s1", "--device", "d1", "--config", config)
    assert device.keys.public.fingerprint in passerby_desk("devices", "add", file, *names)
    passerby_desk("devices", "add", file, *names)
    other = DeviceSimulator(desk.keys.public)
    file.write_bytes(encode_keys(other.keys.public))
    assert "known with other keys" in passerby_desk("devices", "add", file, *names, code=2)
    passerby_desk("devices", "revoke", *names)
    assert "was revoked before" in passerby_desk("devices", "revoke", *names, code=2)
    passerby_desk("devices", "add", file, *names)
    shown = passerby_desk("devices", "list", "--config", config)
    assert "s1/d1" in shown
    assert other.keys.public.fingerprint in shown
    assert "s1/d1" in passerby_desk("delivery", "--config", config)


def test_every_mistake_is_a_sentence(desk, scratch):
    config = desk.write_configuration()
    desk.device()
    order = ("order", "--config", config, "--device", "s1/d1", "--reason", "A.")
    assert "--yes" in passerby_desk(*order, "end", code=2)
    assert "must name one" in passerby_desk(*order, "revoke", "--yes", code=10)
    assert "must name one" in passerby_desk(*order, "suspend", "--reference", "r", code=10)
    long = (*order[:-1], "x" * 201)
    assert "cannot be given" in passerby_desk(*long, "suspend", code=10)
    stranger = ("order", "--config", config, "--device", "s1/d7", "--reason", "A.", "suspend")
    assert "is not known" in passerby_desk(*stranger, code=2)
    nowhere = ("order", "--config", config, "--device", "here", "--reason", "A.", "suspend")
    assert "names no device" in passerby_desk(*nowhere, code=2)
    verdict = ("adjudicate", "--config", config, "--device", "s1/d1", "--outcome", "rejected")
    assert "cannot be given" in passerby_desk(*verdict, "--alert", "7", code=10)
    missing = scratch / "none.toml"
    assert "does not exist" in passerby_desk("gateway", "--config", missing, code=2)
    assert "is no target" in passerby_desk("gateway", "--config", config, "--to", "fax", code=2)
    (scratch / "none.pub").write_text("{}")
    add = ("devices", "add", scratch / "none.pub", "--config", config, "--site", "s", "--device")
    assert "no file of public keys" in passerby_desk(*add, "d", code=2)
    (scratch / "desk.key").chmod(0o644)
    assert "can be read by others" in passerby_desk("gateway", "--config", config, code=2)


def test_a_second_gateway_on_one_sqlite_file_is_refused(desk):
    desk.gateway(lambda _: None)
    config = desk.write_configuration("2")
    assert "SQLite serves one" in passerby_desk("gateway", "--config", config, code=9)


def test_a_database_that_is_no_database_or_not_there_is_said(desk, scratch):
    config = scratch / "bad.toml"
    for url, sentence, code in (
        ("nonsense", "is no address of a database", 2),
        ("mysql://u:hunter2@h/d", "is no address of a database", 2),
        ("postgresql://u:hunter2@127.0.0.1:1/d", "cannot be used", 9),
        ("sqlite:////proc/desk.db", "cannot be made", 9),
        ("sqlite:///desk.key", "is no database", 9),
    ):
        config.write_text(f'[desk]\nkeys = "desk.key"\ndatabase = "{url}"\n')
        said = passerby_desk("devices", "list", "--config", config, code=code)
        assert sentence in said
        assert "hunter2" not in said


def test_the_next_number_is_taken_once_however_many_give_orders(desk):
    device = desk.device()
    desk.register.revoke(device.topics, utc_text(1))
    desk.register.add(device.topics, device.keys.public, utc_text(2))
    orders = Orders(desk.database)
    source = device.topics.source
    for _ in range(5):
        orders.command(desk.keys.public, source, 60, "suspend", "A.")
    assert sorted(one.sequence for one in orders.listing()) == [1, 2, 3, 4, 5]
