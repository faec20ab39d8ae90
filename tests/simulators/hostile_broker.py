"""A broker that does what a hostile one may: two real Mosquittos with a relay between them.

Devices talk to one, the desk to the other; nothing gets across but through the relay, which sees
every cell and may drop, hold, change, repeat and invent cells. It knows all public keys, so it can
seal for anybody; it has the private keys of nobody but itself and one device that it has bought.
What it sends beside the truth is counted by kind and can be looked up by those who receive it.
"""

import hashlib
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

import cbor2
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from device.protocol import cose
from device.protocol.cell import CELL_BYTES, seal_cell, seal_letter
from device.protocol.cose import EVENT, LETTER, Dispatch, Signed
from device.protocol.cover import Cover
from device.protocol.envelope import desk_source
from device.protocol.event import encode_event
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.keys import PrivateKeys
from device.protocol.order import Adjudication, AdjudicationData, Command, CommandData
from device.protocol.receipt import Receipt, ReceiptData
from device.protocol.status import Status, StatusData
from tests.simulators.drafts import make_draft
from tests.simulators.mosquitto import Mosquitto

TO_DESK, TO_DEVICE = "desk", "device"
KINDS = {TO_DESK: ("alert", "status", "record"), TO_DEVICE: ("receipt", "command")}
HARMLESS_IF_KNOWN = ("replay", "duplicate", "reorder", "retained", "late")
"""Authentic cells at the wrong time: they may be opened, and must change nothing."""
_KEPT = 3000
_UNBOUNDED = ("max_queued_messages 0", "max_inflight_messages 100", "max_packet_size 100000")


@dataclass(frozen=True)
class Cell:
    """to: which side it was meant for."""

    to: str
    topic: str
    payload: bytes

    @property
    def kind(self):
        return self.topic.rpartition("/")[2]


class HostileBroker:
    """chances: what happens to a cell on its way, by probability; the rest passes.

    drop: never passed on. flip: only a damaged copy passes. twice: passed, and once more. hold:
    passed on `release`, out of order. retain: passed as a retained message. doomed: payload →
    whether this one is dropped whatever the chances say.
    """

    def __init__(self, folder, rng):
        self.rng = rng
        self.chances = {}
        self.doomed = lambda _payload: False
        self.holds = lambda _cell: False
        self.seen = deque(maxlen=_KEPT)
        self.held = []
        self.sent, self.withheld = Counter(), Counter()
        self._kinds = {}
        self._lock = threading.Lock()
        self._brokers = {
            TO_DEVICE: Mosquitto(folder / "devices", _UNBOUNDED).start(),
            TO_DESK: Mosquitto(folder / "desk", _UNBOUNDED).start(),
        }
        # What is meant for the desk is heard at the devices' broker, and the other way round.
        self._clients = {
            TO_DESK: _client(self._brokers[TO_DESK].port, KINDS[TO_DEVICE], self._hears(TO_DEVICE)),
            TO_DEVICE: _client(self._brokers[TO_DEVICE].port, KINDS[TO_DESK], self._hears(TO_DESK)),
        }

    @property
    def device_port(self):
        return self._brokers[TO_DEVICE].port

    @property
    def desk_port(self):
        return self._brokers[TO_DESK].port

    def attack(self, kind, to, topic, payload, *, retain=False):
        """Send what should not be sent."""
        with self._lock:
            self.sent[kind] += 1
            self._kinds[_mark(topic, payload)] = kind
        self._publish(to, topic, payload, retain=retain)

    def kind_of(self, topic, payload):
        """Return which attack a cell is, or None for the truth."""
        with self._lock:
            return self._kinds.get(_mark(topic, payload))

    def cells(self, to, kind=None):
        """Return the true cells that were seen, old ones first."""
        with self._lock:
            return [c for c in self.seen if c.to == to and kind in (None, c.kind)]

    def release(self):
        """Pass on what was held, in any order but the right one."""
        with self._lock:
            held, self.held = self.held, []
        self.rng.shuffle(held)
        for kind, cell in held:
            self.attack(kind, cell.to, cell.topic, cell.payload)

    def be_honest(self):
        self.chances, self.holds = {}, lambda _cell: False
        self.release()

    def wait_until_sent(self):
        """Return once both brokers have taken everything."""
        for client in self._clients.values():
            while client._out_messages:
                time.sleep(0.01)

    def close(self):
        for client in self._clients.values():
            client.disconnect()
            client.loop_stop()
        for broker in self._brokers.values():
            broker.stop()

    def _hears(self, to):
        def on_message(_client, _userdata, message):
            self._pass_on(Cell(to, message.topic, bytes(message.payload)))

        return on_message

    def _pass_on(self, cell):
        with self._lock:
            self.seen.append(cell)
        if self.doomed(cell.payload):
            self.withheld["dropped for ever"] += 1
        elif self.holds(cell):
            self.held.append(("late", cell))
        else:
            getattr(self, f"_{self._way()}")(cell)

    def _way(self):
        ways = [*self.chances, "plain"]
        weights = [*self.chances.values(), 1 - sum(self.chances.values())]
        return self.rng.choices(ways, weights)[0]

    def _plain(self, cell):
        self._publish(cell.to, cell.topic, cell.payload, retain=cell.kind == "status")

    def _drop(self, cell):
        self.withheld[f"{cell.kind} dropped"] += 1

    def _flip(self, cell):
        self.attack("flip", cell.to, cell.topic, flipped(self.rng, cell.payload))

    def _twice(self, cell):
        self._plain(cell)
        self.attack("duplicate", cell.to, cell.topic, cell.payload)

    def _hold(self, cell):
        with self._lock:
            self.held.append(("reorder", cell))

    def _retain(self, cell):
        self.attack("retained", cell.to, cell.topic, cell.payload, retain=True)

    def _publish(self, to, topic, payload, *, retain):
        self._clients[to].publish(topic, payload, qos=1, retain=retain)


