"""A hostile broker: nothing that it sends is accepted, and what it withholds is seen.

Real devices (`Courier`, `Post`, `Obedience`) and a real `Gateway` with SQLite have
`HostileBroker` between them. The claim is judged by what came about, not by error messages:

- the desk's database holds the alerts that devices raised, field by field, and no others;
- no letter left an outbox that the desk had not committed; none was set aside;
- every order obeyed was given by the desk, in its order, once, in time;
- the status that the desk believes never goes back;
- no altered or forged cell was opened by either side (each one sent is looked up).

    python -m tests.reliability.hostile --work DIR [--seed N] [--quick]
"""

import argparse
import dataclasses
import logging
import random
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from device.alerts import Courier, Limits, Post
from device.notebook import Notebook
from device.obedience import Obedience
from device.protocol.alert import decode_alert, encode_alert
from device.protocol.envelope import Envelope, digest_of
from device.protocol.event import encode_event
from device.protocol.identifiers import utc_ns, utc_text
from device.protocol.keys import PrivateKeys
from device.protocol.status import StatusData
from device.protocol.topics import Topics
from device.settings import AlertSettings, BrokerSettings
from tests.reliability.proof import Proof, report, say
from tests.simulators.desk import Desk
from tests.simulators.drafts import make_draft
from tests.simulators.hostile_broker import (
    HARMLESS_IF_KNOWN,
    KINDS,
    TO_DESK,
    TO_DEVICE,
    Forger,
    HostileBroker,
    extended,
    flipped,
    spliced,
    truncated,
)
from tests.simulators.mosquitto import wait_until
from tools.desk.gateway.deliveries import open_gaps
from tools.desk.gateway.intake import Dropped
from tools.desk.gateway.orderbook import Orders
from tools.desk.gateway.tables import alerts, orders, statuses

