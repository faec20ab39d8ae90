"""Constant cover: whoever watches at the broker cannot tell a busy device from an idle one.

Two boxes of devices (a process each, real `Courier`) and a real `Gateway` (a process) speak to a
real Mosquitto through a tap, which notes every MQTT packet in both directions: time, size, topic.
In every block of some seconds one box is idle and the other raises alerts, by lot; so what differs
between the processes, or changes with the load of the machine, falls to both sides alike.

The beat is accelerated (0.2 s instead of 10 s) and everything with it: 100 alerts an hour are 0.278
a beat, and the first wait for a receipt is three beats. One receipt in twenty is lost on the way to
the device, so that alerts are sent again.

Compared are the two arms, and, harder, the cells of the busy arm one by one: alerts against
dummies, alerts with a large picture against those without, which only this test can know. Topics,
sizes and counts must be the same; every time that the tap can measure goes through

- a Kolmogorov-Smirnov test and a test of the AUC, both by permutation: arms are swapped within
  blocks, cells are shuffled within blocks;
- the AUC itself, what a threshold on this time would gain, with a 99.9 % interval by bootstrap over
  devices and blocks, which must include 0.5.

The asymptotic p of Kolmogorov-Smirnov is printed but decides nothing between arms: a machine that
others use has bad moments, in which all samples of a process are late, and with nobody busy at all
(`--nobody`) it falls below 0.001 in up to a tenth of exchanges of labels, where 0.1 % is right. The
share is printed as "astray".

Every test is made at 0.001; with some thirty of them a device without a leak fails in 3 % of runs
(Bonferroni). That the tests see anything is shown by leaks made on purpose: each must be found.

    python -m tests.reliability.cover --work DIR [--seed N] [--quick] [--nobody]
"""

import argparse
import math
import multiprocessing
import random
import selectors
import socket
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from device.alerts import Courier, Limits, Post
from device.alerts import courier as courier_module
from device.alerts.connection import Connection
from device.protocol.cover import Cover
from device.protocol.envelope import Envelope
from device.protocol.identifiers import utc_text
from device.protocol.keys import PrivateKeys
from device.protocol.status import StatusData
from device.protocol.topics import Topics
from device.settings import AlertSettings, BrokerSettings
from tests.reliability.proof import Proof, report, say
from tests.simulators.desk import Desk
from tests.simulators.drafts import make_draft
from tests.simulators.mosquitto import Mosquitto, wait_until
from tools.desk.gateway import Gateway, answers

CLAIM = "0 and 100 alerts an hour with cover: the same topics, sizes, counts and times"
BEAT_S = 0.2
PER_BEAT = 100 / 3600 * 10
"""Alerts per beat at 100 an hour and the default beat of 10 s."""
LEVEL = 0.001
_LOSS = 0.05
_BOXES = 2
_SETTLE_BEATS = 6
"""After a change of roles, what is still under way of the block before is not counted."""
_LARGE_BYTES = 4000
_CARD_S = 0.005
_TLS_BYTES = 22
"""Of a TLS 1.3 record: header, type, tag."""
_SEGMENT_BYTES, _HEADER_BYTES = 1448, 52
"""Most in a TCP segment on Ethernet; IPv4 and TCP with time stamps."""
_TRIES, _AT_ONCE = 4000, 250
_FEWEST = 40
"""Samples on either side, below which nothing is compared."""
_SPREAD = 3.29
"""Standard errors on either side of a 99.9 % interval."""
_PUBLISH, _PUBACK = 3, 4
_COUNTS_APART = 0.5
"""Cells per block and device; a tick at the edge of a block may fall to either side."""
_WAYS = ("up", "down")


@dataclass(frozen=True)
class Size:
    """devices: per box. blocks, block_s: of the run with cover. leaks: which are tried."""

    devices: int
    blocks: int
    block_s: float
    leaks: tuple[str, ...] = ()


