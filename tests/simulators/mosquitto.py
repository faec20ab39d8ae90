"""A real Mosquitto in a folder of its own, and a consumer that keeps what it receives."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PROGRAM = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_until(condition, timeout_s=60.0, what="the condition"):
    """Wait for something to happen; a bound against hanging, not a measure of speed."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about within {timeout_s} s")
        time.sleep(0.02)


class Mosquitto:
    """extra: further lines of mosquitto.conf. anonymous: whether clients need no name.

    whole: a whole mosquitto.conf instead, which listens on `port` of 127.0.0.1.
    """

    def __init__(self, folder, extra=(), *, anonymous=True, port=None, whole=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._conf = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'true' if anonymous else 'false'}",
            *extra,
        ]
        if whole is not None:
            lines = whole.splitlines()
        # Started by root it would become another user, who may not read the test's folder.
        lines += ["user root"] if os.geteuid() == 0 else []
        self._conf.write_text("\n".join(lines) + "\n")
        self._process = None

    def start(self):
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-c", str(self._conf)], stdout=log, stderr=log
            )
        wait_until(self._listens, what=f"mosquitto ({self._log.read_text()})")
        return self

    def freeze(self):
        """Stop the process where it stands: what is sent to it now it never takes."""
        self._process.send_signal(signal.SIGSTOP)

    def signal(self, number):
        self._process.send_signal(number)

    def log(self):
        return self._log.read_text()

    def kill(self):
        self._process.kill()
        self._process.wait()

    def stop(self):
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)

    def _listens(self):
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0


class Listener:
    """Subscribes to everything of Passerby with MQTT 5; `messages` holds (topic, message)."""

    def __init__(self, port, client_id="listener", topic="passerby/#", *, persistent=False):
        self.messages = []
        self._subscribed = threading.Event()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.on_message = lambda _c, _u, message: self.messages.append(message)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_connect = lambda c, *_: c.subscribe(topic, qos=1)
        self._client.reconnect_delay_set(1, 1)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600 if persistent else 0
        self._client.connect("127.0.0.1", port, clean_start=not persistent, properties=properties)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def of(self, kind):
        return [m for m in list(self.messages) if m.topic.endswith(f"/{kind}")]

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
