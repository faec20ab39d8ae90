"""`passerby doctor` says of each failure of TLS what is wrong and what to do."""

import os
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from device.alerts import diagnosis
from device.alerts.diagnosis import diagnose, expiry_note
from device.cli import doctor
from device.errors import BrokerError
from device.settings import CameraSettings, DeviceSettings, Settings, WatchlistSettings
from tests.simulators.mosquitto import free_port
from tests.simulators.site import Site
from tools.field.pki import Authority, certificates

DAY = timedelta(days=1)


@pytest.fixture
def site(scratch):
    return Site(scratch)


@pytest.fixture
def running(site, mosquitto):
    """A site whose broker runs."""
    site.broker = mosquitto(port=site.port, whole=site.configuration())
    return site


@pytest.fixture
def device(site):
    return site.authority.device("d-01", site.now)


def settings_of(broker):
    return Settings(
        DeviceSettings("s", "d-01"), CameraSettings("usb"), WatchlistSettings("list"), broker=broker
    )


@contextmanager
def serving(port, talk):
    """Serve connections one after the other: `talk(socket)`."""
    with socket.create_server(("127.0.0.1", port)) as server:

        def loop():
            with suppress(OSError):
                while True:
                    sock, _ = server.accept()
                    with sock, suppress(OSError):
                        talk(sock)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


class TestOk:
    def test_nothing_is_wrong_with_a_good_certificate(self, running, device):
        assert diagnose(running.settings(device)) is None

    def test_doctor_says_so(self, running, device):
        line = doctor._broker(settings_of(running.settings(device)))
        assert line == f"127.0.0.1:{running.port}, MQTT 5, TLS 1.3"

    def test_and_when_it_expires_soon(self, running):
        soon = running.authority.device("d-01", running.now, 12)
        line = doctor._broker(settings_of(running.settings(soon)))
        assert "; this device's certificate expires in 11 days: " in line
        assert "`passerby-field pki device ID --renew`" in line

    def test_without_tls_there_is_nothing_to_say(self, site):
        broker = site.settings(tls=False)
        assert diagnose(broker) is None
        assert expiry_note(broker, site.now) == ""


class TestRefusedByTheBroker:
    def said(self, site, folder=None):
        with pytest.raises(BrokerError) as caught:
            doctor._broker(settings_of(site.settings(folder)))
        return str(caught.value)

    def test_no_certificate(self, running):
        assert "asks for this device's certificate and got none" in self.said(running)

    def test_revoked(self, running, device):
        running.authority.revoke("d-01", running.now)
        running.bring_list()
        running.broker.stop()
        running.broker.start()
        assert "its certificate was revoked" in self.said(running, device)

    def test_rogue_authority(self, running, scratch):
        rogue = Authority.create(scratch / "rogue", running.now)
        said = self.said(running, rogue.device("d-01", running.now))
        assert "does not know the authority that signed this device's certificate" in said

    def test_an_authority_that_took_our_name(self, running, scratch, monkeypatch):
        name = running.authority.certificate.subject
        monkeypatch.setattr(certificates, "_name", lambda _common: name)
        rogue = Authority.create(scratch / "rogue", running.now)
        monkeypatch.undo()
        said = self.said(running, rogue.device("d-01", running.now))
        assert "this device's certificate" in said

    def test_a_brokers_certificate(self, running):
        own = running.authority.broker(["127.0.0.1"], running.now, renew=True)
        assert "refuses the kind of certificate" in self.said(running, own)

    def test_a_revocation_list_that_ran_out(self, running, device):
        running.authority.renew_list(running.now - 5 * DAY, 4)
        running.bring_list()
        running.broker.stop()
        running.broker.start()
        assert "its revocation list has run out" in self.said(running, device)


class TestOwnCertificate:
    def test_expired(self, site):
        folder = site.authority.device("d-01", site.now - 400 * DAY, 399)
        said = diagnose(site.settings(folder))
        assert f"ran out on {site.now - DAY:%Y-%m-%d}" in said
        assert "--renew" in said

    def test_not_valid_yet(self, site):
        folder = site.authority.device("d-01", site.now + 3 * DAY)
        said = diagnose(site.settings(folder))
        assert "valid only from" in said
        assert "timedatectl" in said

    def test_the_key_of_another(self, site, device):
        other = site.authority.device("d-02", site.now)
        broker = site.settings(device, key_file=str(other / "device.key"))
        assert "do not belong together" in diagnose(broker)

    def test_a_key_with_a_passphrase(self, site, device, scratch):
        locked = scratch / "locked.key"
        command = ["openssl", "pkey", "-aes256", "-passout", "pass:secret"]
        subprocess.run([*command, "-in", device / "device.key", "-out", locked], check=True)
        said = diagnose(site.settings(device, key_file=str(locked)))
        assert "protected by a passphrase" in said

    @pytest.mark.parametrize("name", ["ca_file", "certificate_file", "key_file"])
    def test_a_file_that_is_not_there(self, site, device, name):
        said = diagnose(site.settings(device, **{name: "/nowhere/file.pem"}))
        assert f"broker.{name} /nowhere/file.pem cannot be read (No such file" in said

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_that_may_not_be_read(self, site, device):
        (device / "device.key").chmod(0)
        assert "let the service's user read it" in diagnose(site.settings(device))

    @pytest.mark.parametrize("name", ["ca_file", "certificate_file", "key_file"])
    def test_a_damaged_file(self, site, device, scratch, name):
        damaged = scratch / "damaged.pem"
        damaged.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
        said = diagnose(site.settings(device, **{name: str(damaged)}))
        assert "must be PEM" in said
        assert str(damaged) in said

    @pytest.mark.parametrize(("left", "words"), [(29, "29 days"), (1, "1 day:"), (0, "hours")])
    def test_how_long_it_lasts(self, site, device, left, words):
        now = site.now + 397 * DAY - left * DAY - timedelta(hours=1 if left == 0 else 0)
        assert words in expiry_note(site.settings(device), now)

    def test_while_there_is_time_nothing_is_said(self, site, device):
        assert expiry_note(site.settings(device), site.now) == ""


