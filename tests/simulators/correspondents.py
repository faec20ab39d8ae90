"""A device and the far end of its correspondence, without a desk's database.

`Correspondents` are the keys of both sides, and what the desk can write. `FarEnd` opens what the
device sends on a real broker and answers with receipts.
"""

import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from device.errors import MessageError
from device.protocol.alert import Alert
from device.protocol.envelope import Envelope, desk_source
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.keys import PrivateKeys
from device.protocol.order import Adjudication, AdjudicationData, Command, CommandData
from device.protocol.receipt import Receipt, ReceiptData
from device.protocol.topics import Topics, parse_topic

TOPICS = Topics("s1", "d1")


class Correspondents:
    """A device and its desk: each side's envelope, and what the desk can write."""

    def __init__(self, topics=TOPICS, suite="mlkem768-x25519"):
        self.topics = topics
        self.device_keys, self.desk_keys = PrivateKeys.generate(), PrivateKeys.generate()
        self.device = Envelope(self.device_keys, self.desk_keys.public, topics, suite)
        self.desk = Envelope(self.desk_keys, self.device_keys.public, topics, suite)

    def receipt(self, digest, outcome="stored", now_ns=None):
        now_ns = now_ns or time.time_ns()
        source = desk_source(self.desk_keys.public)
        data = ReceiptData(self.topics.source, outcome, digest)
        return Receipt(uuid7(now_ns), source, utc_text(now_ns), data)

    def command(self, action, sequence=1, reference_id=None, now_ns=None, valid_s=600):
        now_ns = now_ns or time.time_ns()
        expires_at = utc_text(now_ns + int(valid_s * 1e9))
        return Command(
            uuid7(now_ns),
            desk_source(self.desk_keys.public),
            utc_text(now_ns),
            CommandData(self.topics.source, sequence, expires_at, action, "drill", reference_id),
        )

    def adjudication(self, alert, outcome, sequence=1, now_ns=None, valid_s=600):
        now_ns = now_ns or time.time_ns()
        expires_at = utc_text(now_ns + int(valid_s * 1e9))
        data = AdjudicationData(self.topics.source, sequence, expires_at, alert, outcome)
        source = desk_source(self.desk_keys.public)
        return Adjudication(uuid7(now_ns), source, utc_text(now_ns), data)


class FarEnd:
    """silent: gives no receipts. `heard` holds (kind, message), `alerts` the alerts."""

    def __init__(self, port, correspondents, *, silent=False, version="5", client_id="desk"):
        self.silent = silent
        self.between = correspondents
        self.heard, self.alerts, self.statuses, self.faults = [], [], [], []
        self.cells = []
        self._subscribed = threading.Event()
        protocol = MQTTProtocolVersion.MQTTv5 if version == "5" else MQTTProtocolVersion.MQTTv311
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=protocol)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_connect = lambda c, *_: c.subscribe(
            [(correspondents.topics.of(kind), 1) for kind in ("alert", "status", "record")]
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def _on_message(self, _client, _userdata, message):
        topic, payload = message.topic, bytes(message.payload)
        self.cells.append((time.time(), topic, payload))
        try:
            kind = parse_topic(topic)[1]
            opened = self.between.desk.open(payload, kind)
        except MessageError as error:
            self.faults.append(error)
            return
        self.heard.append((kind, opened.message))
        if kind == "status":
            self.statuses.append(opened.message)
            return
        if isinstance(opened.message, Alert):
            self.alerts.append(opened.message)
        if not self.silent:
            outcome = "stored" if opened.digest else "cover"
            self.send("receipt", self.between.receipt(opened.digest, outcome))

    def send(self, kind, message):
        return self._client.publish(
            self.between.topics.of(kind), self.between.desk.cell(message), qos=1
        )

    def send_raw(self, kind, payload):
        return self._client.publish(self.between.topics.of(kind), payload, qos=1)

    def sequences(self):
        return [alert.data.sequence for alert in self.alerts]

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