CLAIM = "0 accepted, gaps reported"
_CHANCES = {"drop": 0.15, "flip": 0.1, "twice": 0.1, "hold": 0.1, "retain": 0.1}
_FORGED_FOR_DEVICE = (
    "stored", "refused", "cover", "suspend", "resume", "end", "revoke", "adjudicate",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Size:
    """rounds: of alerts, orders and attacks. attacks: per round, beside those on the traffic."""

    rounds: int
    attacks: int


QUICK, FULL = Size(4, 120), Size(40, 300)


class Violations:
    """What must not happen, by kind, with an example of each."""

    def __init__(self):
        self.counts, self.examples = Counter(), {}

    def add(self, what, example):
        self.counts[what] += 1
        self.examples.setdefault(what, str(example))


class Watched:
    """What both sides are watched for. oracle: hash of a sent cell → the letter that is in it."""

    def __init__(self, broker):
        self.broker = broker
        self.violations = Violations()
        self.opened, self.decided = Counter(), Counter()
        self.letters = {}
        self.markers = set()

    def judge(self, side, topic, payload, what):
        """Note that something was opened; only the truth may be, at whatever time."""
        kind = self.broker.kind_of(topic, payload)
        if kind is not None and kind not in HARMLESS_IF_KNOWN:
            self.violations.add(f"{kind} accepted by the {side}", what)


class WatchedEnvelope(Envelope):
    """A device's envelope whose cells and openings are noted."""

    def watch(self, watched, topics):
        self._watched, self._of = watched, topics
        self.statuses = {}
        return self

    def dispatch(self, letter, sent_ms, *, delayed):
        cell = super().dispatch(letter, sent_ms, delayed=delayed)
        self._watched.letters[digest_of(cell)] = digest_of(letter)
        return cell

    def cell(self, message):
        if message.type.startswith("passerby.status"):
            self.statuses[message.id] = len(self.statuses)
        return super().cell(message)

    def open(self, cell, kind):
        topic = self._of.of(kind)
        self._watched.opened[topic] += 1
        self._watched.markers.discard((topic, digest_of(cell)))
        opened = super().open(cell, kind)
        self._watched.judge("device", topic, cell, opened.message)
        return opened


class WatchedPost(Post):
    """An outbox that says when a letter goes without the desk having it."""

    def watch(self, desk, violations):
        self._desk, self._violations = desk, violations
        return self

    def remove(self, digest):
        if self.find(digest) is not None and not _committed(self._desk, digest):
            self._violations.add("letter removed that the desk has not", digest)
        return super().remove(digest)

    def bury(self, digest, reason):
        if self.find(digest) is not None:
            self._violations.add("letter set aside", digest)
        super().bury(digest, reason)


class WatchedIntake:
    """The gateway's rules, whose decisions are noted."""

    def __init__(self, intake, watched):
        self._intake, self._watched = intake, watched

    def decide(self, topic, payload, known):
        decision = self._intake.decide(topic, payload, known)
        self._watched.decided[type(decision).__name__] += 1
        self._watched.markers.discard((topic, digest_of(payload)))
        # "Damaged" says that a known device signed it: the bought one did, and only it is told.
        if not isinstance(decision, Dropped) and decision.source != "urn:passerby:s1:bought":
            self._watched.judge("desk", topic, payload, decision)
        return decision


class Device:
    """A device without a camera, in a folder that outlives it."""

    def __init__(self, name, folder, desk, watched, cover):
        self.topics = Topics("s1", name)
        self.keys = PrivateKeys.generate()
        self.raised, self.obeyed = {}, []
        self.restarts = -1
        self._folder, self._desk, self._watched, self._cover = folder / name, desk, watched, cover
        self._folder.mkdir()
        self._envelope = WatchedEnvelope(
            self.keys, desk.keys.public, self.topics, "mlkem768-x25519"
        ).watch(watched, self.topics)
        self.running = False

    def start(self):
        self.restarts += 1
        post = WatchedPost(
            self._folder / "outbox.sqlite", Limits(100_000_000, 86_400), self._envelope
        )
        self.post = post.watch(self._desk, self._watched.violations)
        notebook = Notebook(self._folder)
        self.obedience = Obedience(self._folder, self.topics.source, notebook)
        broker = BrokerSettings("127.0.0.1", self._watched.broker.device_port, tls=False)
        cover = {"cover": "constant", "cover_period_s": 0.1} if self._cover else {"cover": "off"}
        settings = AlertSettings(drain_s=0, receipt_timeout_s=0.2, **cover)
        self.courier = Courier(
            broker,
            self.topics,
            settings,
            self._envelope,
            self.post,
            on_order=self.obedience.take,
            on_refusal=self.obedience.refuse,
        )
        self.courier.report(StatusData("online", "comparing"))
        self.courier.start()
        self.running = True

    def stop(self):
        if self.running:
            self.running = False
            self.courier.stop()

    def restart(self):
        self.stop()
        self.start()

    def raise_alert(self, crop):
        """Hand an alert to the outbox and keep a copy for comparison."""
        draft = make_draft(time.time_ns(), crop, self.topics.source)

        def numbered(*number):
            alert = draft.numbered(*number)
            self.raised[alert.id] = alert
            return alert

        assert self.courier.submit(dataclasses.replace(draft, numbered=numbered))

    def waiting(self):
        """Return the digests in the outbox."""
        found, number = [], 0
        while (entry := self.post.after(number)) is not None:
            number = entry.number
            found.append(entry.digest)
        return found

    def turn(self):
        """Obey what has come, as the processing thread does, and tell the desk."""
        if not self.running:
            return
        before_ns = time.time_ns()
        for order in self.obedience.obey():
            self.obeyed.append(order)
            if before_ns >= utc_ns(order.data.expires_at):
                self._watched.violations.add("order obeyed too late", order)
        last = self.obedience.standing.last_order
        self.courier.report(StatusData("online", "comparing", last_order=last))

    def place_of(self, status):
        """Return how many statuses this device made before this one; None: it is not its own."""
        return self._envelope.statuses.get(status)


class Scene:
    """Everything together."""

    def __init__(self, folder, seed):
        self.rng = random.Random(seed)
        self.broker = HostileBroker(folder, self.rng)
        self.watched = Watched(self.broker)
        self.violations = self.watched.violations
        (folder / "office").mkdir()
        self.desk = Desk(folder / "office", self.broker.desk_port)
        self.devices = [
            Device("d1", folder, self.desk, self.watched, cover=False),
            Device("d2", folder, self.desk, self.watched, cover=True),
            Device("d3", folder, self.desk, self.watched, cover=False),
        ]
        bought = (Topics("s1", "bought"), PrivateKeys.generate())
        known = [(one.topics, one.keys.public) for one in self.devices]
        for topics, keys in [*known, (bought[0], bought[1].public)]:
            self.desk.register.add(topics, keys, utc_text(time.time_ns()))
        self.forger = Forger(self.rng, self.desk.keys.public, known, bought)
        self.orders = Orders(self.desk.database)
        self.gateway, self.gateway_starts = None, 0
        self.doomed, self.named = set(), 0
        self.broker.doomed = lambda cell: self.watched.letters.get(digest_of(cell)) in self.doomed
        self._places = {}
        self.start_gateway()
        for device in self.devices:
            device.start()
        self.wait(lambda: all(d.courier.online for d in self.devices), "the devices")

    def start_gateway(self):
        if self.gateway is not None:
            self.gateway.stop()
        self.gateway = self.desk.gateway(lambda _event: None, wait=False, resend_orders_s=0.5)
        work = self.gateway._work
        work._intake = WatchedIntake(work._intake, self.watched)
        self.gateway_starts += 1
        self.wait(self.gateway.ready.is_set, "the gateway")

    def wait(self, condition, what):
        """Wait while the devices go on."""

        def done():
            for device in self.devices:
                device.turn()
            return condition()

        wait_until(done, 120, what)

    def order(self, device, action, valid_s=600):
        reference = "ref-7" if action == "revoke" else None
        return self.orders.command(
            self.desk.keys.public, device.topics.source, valid_s, action, "drill", reference
        )

    def settle(self):
        """Wait until both sides have dealt with all that was sent before."""
        self.broker.wait_until_sent()
        for topic, payload in self._markers():
            self.watched.markers.add((topic, digest_of(payload)))
            self.broker.attack(
                "noise",
                TO_DESK if topic.rpartition("/")[2] in KINDS[TO_DESK] else TO_DEVICE,
                topic,
                payload,
            )
        self.wait(lambda: not self.watched.markers, "the end of the queue")
        for device in self.devices:
            device.turn()

    def _markers(self):
        for device in self.devices:
            for kind in ("alert", "status", *(KINDS[TO_DEVICE] if device.running else ())):
                yield device.topics.of(kind), self.rng.randbytes(12_288)

    def close(self):
        for device in self.devices:
            device.stop()
        self.desk.close()
        self.broker.close()

    # What the broker does of its own.

    def attack(self):
        """Send one cell that should not be sent."""
        ways = (
            self._replay, self._replay, self._bend, self._bend, self._elsewhere, self._other_kind,
            self._forge_for_desk, self._forge_for_device, self._forge_for_device, self._buy,
            self._reflect,
        )  # fmt: skip
        self.rng.choice(ways)()

    def _old(self, to=None):
        to = to or self.rng.choice((TO_DESK, TO_DEVICE))
        cells = self.broker.cells(to) or self.broker.cells(TO_DESK)
        return self.rng.choice(cells)

    def _replay(self):
        cell = self._old()
        retain = self.rng.random() < 0.2
        kind = "retained" if retain else "replay"
        self.broker.attack(kind, cell.to, cell.topic, cell.payload, retain=retain)

    def _bend(self):
        cell, other = self._old(), self._old()
        kind, payload = self.rng.choice((
            ("flip", flipped(self.rng, cell.payload)),
            ("flip", flipped(self.rng, cell.payload)),
            ("truncate", truncated(self.rng, cell.payload)),
            ("extend", extended(self.rng, cell.payload)),
            ("splice", spliced(self.rng, cell.payload, other.payload)),
        ))  # fmt: skip
        if payload not in {cell.payload, other.payload}:
            self.broker.attack(kind, cell.to, cell.topic, payload)

    def _elsewhere(self):
        """On another device's topic: receipts of one to another among them."""
        cell = self._old()
        own = cell.topic.split("/")[3]
        device = self.rng.choice([d for d in self.devices if d.topics.device != own])
        topic = device.topics.of(cell.kind)
        self.broker.attack("other device's topic", cell.to, topic, cell.payload)

    def _other_kind(self):
        cell = self._old()
        # An alert's topic carries dummies too, a status's nothing but a status.
        kind = self.rng.choice([k for k in KINDS[cell.to] if k != cell.kind])
        topic = cell.topic.rpartition("/")[0] + f"/{kind}"
        self.broker.attack("other kind of topic", cell.to, topic, cell.payload)

    def _reflect(self):
        """Give a side its own cells back."""
        cell = self._old()
        to = TO_DEVICE if cell.to == TO_DESK else TO_DESK
        topic = cell.topic.rpartition("/")[0] + f"/{self.rng.choice(KINDS[to])}"
        self.broker.attack("reflect", to, topic, cell.payload)

    def _forge_for_desk(self):
        device = self.rng.choice(self.devices)
        kind = self.rng.choice(("alert", "alert", "status", "cover"))
        payload = self.forger.for_desk(kind, device.topics, device.keys.public)
        topic = device.topics.of("status" if kind == "status" else "alert")
        self.broker.attack(f"forged {kind}", TO_DESK, topic, payload, retain=kind == "status")

    def _forge_for_device(self):
        device = self.rng.choice(self.devices)
        what = self.rng.choice(_FORGED_FOR_DEVICE)
        waiting = device.waiting() if device.running else []
        # The digest of a letter is secret; the attack is given it all the same.
        self.named += bool(waiting) and what in {"stored", "refused"}
        digest = self.rng.choice(waiting) if waiting else self.rng.randbytes(32).hex()
        payload = self.forger.for_device(what, device.topics, device.keys.public, digest)
        is_receipt = what in ("stored", "refused", "cover")
        topic = device.topics.of("receipt" if is_receipt else "command")
        name = f"forged receipt, {what}" if is_receipt else f"forged order, {what}"
        self.broker.attack(name, TO_DEVICE, topic, payload)

    def _buy(self):
        device = self.rng.choice(self.devices)
        kind = self.rng.choice(("alert", "status"))
        topic, payload = self.forger.from_bought(kind, device.topics)
        self.broker.attack(f"bought device, {kind}", TO_DESK, topic, payload)

    # What must hold at any time.

    def check(self):
        with self.desk.database.reading() as connection:
            rows = connection.execute(select(alerts)).all()
            given = {row.id: row for row in connection.execute(select(orders))}
            believed = connection.execute(select(statuses)).all()
        self._check_alerts(rows)
        self._check_statuses(believed)
        for device in self.devices:
            self._check_orders(device, given)

    def _check_alerts(self, rows):
        by_source = {device.topics.source: device for device in self.devices}
        arrived = set()
        for row in rows:
            device = by_source.get(row.source)
            raised = device.raised.get(row.id) if device is not None else None
            if raised is None:
                self.violations.add("alert that no device raised", row)
                continue
            arrived.add(row.digest)
            got = decode_alert(row.event.encode())
            # The time of sending is the one thing that a resending may change.
            same = got.sent(raised.data.sent_at, delayed=raised.data.delayed)
            if encode_alert(same) != encode_alert(raised) or got.data.sent_at is None:
                self.violations.add("alert changed", row.id)
        for device in self.devices:
            if device.running:
                waiting = set(device.waiting())
                here = sum(row.source == device.topics.source for row in rows)
                both = len(waiting & arrived)
                # Read after the rows: what was committed meanwhile may be gone from the outbox.
                missing = len(device.raised) - (here + len(waiting) - both)
                if missing > 0 and not self._arrived_since(device, missing, here):
                    self.violations.add("alert neither here nor there", missing)

    def _arrived_since(self, device, missing, before):
        here = sum(row.source == device.topics.source for row in self.desk.rows())
        return here - before >= missing

    def _check_statuses(self, believed):
        by_source = {device.topics.source: device for device in self.devices}
        for row in believed:
            device = by_source.get(row.source)
            place = device.place_of(row.id) if device is not None else None
            if place is None:
                self.violations.add("status that no device made", row)
            # A will was made when the connection was; what says "online" is never older.
            elif row.link == "online":
                if place < self._places.get(row.source, 0):
                    self.violations.add("status went back", row)
                self._places[row.source] = place

    def _check_orders(self, device, given):
        numbers = [order.data.sequence for order in device.obeyed]
        if numbers != sorted(set(numbers)):
            self.violations.add("orders obeyed twice or out of order", numbers)
        for order in device.obeyed:
            row = given.get(order.id)
            same = row is not None and row.event == encode_event(order).decode()
            if not same or row.source != device.topics.source:
                self.violations.add("order obeyed that was not given", order)


def rounds(scene, size):
    """Alerts, orders and attacks, with restarts among them."""
    rng, broker = scene.rng, scene.broker
    broker.chances = _CHANCES
    for number in range(size.rounds):
        for device in scene.devices:
            for _ in range(rng.randint(1, 4)):
                device.raise_alert(rng.choice((b"\xff\xd8jpeg", rng.randbytes(4000), None)))
            if rng.random() < 0.5:
                action = rng.choice(("suspend", "resume", "revoke"))
                scene.order(device, action, rng.choice((1.5, 600)))
        for _ in range(size.attacks):
            scene.attack()
        broker.release()
        scene.settle()
        scene.check()
        if number % 3 == 1:
            rng.choice(scene.devices).restart()
        if number % 5 == 4:
            scene.start_gateway()
        if number % 10 == 0:
            say(f"  round {number}: {sum(broker.sent.values())} attack cells")


def old_orders_again(scene):
    """Suspend, resume, then the old suspension once more; also after a restart."""
    scene.broker.be_honest()
    device = scene.devices[0]
    for action in ("suspend", "resume"):
        given = scene.order(device, action)
        scene.wait(
            lambda given=given: device.obedience.standing.last_order == given.id, "the order"
        )
    for restart in (False, True):
        if restart:
            device.restart()
            scene.wait(lambda: device.courier.online, "the device")
        # The suspension last, so that it would stay.
        for cell in reversed(scene.broker.cells(TO_DEVICE, "command")[-50:]):
            for retain in (False, True):
                scene.broker.attack("replay", TO_DEVICE, cell.topic, cell.payload, retain=retain)
        scene.settle()
        if device.obedience.standing.suspended is not None:
            scene.violations.add("suspended by a replay", restart)


def an_order_held_back(scene):
    """Hold an order until it has expired, and deliver it then."""
    device = scene.devices[2]
    scene.broker.holds = lambda cell: cell.kind == "command"
    given = scene.order(device, "suspend", valid_s=3)
    scene.wait(lambda: any(c.to == TO_DEVICE for _, c in scene.broker.held), "the order")
    scene.wait(lambda: time.time_ns() > utc_ns(given.data.expires_at), "its end")
    scene.broker.be_honest()
    scene.settle()
    if given.id in [order.id for order in device.obeyed]:
        scene.violations.add("order obeyed too late", given)


def an_old_status_again(scene):
    """A device says goodbye; the broker goes on to say that it is online."""
    device = scene.devices[1]
    device.stop()

    def link():
        with scene.desk.database.reading() as connection:
            query = select(statuses.c.link).where(statuses.c.source == device.topics.source)
            return connection.execute(query).scalar()

    scene.wait(lambda: link() == "offline", "the goodbye")
    old = [c for c in scene.broker.cells(TO_DESK, "status") if c.topic.split("/")[3] == "d2"]
    for cell in old[-60:-1]:
        for retain in (False, True):
            kind = "retained" if retain else "replay"
            scene.broker.attack(kind, TO_DESK, cell.topic, cell.payload, retain=retain)
    scene.start_gateway()
    scene.settle()
    if link() != "offline":
        scene.violations.add("online by a replay", link())
    device.start()
    scene.wait(lambda: link() == "online", "the device")


def doomed_letters(scene):
    """Let some alerts never pass; the ones after them do. Return their numbers by device."""
    numbers = {}
    for device in scene.devices:
        numbers[device.topics.source] = _doom(scene, device)
        for _ in range(3):
            device.raise_alert(b"\xff\xd8after")
    return numbers


def _doom(scene, device):
    """Raise two alerts of which nothing passes; the oracle knows their letters at once."""
    real, doomed = device.post._envelope.letter, []

    def letter(message):
        sealed = real(message)
        # Before the courier can see it.
        scene.doomed.add(digest_of(sealed))
        doomed.append(message.data.sequence)
        return sealed

    device.post._envelope.letter = letter
    for _ in range(2):
        device.raise_alert(b"\xff\xd8never")
    del device.post._envelope.letter
    return doomed


def gaps_of(scene):
    """Return the numbers that the desk misses, by device."""
    return {
        source: [n for gap in gaps for n in range(gap.first, gap.last + 1)]
        for source, gaps in open_gaps(scene.desk.database).items()
    }


def the_end(scene, numbers):
    """End the attack; all but the doomed arrive. Return whether gaps were as they should be."""
    scene.broker.be_honest()
    for device in scene.devices:
        # What waits for its next try goes at once.
        device.restart()
    doomed = scene.doomed
    scene.wait(
        lambda: all(set(d.waiting()) <= doomed for d in scene.devices), "what was not doomed"
    )
    scene.check()
    reported = gaps_of(scene) == numbers
    if not reported:
        scene.violations.add("gaps not as they are", (gaps_of(scene), numbers))
    kept = {digest for d in scene.devices for digest in d.waiting()}
    if kept != doomed:
        scene.violations.add("doomed alert not kept", (len(kept), len(doomed)))
    count, scene.doomed = len(doomed), set()
    for device in scene.devices:
        device.restart()
    scene.wait(lambda: all(len(d.courier) == 0 for d in scene.devices), "the doomed, let go")
    scene.check()
    if gaps_of(scene):
        scene.violations.add("gap that is none", gaps_of(scene))
    return count, reported


def play(scene, size):
    """Run it all; return the figures."""
    rounds(scene, size)
    old_orders_again(scene)
    an_order_held_back(scene)
    an_old_status_again(scene)
    numbers = doomed_letters(scene)
    count, reported = the_end(scene, numbers)
    raised = sum(len(device.raised) for device in scene.devices)
    rows = scene.desk.rows()
    if len(rows) != raised:
        scene.violations.add("alerts missing at the end", (len(rows), raised))
    return {
        "accepted": sum(scene.violations.counts.values()),
        "attack_cells": sum(scene.broker.sent.values()),
        "attack_cells_by_kind": dict(sorted(scene.broker.sent.items())),
        "forged_receipts_for_waiting_letters": scene.named,
        "withheld": dict(sorted(scene.broker.withheld.items())),
        "decided_by_the_gateway": dict(sorted(scene.watched.decided.items())),
        "opened_or_refused_by_devices": sum(scene.watched.opened.values()),
        "alerts_raised": raised,
        "alerts_arrived": len(rows),
        "held_back_for_ever": count,
        "gaps_reported": reported,
        "orders_obeyed": sum(len(device.obeyed) for device in scene.devices),
        "device_restarts": sum(device.restarts for device in scene.devices),
        "gateway_restarts": scene.gateway_starts - 1,
        "violations": dict(scene.violations.counts),
    }


def _committed(desk, digest):
    with desk.database.reading() as connection:
        query = select(alerts.c.number).where(alerts.c.digest == digest)
        return connection.execute(query).first() is not None


def prove(options):
    """See `tests.reliability.proof`."""
    size = QUICK if options.quick else FULL
    # Thousands of refusals are the point; the log of each would be noise.
    logging.disable(logging.CRITICAL)
    folder = Path(options.work) / "hostile"
    folder.mkdir(parents=True)
    started_s = time.monotonic()
    try:
        with closing(Scene(folder, options.seed)) as scene:
            figures = play(scene, size)
    finally:
        logging.disable(logging.NOTSET)
    for what, example in scene.violations.examples.items():
        say(f"  {what}: {example[:300]}")
    figures["seconds"] = round(time.monotonic() - started_s)
    held = figures["accepted"] == 0 and figures["gaps_reported"]
    return Proof("hostile broker", CLAIM, held, figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    proof = prove(parser.parse_args())
    say(proof.line())
    sys.stdout.write(report([proof]))
    return 0 if proof.held else 1


if __name__ == "__main__":
    sys.exit(main())