class Forger:
    """Makes cells that look right to anybody without the keys. devices: (topics, public keys)."""

    def __init__(self, rng, desk, devices, bought):
        self._rng = rng
        self._desk = desk
        self._devices = devices
        self._bought_topics, self._bought = bought
        self._own = PrivateKeys.generate()

    def for_desk(self, kind, topics, keys):
        """Return a message of a device to the desk, signed by somebody else."""
        if kind == "alert":
            return self._letter(self._alert(topics), keys, self._own, topics)
        message = self._status(topics) if kind == "status" else self._cover(topics)
        return self._cell(message, keys, self._desk, topics, self._own)

    def for_device(self, what, topics, keys, digest):
        """Return a message of the desk to a device, signed by somebody else."""
        message = self._order(what, topics) or self._receipt(what, topics, digest)
        return self._cell(message, self._desk, keys, topics, self._own)

    def from_bought(self, kind, topics):
        """Return topic and cell of an enrolled device that speaks for another.

        On its own topic the signature holds and the name is another's; on the other's topic the
        name fits and the signature does not.
        """
        on, of = self._rng.choice([(self._bought_topics, topics), (topics, topics)])
        signer = self._bought.public
        if kind == "alert":
            return on.of(kind), self._letter(self._alert(of), signer, self._bought, on)
        message = self._status(of)
        return on.of("status"), self._cell(message, signer, self._desk, on, self._bought)

    def _letter(self, alert, signer, key, topics):
        inner = self._signed(Signed(EVENT, encode_event(alert)), signer, self._desk, key)
        letter = seal_letter(inner, self._desk, topics.source, self._suite())
        dispatch = Dispatch(time.time_ns() // 1_000_000, delayed=False)
        content = Signed(LETTER, letter, dispatch)
        outer = self._signed(content, signer, self._desk, key)
        return seal_cell(outer, self._desk, topics.source, self._suite())

    def _cell(self, message, signer, to, topics, key):
        signed = self._signed(Signed(EVENT, encode_event(message)), signer, to, key)
        return seal_cell(signed, to, topics.source, self._suite())

    def _signed(self, content, signer, to, key):
        """Sign as `cose.sign` does, in another's name, or with what is no signature at all."""
        owns = key.public.key_id == signer.key_id
        name = self._rng.choice((signer.key_id, key.public.key_id))
        protected = cose._canonical(cose._header(content, name, to.key_id))
        signature = key.signer.sign(cose._to_be_signed(protected, content.payload))
        if not owns:
            others = (signature, signature, bytes(64), self._rng.randbytes(64))
            signature = self._rng.choice(others)
        parts = [protected, {}, content.payload, signature]
        return cose._canonical(cbor2.CBORTag(18, parts))

    def _suite(self):
        return self._rng.choice(("x25519", "mlkem768-x25519"))

    def _alert(self, topics):
        now_ns = time.time_ns()
        draft = make_draft(now_ns, source=topics.source)
        return draft.numbered(uuid7(now_ns), self._rng.randint(1, 2**20), utc_text(now_ns))

    def _status(self, topics):
        now_ns = time.time_ns() + int(60e9)
        data = StatusData("online", "comparing", connection=uuid7(now_ns))
        return Status(uuid7(now_ns), topics.source, utc_text(now_ns), data)

    def _cover(self, topics):
        now_ns = time.time_ns()
        return Cover(uuid7(now_ns), topics.source, utc_text(now_ns))

    def _receipt(self, outcome, topics, digest):
        now_ns = time.time_ns()
        data = ReceiptData(topics.source, outcome, digest if outcome != "cover" else None)
        return Receipt(uuid7(now_ns), desk_source(self._desk), utc_text(now_ns), data)

    def _order(self, action, topics):
        now_ns = time.time_ns()
        common = (uuid7(now_ns), desk_source(self._desk), utc_text(now_ns))
        number, until = self._rng.randint(1, 2**20), utc_text(now_ns + int(600e9))
        if action == "adjudicate":
            data = AdjudicationData(topics.source, number, until, uuid7(now_ns), "false alert")
            return Adjudication(*common, data)
        if action in ("suspend", "resume", "end", "revoke"):
            reference = "ref-7" if action == "revoke" else None
            data = CommandData(topics.source, number, until, action, "forged", reference)
            return Command(*common, data)
        return None


def flipped(rng, payload):
    """Flip one to three bits, anywhere."""
    damaged = bytearray(payload)
    for at in rng.sample(range(len(payload)), rng.choice((1, 1, 1, 2, 3))):
        damaged[at] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def truncated(rng, payload):
    return payload[: rng.choice((0, 1, 17, 18, 66, CELL_BYTES - 1, rng.randrange(CELL_BYTES)))]


def extended(rng, payload):
    return payload + rng.choice((b"\0", b"\xff", bytes(16), payload[:100], rng.randbytes(40)))


def spliced(rng, payload, other):
    """Return the beginning of one cell with the end of another."""
    at = rng.choice((18, 50, 1154, rng.randrange(1, CELL_BYTES)))
    return payload[:at] + other[at:]


def _client(port, kinds, on_message):
    subscribed = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "relay", protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_connect = lambda c, *_: c.subscribe([(f"passerby/v1/+/+/{k}", 1) for k in kinds])
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert subscribed.wait(10)
    return client


def _mark(topic, payload):
    return hashlib.blake2b(topic.encode() + b"\n" + payload, digest_size=16).digest()
