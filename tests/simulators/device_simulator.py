"""A device at the other end of the protocol: seals what it is told, keeps what it is answered.

It has the real envelope and a real MQTT client, and neither camera nor outbox: a test says what
goes out, and how often.
"""

import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from device.alerts.maker import AlertMaker, Circumstances
from device.errors import MessageError
from device.matching import Confirmed
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.cover import Cover
from device.protocol.envelope import Envelope
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.keys import PrivateKeys
from device.protocol.record import Record, RecordData
from device.protocol.status import Status, StatusData
from device.protocol.topics import Topics
from tests.simulators.mosquitto import wait_until


class DeviceSimulator:
    """desk: the desk's public keys. keys: the device's own; None: new ones."""

    def __init__(self, desk, site="s1", device="d1", keys=None, suite="x25519"):
        self.topics = Topics(site, device)
        self.keys = keys or PrivateKeys.generate()
        self.envelope = Envelope(self.keys, desk, self.topics, suite)
        self.epoch = uuid7(time.time_ns())
        self.connection = uuid7(time.time_ns())
        self.sequence = 0
        self.receipts = []
        self.orders = []
        self.faults = []
        self.username = None
        self._client = None

    def alert(self, sequence=None, captured_ns=None, crop=b"\xff\xd8jpeg"):
        """Return a new alert and its letter."""
        self.sequence = sequence or self.sequence + 1
        circumstances = Circumstances(
            self.topics.source,
            ListVersion("list-1", 3),
            [ModelHash("embedder", "e", "ab" * 32)],
            "threshold-1",
            (0.55, 0.65),
            demonstration=True,
            attack_detection="no PAD",
        )
        now_ns = time.time_ns()
        draft = AlertMaker(circumstances, time.time_ns).draft(
            Confirmed("ref-7", 0.61, 0.2, 2, 0.87), captured_ns or now_ns, crop
        )
        alert = draft.numbered(self.epoch, self.sequence, utc_text(now_ns))
        return alert, self.envelope.letter(alert)

    def sent(self, letter, *, delayed=False):
        return self.envelope.dispatch(letter, time.time_ns() // 1_000_000, delayed=delayed)

    def cover(self):
        now_ns = time.time_ns()
        return self.envelope.cell(Cover(uuid7(now_ns), self.topics.source, utc_text(now_ns)))

    def record(self):
        now_ns = time.time_ns()
        data = RecordData("unknown", "unknown", None, 10, "threshold-1", 5, 4, "unknown", 1)
        record = Record(uuid7(now_ns), self.topics.source, utc_text(now_ns), data)
        return record, self.envelope.letter(record)

    def status(self, link="online", time_ns=None, **data):
        now_ns = time_ns or time.time_ns()
        data = StatusData(link, "comparing", connection=self.connection, **data)
        return Status(uuid7(now_ns), self.topics.source, utc_text(now_ns), data)

    def connect(self, port, version=5):
        protocol = MQTTProtocolVersion.MQTTv5 if version == 5 else MQTTProtocolVersion.MQTTv311
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, f"sim-{self.topics.device}", protocol=protocol
        )
        subscribed = threading.Event()
        client.on_message = self._on_message
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_connect = lambda c, *_: c.subscribe(
            [(self.topics.of("receipt"), 1), (self.topics.of("command"), 1)]
        )
        client.reconnect_delay_set(1, 1)
        if self.username:
            client.username_pw_set(self.username)
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert subscribed.wait(20)
        self._client = client
        return self

    def publish(self, kind, cell, *, retain=False):
        return self._client.publish(self.topics.of(kind), cell, qos=1, retain=retain)

    def send_alert(self, **options):
        alert, letter = self.alert(**options)
        self.publish("alert", self.sent(letter))
        return alert

    def say(self, status):
        self.publish("status", self.envelope.cell(status), retain=True)
        return status

    def outcomes(self):
        return [receipt.data.outcome for receipt in list(self.receipts)]

    def wait_for(self, count, timeout_s=60.0):
        wait_until(
            lambda: len(self.receipts) >= count, timeout_s, f"{count} receipts ({self.receipts})"
        )

    def close(self):
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _on_message(self, _client, _userdata, message):
        kind = message.topic.rpartition("/")[2]
        try:
            opened = self.envelope.open(bytes(message.payload), kind).message
            (self.receipts if kind == "receipt" else self.orders).append(opened)
        except MessageError as error:
            self.faults.append(error)
