"""Who the broker lets in, and what they may do there: our configuration, our authority."""

import signal
import ssl
from datetime import timedelta

import pytest

from tests.simulators.mosquitto import wait_until
from tests.simulators.site import CONFIGURATION, Client, Site
from tools.field.pki import Authority

ALL = "passerby/v1/+/+"
SHARED = f"$share/gateways/{ALL}/alert"
SAID = ("alert", "status", "record", "request")
HEARD = ("receipt", "command", "bundle/+")


@pytest.fixture
def site(scratch, mosquitto):
    """A site whose broker runs; `site.broker` is the process."""
    site = Site(scratch)
    site.broker = mosquitto(port=site.port, whole=site.configuration())
    return site


@pytest.fixture
def client(site):
    """Connect: `client(folder, *subscriptions)`."""
    clients = []

    def connect(folder, *subscriptions):
        clients.append(Client(site, folder, *subscriptions))
        return clients[-1]

    yield connect
    for one in clients:
        one.close()


@pytest.fixture
def devices(site):
    return [site.authority.device(name, site.now) for name in ("d-01", "d-02")]


@pytest.fixture
def gateway(site):
    return site.authority.gateway(site.now)


class TestDoor:
    def test_a_device_with_its_certificate_is_let_in(self, site, devices):
        assert site.lets_in(site.context(devices[0]))

    def test_without_a_certificate_nobody_is(self, site):
        assert not site.lets_in(site.context())

    def test_nor_with_one_that_ran_out(self, site):
        past = site.now - timedelta(days=400)
        assert not site.lets_in(site.context(site.authority.device("d-01", past, 399)))

    def test_nor_with_one_that_is_not_valid_yet(self, site):
        future = site.now + timedelta(days=2)
        assert not site.lets_in(site.context(site.authority.device("d-01", future)))

    def test_nor_with_one_of_a_rogue_authority(self, site, scratch):
        rogue = Authority.create(scratch / "rogue", site.now)
        assert not site.lets_in(site.context(rogue.device("d-01", site.now)))

    def test_nor_with_the_brokers_own(self, site):
        folder = site.authority.broker(["127.0.0.1"], site.now, renew=True)
        assert not site.lets_in(site.context(folder))

    def test_nor_with_tls_1_2(self, site, devices):
        old = site.context(devices[0])
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        assert not site.lets_in(old)

    def test_nor_without_tls(self, site):
        class Plain:
            def wrap_socket(self, sock, server_hostname):
                return sock

        assert not site.lets_in(Plain())


class TestRevocation:
    def test_a_restart_shuts_a_revoked_device_out_and_no_other(self, site, devices):
        site.authority.revoke("d-01", site.now)
        site.bring_list()
        site.broker.stop()
        site.broker.start()
        assert not site.lets_in(site.context(devices[0]))
        assert site.lets_in(site.context(devices[1]))

    def test_a_reload_is_enough_for_new_connections(self, site, devices):
        site.authority.revoke("d-01", site.now)
        site.bring_list()
        site.broker.signal(signal.SIGHUP)
        wait_until(lambda: not site.lets_in(site.context(devices[0])))
        assert site.lets_in(site.context(devices[1]))

    def test_but_only_a_restart_ends_one_that_is_open(self, site, devices, client):
        open_one = client(devices[0])
        site.authority.revoke("d-01", site.now)
        site.bring_list()
        site.broker.signal(signal.SIGHUP)
        wait_until(lambda: not site.lets_in(site.context(devices[0])))
        assert open_one.publish("passerby/v1/s/d-01/alert") != "Not authorized"
        site.broker.stop()
        wait_until(open_one.ended.is_set)

    def test_a_list_that_ran_out_shuts_everybody_out(self, site, devices):
        site.authority.renew_list(site.now - timedelta(days=5), 4)
        site.bring_list()
        site.broker.stop()
        site.broker.start()
        assert not site.lets_in(site.context(devices[1]))

    def test_a_new_certificate_after_a_revocation_is_taken(self, site, devices):
        site.authority.revoke("d-01", site.now)
        site.bring_list()
        folder = site.authority.device("d-01", site.now)
        site.broker.stop()
        site.broker.start()
        assert site.lets_in(site.context(folder))

    def test_two_authorities_while_the_site_changes_over(self, site, devices, scratch):
        new = Authority.create(scratch / "new", site.now)
        revoked, kept = (new.device(name, site.now) for name in ("d-03", "d-04"))
        new.revoke("d-03", site.now)
        for name in ("ca.pem", "crl.pem"):
            with (scratch / "etc" / name).open("ab") as both:
                both.write((new.folder / name).read_bytes())
        site.broker.stop()
        site.broker.start()
        let_in = [site.lets_in(site.context(one)) for one in (devices[0], kept, revoked)]
        assert let_in == [True, True, False]