class TestBrokersCertificate:
    @pytest.fixture
    def said(self, site, mosquitto, device):
        def start(folder, **changes):
            mosquitto(port=site.port, whole=site.configuration(folder))
            return diagnose(site.settings(device, **changes))

        return start

    def test_expired(self, site, said):
        past = site.authority.broker(["127.0.0.1"], site.now - 9 * DAY, 5)
        assert "shows a certificate that has run out" in said(past)

    def test_not_valid_yet(self, site, said):
        future = site.authority.broker(["127.0.0.1"], site.now + 9 * DAY)
        assert "is not valid yet: check this device's clock" in said(future)

    def test_another_address(self, site, said):
        other = site.authority.broker(["192.0.2.7", "localhost"], site.now)
        assert "does not carry this address" in said(other)

    def test_another_name(self, site, said):
        other = site.authority.broker(["127.0.0.1", "mqtt.example"], site.now)
        assert "does not carry this name" in said(other, host="localhost")

    def test_of_another_authority(self, scratch, site, said):
        rogue = Authority.create(scratch / "rogue", site.now)
        assert "is not trusted (" in said(rogue.broker(["127.0.0.1"], site.now))

    def test_self_signed(self, scratch, site, said):
        key = certificates.new_key()
        own = certificates.authority(key, 10, site.now)
        folder = scratch / "own"
        shutil.copytree(site.authority.broker(["127.0.0.1"], site.now), folder)
        (folder / "broker.key").write_bytes(certificates.key_pem(key))
        (folder / "broker.pem").write_bytes(certificates.certificate_pem(own))
        assert "it is self-signed" in said(folder)

    def test_a_devices(self, scratch, site, said):
        folder = scratch / "own"
        shutil.copytree(site.authority.device("d-09", site.now), folder)
        for end in ("key", "pem"):
            (folder / f"device.{end}").rename(folder / f"broker.{end}")
        assert "is not meant for a broker" in said(folder)


class TestTheWay:
    @pytest.fixture
    def server_context(self, site):
        folder = site.authority.broker(["127.0.0.1"], site.now)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "broker.pem", folder / "broker.key")
        return context

    def test_tls_1_2_only(self, site, device, server_context):
        server_context.maximum_version = ssl.TLSVersion.TLSv1_2
        with serving(site.port, lambda sock: server_context.wrap_socket(sock, server_side=True)):
            assert "does not speak TLS 1.3" in diagnose(site.settings(device))

    def test_mqtt_without_tls(self, site, device, mosquitto):
        mosquitto(port=site.port)
        assert "no TLS on this port" in diagnose(site.settings(device))

    def test_a_web_server_without_tls(self, site, device):
        def talk(sock):
            sock.recv(4096)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with serving(site.port, talk):
            assert "does not speak TLS on this port" in diagnose(site.settings(device))

    def test_a_web_server_with_tls(self, site, device, server_context):
        def talk(sock):
            with server_context.wrap_socket(sock, server_side=True) as secret:
                secret.recv(4096)
                secret.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with serving(site.port, talk):
            assert "speaks TLS but not MQTT" in diagnose(site.settings(device))

    def test_a_connection_that_is_cut(self, site, device, server_context):
        def talk(sock):
            server_context.wrap_socket(sock, server_side=True).close()

        with serving(site.port, talk):
            assert "look into the broker's log" in diagnose(site.settings(device))

    def test_somebody_who_never_answers(self, site, device, monkeypatch):
        monkeypatch.setattr(diagnosis, "_TIMEOUT_S", 0.2)
        with serving(site.port, lambda sock: sock.recv(9999) and sock.recv(1)):
            assert "does not answer" in diagnose(site.settings(device))

    def test_nobody_there(self, site, device):
        said = diagnose(site.settings(device, port=free_port()))
        assert "cannot be reached (Connection refused)" in said

    def test_a_name_that_nobody_knows(self, site, device):
        said = diagnose(site.settings(device, host="broker.invalid"))
        assert "The broker's name broker.invalid is not known" in said

    def test_a_host_that_is_no_name(self, site, device):
        assert "cannot be reached" in diagnose(site.settings(device, host="a..b"))
