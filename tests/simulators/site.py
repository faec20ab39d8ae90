"""A site as a technician sets it up: our authority, our broker configuration, a real Mosquitto."""

import shutil
import socket
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt

from device.settings import BrokerSettings
from tests.simulators.mosquitto import free_port, wait_until
from tools.field.pki import Authority

CONFIGURATION = Path(__file__).resolve().parents[2] / "firmware_config/broker"
_CONNECT = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x1e\x00\x06knocks"
_ACCEPTED = b"\x20\x02\x00\x00"


class Site:
    """An authority in `folder`, and the broker's copy of its files in `folder/etc`."""

    def __init__(self, folder):
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.authority = Authority.create(folder / "pki", self.now)
        self.port = free_port()
        self._etc = folder / "etc"
        self._lib = folder / "lib"
        self._lib.mkdir()

    def configuration(self, broker=None):
        """Return our mosquitto.conf for this site's folders. broker: folder of its certificate."""
        broker = broker or self.authority.broker(["127.0.0.1"], self.now, renew=True)
        shutil.copytree(broker, self._etc, dirs_exist_ok=True)
        shutil.copy(CONFIGURATION / "acl", self._etc)
        self.bring_list()
        text = (CONFIGURATION / "mosquitto.conf").read_text()
        for ours, theirs in (
            ("/etc/mosquitto/passerby/", f"{self._etc}/"),
            ("/var/lib/mosquitto/", f"{self._lib}/"),
            ("\nlistener 8883\n", f"\nlistener {self.port} 127.0.0.1\n"),
        ):
            assert ours in text
            text = text.replace(ours, theirs)
        return text

    def bring_list(self):
        """Bring the revocation list to the broker, which must then read it."""
        shutil.copy(self.authority.folder / "crl.pem", self._etc)

    def settings(self, folder=None, **changes):
        """Return the [broker] settings of a device with the certificate in `folder`."""
        values = {"host": "127.0.0.1", "port": self.port}
        values["ca_file"] = str(self.authority.folder / "ca.pem")
        if folder is not None:
            stem = next(folder.glob("*.key")).stem
            values["certificate_file"] = str(folder / f"{stem}.pem")
            values["key_file"] = str(folder / f"{stem}.key")
        return BrokerSettings(**(values | changes))

    def context(self, folder=None):
        """Return TLS as any client would set it up, not as the device does."""
        settings = self.settings(folder)
        context = ssl.create_default_context(cafile=settings.ca_file)
        if folder is not None:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
        return context

    def lets_in(self, context):
        """Return whether the broker takes an MQTT connection over this TLS."""
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), 10) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
            ):
                sock.sendall(_CONNECT)
                return sock.recv(4) == _ACCEPTED
        except OSError:
            return False


class Client:
    """A client with a certificate that keeps what it receives and what became of its messages."""

    def __init__(self, site, folder, *subscriptions):
        self.messages = []
        self.answers = {}
        self.ended = threading.Event()
        self._connected = threading.Event()
        self._subscribed = threading.Event()
        self._client = client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
            client_id=f"client-{id(self)}",
        )
        client.tls_set_context(site.context(folder))
        client.on_connect = lambda *_: self._connected.set()
        client.on_disconnect = lambda *_: self.ended.set()
        client.on_message = lambda _c, _u, one: self.messages.append((one.topic, one.payload))
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_publish = lambda _c, _u, number, code, _p: self.answers.update({number: code})
        client.connect("127.0.0.1", site.port)
        client.loop_start()
        wait_until(self._connected.is_set, what="the connection")
        if subscriptions:
            client.subscribe([(topic, mqtt.SubscribeOptions(qos=1)) for topic in subscriptions])
            wait_until(self._subscribed.is_set, what="the subscription")

    def publish(self, topic, payload=b"x"):
        """Publish and return the broker's answer, which says little about delivery."""
        number = self._client.publish(topic, payload, qos=1).mid
        wait_until(lambda: number in self.answers, what="the answer to a publish")
        return self.answers[number].getName()

    def send(self, topic, payload):
        """Publish without waiting for an answer."""
        self._client.publish(topic, payload, qos=1)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