class Leak(NamedTuple):
    """A leak made on purpose. blocks: of its run; a finer one takes more."""

    what: str
    blocks: int


LEAKS = {
    "off": Leak("no cover at all", 2),
    "beside": Leak("an alert leaves at once, beside the beat", 4),
    "late": Leak("an alert leaves 2 ms after the beat", 4),
    "unprepared": Leak("an alert is read from a slow card after the beat, not before", 4),
    "alerts only": Leak("a receipt for alerts only", 2),
    "receipt late": Leak("the receipt of an alert comes 4 ms later", 6),
}
FULL = Size(5, 22, 5.0, tuple(LEAKS))
QUICK = Size(4, 6, 4.0, ("off", "late"))


class Packet(NamedTuple):
    """One MQTT packet. up: towards the broker. lost: it was not passed on."""

    at_s: float
    link: int
    up: bool
    kind: int
    size: int
    topic: str
    message: int
    lost: bool


class Tap:
    """A relay in front of a broker that notes every packet. loss: of receipts to devices."""

    def __init__(self, broker_port, rng, loss):
        self.packets = []
        self._broker_port, self._rng, self._loss = broker_port, rng, loss
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ, None)
        self._links, self._open = 0, True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._open = False
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    def _run(self):
        while self._open:
            for key, _ in self._selector.select(0.2):
                if key.data is None:
                    self._accept()
                else:
                    self._relay(key.fileobj, key.data)

    def _accept(self):
        client, _ = self._server.accept()
        broker = socket.create_connection(("127.0.0.1", self._broker_port))
        self._links += 1
        for one, other, up in ((client, broker, True), (broker, client, False)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(
                one, selectors.EVENT_READ, _Way(self._links, up, other, bytearray())
            )

    def _relay(self, sock, way):
        try:
            chunk = sock.recv(65_536)
        except OSError:
            chunk = b""
        at_s = time.monotonic()
        if not chunk:
            self._selector.unregister(sock)
            with suppress(OSError):
                way.other.shutdown(socket.SHUT_WR)
            return
        way.rest.extend(chunk)
        for packet in _packets(way.rest):
            kind, topic, message = _read(packet)
            receipt = kind == _PUBLISH and topic.endswith("/receipt")
            lost = not way.up and receipt and self._rng.random() < self._loss
            with suppress(OSError):
                if lost:
                    # The broker is told that the device has it.
                    sock.sendall(bytes((_PUBACK << 4, 2)) + message.to_bytes(2, "big"))
                else:
                    way.other.sendall(packet)
            self.packets.append(
                Packet(at_s, way.link, way.up, kind, len(packet), topic, message, lost)
            )


class _Way(NamedTuple):
    link: int
    up: bool
    other: socket.socket
    rest: bytearray


def _packets(rest):
    """Cut whole MQTT packets off the front of what has come."""
    while len(rest) > 1:
        length, used = 0, 1
        while used < len(rest):
            byte = rest[used]
            length |= (byte & 127) << 7 * (used - 1)
            used += 1
            if byte < 128:
                break
        else:
            return
        if len(rest) < used + length:
            return
        yield bytes(rest[: used + length])
        del rest[: used + length]


def _read(packet):
    """Return kind, topic and number of a packet."""
    kind, at = packet[0] >> 4, 2
    while packet[at - 1] > 127:
        at += 1
    if kind == _PUBLISH:
        end = at + 2 + int.from_bytes(packet[at : at + 2], "big")
        return kind, packet[at + 2 : end].decode(), int.from_bytes(packet[end : end + 2], "big")
    number = int.from_bytes(packet[at : at + 2], "big") if kind == _PUBACK else 0
    return kind, "", number


# The boxes.

_ALERTS = deque(maxlen=64)
"""The newest cells with alerts, for a leak made on purpose."""


class NotedEnvelope(Envelope):
    """An envelope that remembers what each cell was: 0 a dummy, 1 an alert, 2 a large one."""

    def note(self):
        self.cells = []
        return self

    def dispatch(self, letter, sent_ms, *, delayed):
        self.cells.append(2 if len(letter) > _LARGE_BYTES else 1)
        _ALERTS.append(super().dispatch(letter, sent_ms, delayed=delayed))
        return _ALERTS[-1]

    def cell(self, message):
        if isinstance(message, Cover):
            self.cells.append(0)
        return super().cell(message)


class CardPost(Post):
    """An outbox on a slow card: what a dummy never waits for takes some milliseconds more."""

    def _append(self, *draft, **how):
        time.sleep(_CARD_S)
        return super()._append(*draft, **how)

    def after(self, number):
        entry = super().after(number)
        time.sleep(_CARD_S if entry is not None else 0)
        return entry

    def remove(self, digest):
        time.sleep(_CARD_S)
        return super().remove(digest)


class LateConnection(Connection):
    """A leak: an alert leaves later than a dummy."""

    def publish(self, topic, payload, **how):
        if payload in _ALERTS:
            time.sleep(0.002)
        return super().publish(topic, payload, **how)


class BesideCourier(Courier):
    """A leak: an alert leaves at once, and with the beat a dummy."""

    def submit(self, draft):
        kept = super().submit(draft)
        entry = self._post.after(0)
        if self._connection is not None and entry is not None:
            cell = self._envelope.dispatch(entry.letter, 0, delayed=False)
            self._connection.publish(self._topics.of("alert"), cell)
        return kept


@dataclass(frozen=True)
class Box:
    """What a process of devices is told. plan: (from, until, busy, bursts) on the common clock."""

    folder: str
    port: int
    desk: object
    devices: tuple[tuple[str, object], ...]
    leak: str
    seed: int


def box(told, orders, answer):
    """Run devices until the plan is over. The body of a process."""
    rng = random.Random(told.seed)
    if told.leak == "late":
        courier_module.Connection = LateConnection
    running = [_device(told, name, keys) for name, keys in told.devices]
    for courier, _ in running:
        courier.start()
    wait_until(lambda: all(courier.online for courier, _ in running))
    answer.put("online")
    for from_s, until_s, busy, bursts in orders.get():
        at_s = from_s
        while (
            busy
            and told.leak != "nobody"
            and (at_s := at_s + _pause_s(rng, bursts, len(running))) < until_s
        ):
            time.sleep(max(0.0, at_s - time.monotonic()))
            one = rng.choice(running)[0]
            for _ in range(5 if bursts else 1):
                crop = rng.choice((None, rng.randbytes(1000), rng.randbytes(5000)))
                one.submit(make_draft(time.time_ns(), crop, one._topics.source))
        time.sleep(max(0.0, until_s - time.monotonic()))
    for courier, _ in running:
        courier.stop()
    answer.put({courier._topics.device: envelope.cells for courier, envelope in running})


def _pause_s(rng, bursts, devices):
    return rng.expovariate(PER_BEAT / BEAT_S * devices / (5 if bursts else 1))


def _device(told, name, keys):
    topics = Topics("s1", name)
    envelope = NotedEnvelope(keys, told.desk, topics, "mlkem768-x25519").note()
    post = CardPost(Path(told.folder) / f"{name}.sqlite", Limits(100_000_000, 86_400), envelope)
    settings = AlertSettings(
        drain_s=0,
        receipt_timeout_s=3 * BEAT_S,
        cover="off" if told.leak == "off" else "constant",
        cover_period_s=BEAT_S,
    )
    kind = BesideCourier if told.leak == "beside" else Courier
    broker = BrokerSettings("127.0.0.1", told.port, tls=False)
    courier = kind(broker, topics, settings, envelope, post)
    if told.leak == "unprepared":
        courier._ahead_s = 0.0
    courier.report(StatusData("online", "comparing"))
    return courier, envelope


def office(settings, leak, orders, answer):
    """Run the gateway until told to stop. The body of a process."""
    if leak == "receipt late":
        answers.Answers.add = _late(answers.Answers.add)
    if leak == "alerts only":
        answers.answer_to = lambda one, real=answers.answer_to: (
            None if type(one).__name__ == "Dummy" else real(one)
        )
    gateway = Gateway(settings, lambda _event: None)
    gateway.start()
    gateway.ready.wait(60)
    answer.put("ready")
    orders.get()
    gateway.stop()


def _late(add):
    """A leak: make the receipt of an alert due later."""

    def late(self, arrival, decision, device):
        letter = type(decision).__name__ == "Letter"
        add(self, replace(arrival, at_s=arrival.at_s + 0.004 * letter), decision, device)

    return late


# One run.


@dataclass
class Capture:
    """packets: of the tap. plans: of each box. cells: what each cell of a device was."""

    packets: list
    plans: list
    boxes: dict
    cells: dict


def capture(folder, size, rng, leak=""):
    """Run devices and gateway for some blocks; return what the tap saw."""
    folder.mkdir(parents=True)
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        broker = Mosquitto(folder / "broker", ("set_tcp_nodelay true",)).start()
        stack.callback(broker.stop)
        tap = stack.enter_context(closing(Tap(broker.port, rng, _LOSS)))
        desk = stack.enter_context(closing(Desk(folder, tap.port)))
        named = [
            [(f"d{box}{n}", PrivateKeys.generate()) for n in range(size.devices)]
            for box in range(_BOXES)
        ]
        for name, keys in (one for group in named for one in group):
            desk.register.add(Topics("s1", name), keys.public, utc_text(time.time_ns()))
        bodies = [(office, (desk.settings(), leak))]
        for group in named:
            told = Box(
                str(folder), tap.port, desk.keys.public, tuple(group), leak, rng.getrandbits(32)
            )
            bodies.append((box, (told,)))
        started = [_started(context, stack, body, told) for body, told in bodies]
        for _, answer in started:
            answer.get(timeout=60)
        from_s = time.monotonic() + 1.0
        plans = _plans(rng, from_s, size.block_s, size.blocks)
        for (orders, _), plan in zip(started[1:], plans, strict=True):
            orders.put(plan)
        cells = {}
        for _, answer in started[1:]:
            cells |= answer.get(timeout=60 + size.blocks * size.block_s)
        started[0][0].put("stop")
        boxes = {name: number for number, group in enumerate(named) for name, _ in group}
        return Capture(list(tap.packets), plans, boxes, cells)


def _started(context, stack, body, told):
    orders, answer = context.Queue(), context.Queue()
    process = context.Process(target=body, args=(*told, orders, answer), daemon=True)
    process.start()
    stack.callback(process.join, 10)
    return orders, answer


def _plans(rng, from_s, block_s, blocks):
    """Return a plan per box: in each block one is busy, as often one as the other, by lot."""
    turns = [number % _BOXES for number in range(blocks)]
    rng.shuffle(turns)
    return [
        [
            (from_s + n * block_s, from_s + (n + 1) * block_s, turn == box, rng.random() < 0.4)
            for n, turn in enumerate(turns)
        ]
        for box in range(_BOXES)
    ]


# What the tap can measure.


class Sample(NamedTuple):
    """One measured time. busy: the arm. cell: what the cell was, as far as that is known."""

    device: str
    block: int
    busy: bool
    cell: int | None
    value: float


def measures(seen):
    """Return samples by what was measured."""
    found = defaultdict(list)
    links = _links(seen.packets)
    for name, packets in links.items():
        if name != "gateway":
            _measure_device(seen, name, packets, found)
    _measure_gateway(seen, links["gateway"], found)
    return {what: _centred(samples) for what, samples in found.items()}


def _centred(samples):
    """Compare each device with itself only: it was in both arms, with its own place in queues."""
    values = defaultdict(list)
    for sample in samples:
        values[sample.device].append(sample.value)
    medians = {device: float(np.median(own)) for device, own in values.items()}
    return [sample._replace(value=sample.value - medians[sample.device]) for sample in samples]


def _links(packets):
    """Return the packets of each device's connection, and of the gateway's."""
    by_link, names = defaultdict(list), {}
    for packet in packets:
        by_link[packet.link].append(packet)
        if packet.topic:
            name = packet.topic.split("/")[3]
            same = names.setdefault(packet.link, name) == name
            names[packet.link] = name if same else "gateway"
    return {name: by_link[link] for link, name in names.items()}


def _measure_device(seen, name, packets, found):
    sent = [p for p in packets if p.up and p.topic.endswith("/alert")]
    cells = seen.cells[name]
    offsets = _offsets([p.at_s for p in sent])
    waiting, heard = deque(), {}
    for n, packet in enumerate(sent):
        kind = cells[n] if n < len(cells) else None
        waiting.append((packet.at_s, kind))
        _add(found, seen, "offset from the beat", name, packet.at_s, kind, offsets[n])
        if n:
            gap_s = packet.at_s - sent[n - 1].at_s
            _add(found, seen, "time between cells", name, packet.at_s, None, gap_s)
    for packet in packets:
        if packet.topic.endswith("/receipt") and waiting:
            sent_s, kind = waiting.popleft()
            if not packet.lost:
                heard[packet.message] = (packet.at_s, kind)
            _add(found, seen, "cell to receipt", name, sent_s, kind, packet.at_s - sent_s)
        elif packet.up and packet.kind == _PUBACK and packet.message in heard:
            at_s, kind = heard.pop(packet.message)
            _add(found, seen, "receipt to its answer", name, at_s, kind, packet.at_s - at_s)


def _offsets(times):
    """Return how far each is from the device's beat, whose phase is the median's."""
    if not times:
        return []
    phases = np.array(times) % BEAT_S
    centre = np.angle(np.mean(np.exp(2j * np.pi * phases / BEAT_S))) / (2 * np.pi) * BEAT_S
    return list((phases - centre + BEAT_S / 2) % BEAT_S - BEAT_S / 2)


def _measure_gateway(seen, packets, found):
    """At the gateway's own connection: from a message to its receipt."""
    waiting, counts = defaultdict(deque), Counter()
    for packet in packets:
        name = packet.topic.split("/")[3] if packet.topic else ""
        if packet.topic.endswith("/alert") and not packet.up:
            cells, n = seen.cells[name], counts[name]
            waiting[name].append((packet.at_s, cells[n] if n < len(cells) else None))
            counts[name] += 1
        elif packet.topic.endswith("/receipt") and packet.up and waiting[name]:
            at_s, kind = waiting[name].popleft()
            _add(found, seen, "gateway's answer", name, at_s, kind, packet.at_s - at_s)


def _add(found, seen, what, name, at_s, kind, value):  # noqa: PLR0913, PLR0917 - a row
    settle_s = _SETTLE_BEATS * BEAT_S
    for block, (from_s, until_s, busy, _) in enumerate(seen.plans[seen.boxes[name]]):
        if from_s + settle_s <= at_s < until_s:
            found[what].append(Sample(name, block, busy, kind, value))


def shape(seen):
    """Return topics, sizes and counts of each arm: what must be equal, not only alike."""
    arms = {busy: {"topics": set(), "sizes": set()} for busy in (False, True)}
    counts = {busy: [] for busy in (False, True)}
    for name, packets in _links(seen.packets).items():
        if name == "gateway":
            continue
        for from_s, until_s, busy, _ in seen.plans[seen.boxes[name]]:
            inside = [p for p in packets if from_s + _SETTLE_BEATS * BEAT_S <= p.at_s < until_s]
            arms[busy]["topics"] |= {p.topic.replace(name, "+") for p in inside if p.topic}
            arms[busy]["sizes"] |= {
                (p.up, p.kind, p.topic.rpartition("/")[2], p.size) for p in inside
            }
            counts[busy].append(sum(p.topic.endswith("/alert") for p in inside))
    return arms, counts


# Statistics.


def ks_p(distance, one, other):
    """Return p of a Kolmogorov-Smirnov distance, asymptotically (Stephens 1970). Two counts."""
    x = _scaled(one, other) * distance
    if x < 0.2:
        return 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return min(1.0, max(0.0, sum(terms)))


def _scaled(one, other):
    n = np.sqrt(one * other / (one + other))
    return n + 0.12 + 0.11 / n


def ks_distances(ordered):
    """Return the distance for each row of labels, which stand in the order of their values."""
    ones = np.cumsum(ordered, axis=-1, dtype=np.int32)
    places, counts = np.arange(1, ordered.shape[-1] + 1), ones[..., -1:]
    zeros = (places - ones) / (ordered.shape[-1] - counts)
    return np.max(np.abs(ones / counts - zeros), axis=-1)


def ranks_of(values):
    """Return ranks from 1, ties in the middle."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def aucs(ranks, labels):
    """Return, for each row of labels, how often a labelled value is the greater of a pair."""
    ones = labels.sum(axis=-1)
    return (labels @ ranks - ones * (ones + 1) / 2) / (ones * (labels.shape[-1] - ones))


@dataclass(frozen=True)
class Verdict:
    """Of one time in one comparison. counts: of both sides. shift_us: between the medians.

    asymptotic: p of Kolmogorov-Smirnov as if all samples were independent. astray: how often that p
    is below LEVEL when labels are exchanged, so that there is nothing to find. ks, permutation: p
    of its distance and of the AUC among such exchanges.
    """

    counts: tuple[int, int]
    asymptotic: float
    astray: float
    ks: float
    permutation: float
    auc: float
    low: float
    high: float
    shift_us: float

    @property
    def told(self):
        """Whether the sides can be told from each other."""
        p = min(self.ks, self.permutation)
        return bool(p <= LEVEL or not self.low <= 0.5 <= self.high)

    def line(self):
        return (
            f"n {self.counts[0]}+{self.counts[1]}, KS p {self.ks:.4f} (asymptotic "
            f"{self.asymptotic:.4f}, astray {self.astray:.1%}), permutation p "
            f"{self.permutation:.4f}, AUC {self.auc:.3f} [{self.low:.3f}, {self.high:.3f}], "
            f"medians {self.shift_us:+.0f} us apart{'  TOLD' if self.told else ''}"
        )


def compare(samples, labels, rng, *, swap):
    """Compare two sides. swap: whole sides are exchanged within a block, else single samples."""
    values, labels = np.array([sample.value for sample in samples]), np.array(labels, dtype=bool)
    ranks, order = ranks_of(values), np.argsort(values, kind="stable")
    counts = int((~labels).sum()), int(labels.sum())
    distance, area = float(ks_distances(labels[order])), float(aucs(ranks, labels))
    blocks = np.array([sample.block for sample in samples])
    far, near = [], []
    for exchanged in _exchanges(labels, blocks, rng, swap=swap):
        far.append(ks_distances(exchanged[:, order]))
        near.append(np.abs(aucs(ranks, exchanged) - 0.5))
    far, near = np.concatenate(far), np.concatenate(near)
    spread = _SPREAD * _deviation(samples, ranks, labels, rng, swap=swap)
    return Verdict(
        counts,
        ks_p(distance, *counts),
        float(np.mean(far * _scaled(*counts) > math.sqrt(-math.log(LEVEL / 2) / 2))),
        (np.count_nonzero(far >= distance - 1e-12) + 1) / (len(far) + 1),
        (np.count_nonzero(near >= abs(area - 0.5) - 1e-12) + 1) / (len(near) + 1),
        area,
        area - spread,
        area + spread,
        1e6 * float(np.median(values[labels]) - np.median(values[~labels])),
    )


def _exchanges(labels, blocks, rng, *, swap):
    """Yield rows of labels as they would be if they meant nothing."""
    for _ in range(_TRIES // _AT_ONCE):
        rows = np.tile(labels, (_AT_ONCE, 1))
        for block in np.unique(blocks):
            part = blocks == block
            if swap:
                rows[:, part] ^= rng.random((_AT_ONCE, 1)) < 0.5
            else:
                rows[:, part] = rng.permuted(rows[:, part], axis=1)
        yield rows


def _deviation(samples, ranks, labels, rng, *, swap):
    """Return the standard error of the AUC by bootstrap over what is independent."""
    units, areas = defaultdict(list), []
    for n, sample in enumerate(samples):
        # Devices of one box share a process, and so its bad moments.
        units[sample.device[:2] if swap else sample.device, sample.block].append(n)
    units = [np.array(unit) for unit in units.values()]
    for _ in range(400):
        picked = np.concatenate([units[n] for n in rng.integers(len(units), size=len(units))])
        if 0 < labels[picked].sum() < len(picked):
            areas.append(aucs(ranks_of(ranks[picked]), labels[picked]))
    return float(np.std(areas))


def judge(found, seed):
    """Return verdicts by comparison and time."""
    rng = np.random.default_rng(seed)
    verdicts = {}
    for what, samples in sorted(found.items()):
        sides = {
            "busy against idle": (samples, [s.busy for s in samples], True),
            "alert against dummy": _sides([s for s in samples if s.busy], lambda s: s.cell > 0),
            "large against small": _sides([s for s in samples if s.cell], lambda s: s.cell > 1),
        }
        for name, (chosen, labels, swap) in sides.items():
            if min(labels.count(True), labels.count(False)) >= _FEWEST:
                verdicts[f"{name}, {what}"] = compare(chosen, labels, rng, swap=swap)
    return verdicts


def _sides(samples, label):
    known = [sample for sample in samples if sample.cell is not None]
    return known, [label(sample) for sample in known], False


# The proof.


@dataclass(frozen=True)
class Finding:
    """Of one run. told: what tells the arms apart. beat: bytes of one beat, up and down."""

    told: list
    verdicts: dict
    cells: tuple[int, int]
    sizes: dict
    topics: list
    beat: dict

    @property
    def worst(self):
        """Return the smallest p, and the AUC that is farthest from 0.5."""
        ps = [min(v.ks, v.permutation) for v in self.verdicts.values()]
        areas = [v.auc for v in self.verdicts.values()]
        return min(ps), max(areas, key=lambda one: abs(one - 0.5))


def look(folder, size, seed, leak=""):
    """Run once and compare."""
    seen = capture(folder, size, random.Random(seed), leak)
    arms, counts = shape(seen)
    verdicts = judge(measures(seen), seed)
    told = [name for name, verdict in verdicts.items() if verdict.told]
    told += [f"other {what}" for what in ("topics", "sizes") if arms[0][what] != arms[1][what]]
    if abs(np.mean(counts[0]) - np.mean(counts[1])) > _COUNTS_APART:
        told.append("other counts")
    if not leak and any(len(seen.cells[name]) != _sent(seen, name) for name in seen.boxes):
        told.append("cells that are not accounted for")
    sizes = {
        f"{'up' if up else 'down'} {topic or 'acknowledgement'}": size
        for up, _, topic, size in sorted(arms[0]["sizes"] | arms[1]["sizes"])
    }
    topics = sorted(arms[0]["topics"] | arms[1]["topics"])
    cells = (sum(counts[0]), sum(counts[1]))
    return Finding(told, verdicts, cells, sizes, topics, _beat(seen))


def _sent(seen, name):
    packets = _links(seen.packets)[name]
    return sum(p.up and p.topic.endswith("/alert") for p in packets)


def _beat(seen):
    """Return what a beat costs, from the capture: MQTT, then TLS and TCP/IP around it."""
    beats, mqtt, wire = 0, Counter(), Counter()
    for name, packets in _links(seen.packets).items():
        for packet in packets if name != "gateway" else ():
            beats += packet.up and packet.topic.endswith("/alert")
            way, other = ("up", "down") if packet.up else ("down", "up")
            segments = math.ceil((packet.size + _TLS_BYTES) / _SEGMENT_BYTES)
            mqtt[way] += packet.size
            wire[way] += packet.size + _TLS_BYTES + segments * _HEADER_BYTES
            # One acknowledgement for two segments.
            wire[other] += math.ceil(segments / 2) * _HEADER_BYTES
    beats = max(1, beats)
    return {
        f"{layer} {way}": round(found[way] / beats)
        for layer, found in (("MQTT", mqtt), ("wire", wire))
        for way in ("up", "down")
    }


def traffic(beat):
    """Return MB per day, up and down, by period."""
    return {
        period_s: tuple(round(beat[f"wire {way}"] * 86_400 / period_s / 1e6, 1) for way in _WAYS)
        for period_s in (1, 5, 10, 30, 60)
    }


def _tell(name, found):
    say(f"  {name}: {found.cells[0]} + {found.cells[1]} cells")
    for what, verdict in found.verdicts.items():
        say(f"    {what}: {verdict.line()}")
    for what in found.told:
        say(f"    told by: {what}")


def prove(options):
    """See `tests.reliability.proof`."""
    size = QUICK if options.quick else FULL
    started_s, work = time.monotonic(), Path(options.work) / "cover"
    if getattr(options, "nobody", False):
        size = replace(size, leaks=())
        covered = look(work / "nobody", size, options.seed, "nobody")
    else:
        covered = look(work / "constant", size, options.seed)
    _tell("constant cover", covered)
    leaks = {}
    for leak in size.leaks:
        small = replace(size, blocks=LEAKS[leak].blocks, block_s=4.0)
        found = look(work / leak.replace(" ", "-"), small, options.seed, leak)
        say(f"  leak, {LEAKS[leak].what}: told by {found.told or 'nothing'}")
        leaks[leak] = len(found.told)
    say("  period (s)   MB a day up   down")
    for period_s, (up, down) in traffic(covered.beat).items():
        say(f"  {period_s:10d} {up:12.1f} {down:7.1f}")
    figures = {
        "beat_s": BEAT_S,
        "alerts_per_beat": round(PER_BEAT, 3),
        "cells_idle": covered.cells[0],
        "cells_busy": covered.cells[1],
        "comparisons": len(covered.verdicts),
        "smallest_p": round(covered.worst[0], 4),
        "auc_farthest_from_half": round(covered.worst[1], 3),
        "told_by": covered.told,
        "sizes": covered.sizes,
        "topics": covered.topics,
        "leaks_on_purpose": f"{sum(map(bool, leaks.values()))} of {len(leaks)} found",
        "findings_by_leak": leaks,
        "bytes_per_beat": covered.beat,
        "MB_per_day_up_down_by_period_s": traffic(covered.beat),
        "verdicts": {name: verdict.line() for name, verdict in covered.verdicts.items()},
        "seconds": round(time.monotonic() - started_s),
    }
    return Proof("cover", CLAIM, not covered.told and all(leaks.values()), figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--nobody", action="store_true", help="no alerts at all, for comparison")
    proof = prove(parser.parse_args())
    say(f"{'PASS' if proof.held else 'FAIL'}  {proof.name}: {proof.claim}")
    sys.stdout.write(report([proof]))
    return 0 if proof.held else 1


if __name__ == "__main__":
    sys.exit(main())