class TestAccessList:
    def test_a_device_and_the_gateway_do_what_they_must(self, devices, gateway, client):
        desk = client(
            gateway, SHARED, *(f"{ALL}/{kind}" for kind in ("status", "record", "request"))
        )
        one = client(devices[0], *(f"passerby/v1/s/d-01/{kind}" for kind in HEARD))
        for kind in SAID:
            assert one.publish(f"passerby/v1/s/d-01/{kind}") == "Success"
        wait_until(lambda: len(desk.messages) == len(SAID))
        for kind in ("receipt", "command", "bundle/1", "bundle/3232"):
            assert desk.publish(f"passerby/v1/s/d-01/{kind}") == "Success"
        wait_until(lambda: len(one.messages) == 4)

    def test_a_device_cannot_speak_for_another(self, devices, gateway, client):
        desk = client(gateway, *(f"{ALL}/{kind}" for kind in SAID))
        thief = client(devices[1])
        for kind in SAID:
            assert thief.publish(f"passerby/v1/s/d-01/{kind}") == "Not authorized"
        thief.publish("passerby/v1/s/d-02/alert", b"last")
        wait_until(lambda: desk.messages)
        assert desk.messages == [("passerby/v1/s/d-02/alert", b"last")]

    def test_a_device_cannot_act_as_gateway(self, devices, client):
        victim = client(devices[0], *(f"passerby/v1/s/d-01/{kind}" for kind in HEARD))
        for thief in (client(devices[1]), victim):
            for kind in ("receipt", "command", "bundle/1"):
                for name in ("d-01", "d-02"):
                    assert thief.publish(f"passerby/v1/s/{name}/{kind}") == "Not authorized"
            assert thief.publish("passerby-desk/alert") == "Not authorized"
        assert victim.messages == []

    def test_a_device_reads_nothing_of_another(self, devices, gateway, client):
        everything = [
            "#",
            "passerby/#",
            f"{ALL}/alert",
            f"{ALL}/command",
            f"{ALL}/bundle/+",
            "$SYS/#",
        ]
        thief = client(devices[1], *everything, "passerby/v1/s/d-01/receipt")
        desk, one = client(gateway), client(devices[0])
        for kind in SAID:
            one.publish(f"passerby/v1/s/d-01/{kind}")
        for kind in ("receipt", "command", "bundle/1"):
            desk.publish(f"passerby/v1/s/d-01/{kind}")
        desk.publish("passerby/v1/s/d-02/receipt", b"last")
        wait_until(lambda: thief.messages)
        assert set(thief.messages) == {("passerby/v1/s/d-02/receipt", b"last")}

    def test_a_device_in_the_gateways_group_reads_nothing(self, devices, gateway, client):
        # But Mosquitto still gives it its share, which vanishes: so the group's name is a secret.
        thief = client(devices[1], SHARED, "passerby/v1/s/d-02/receipt")
        desk, other = client(gateway, SHARED), client(gateway, f"$share/unknown/{ALL}/alert")
        one = client(devices[0])
        sent = [("passerby/v1/s/d-01/alert", b"%d" % number) for number in range(10)]
        for topic, payload in sent:
            one.publish(topic, payload)
        desk.publish("passerby/v1/s/d-02/receipt", b"last")
        wait_until(lambda: thief.messages and len(other.messages) == len(sent))
        assert other.messages == sent
        assert thief.messages == [("passerby/v1/s/d-02/receipt", b"last")]

    def test_a_gateway_speaks_for_no_device(self, gateway, client):
        desk = client(gateway)
        for kind in SAID:
            assert desk.publish(f"passerby/v1/s/d-01/{kind}") == "Not authorized"
        assert desk.publish("passerby-desk/event") in ("Success", "No matching subscribers")


class TestLimits:
    def test_a_cell_passes_and_something_larger_does_not(self, devices, gateway, client):
        desk = client(gateway, f"{ALL}/alert")
        one = client(devices[0])
        one.publish("passerby/v1/s/d-01/alert", bytes(12_288))
        wait_until(lambda: desk.messages)
        one.send("passerby/v1/s/d-01/alert", bytes(17_000))
        wait_until(one.ended.is_set)
        assert len(desk.messages) == 1

    def test_no_message_no_topic_and_nobodys_name_is_logged(self, site, devices, gateway, client):
        desk = client(gateway, f"{ALL}/alert")
        client(devices[0]).publish("passerby/v1/s/d-01/alert")
        client(devices[1]).publish("passerby/v1/s/d-01/alert")
        wait_until(lambda: desk.messages)
        site.lets_in(site.context())
        site.broker.stop()
        log = site.broker.log()
        for word in ("d-01", "d-02", "gateway", "client-", "passerby/v1", "127.0.0.1"):
            assert word not in log


def test_the_access_list_names_no_device():
    lines = (CONFIGURATION / "acl").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in rules if line.startswith("user")] == ["user gateway"]
    assert [line for line in rules if "#" in line] == ["topic write passerby-desk/#"]
