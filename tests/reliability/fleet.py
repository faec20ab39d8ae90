"""5,000 devices lose their broker and come back at once: nothing is lost, and how long it takes.

Every device has keys of its own, the real envelope, the real back-off and flow, a will, a status, a
session, and its letters in a list where the real one has SQLite. All are connected and raise an
alert each; the broker is killed with -9 at once; while it is away each raises another. Then it
starts again. One real gateway receives, on SQLite. `--tls`: TLS 1.3 with a certificate per device,
as deployed. The broker's configuration is ours, with the limits raised that a fleet of this size
outgrows (`_RAISED`; `--as-shipped`: `max_connections` alone), and without TLS with an open door.
Needed: `ulimit -n` of 2 files per device here, 1 for the broker alone.
"""

import argparse
import asyncio
import errno
import multiprocessing
import secrets
import shutil
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from device.alerts.client import CONNECT_TIMEOUT_S
from device.alerts.connection import CONTENT_TYPE, SESSION_EXPIRY_S
from device.alerts.courier import _OWN_WINDOW, _REFUSED_PAUSE_S, _SILENCE_S
from device.alerts.flow import Flow
from device.alerts.patience import BackOff, VersionChoice
from device.alerts.refused import is_taken
from device.alerts.tls import tls_context
from device.errors import MessageError
from device.protocol.envelope import Envelope, digest_of
from device.protocol.identifiers import utc_ns, utc_text, uuid7
from device.protocol.keys import PrivateKeys, decode_public_keys, encode_keys
from device.protocol.status import Status, StatusData
from device.protocol.topics import Topics
from device.settings import AlertSettings, BrokerSettings
from tests.reliability.proof import Proof, say
from tests.reliability.publisher import resident_mb
from tests.simulators import small_mqtt
from tests.simulators.desk import Desk
from tests.simulators.drafts import make_draft
from tests.simulators.mosquitto import Mosquitto, wait_until
from tests.simulators.site import Site
from tools.desk.gateway.tables import devices
from tools.field.pki import certificates
from tools.field.pki.register import Issued, Kind

DEVICES, QUICK_DEVICES = 5_000, 100
_PARTS, _QUICK_PARTS = 2, 1
_AWAY_S, _QUICK_AWAY_S = 5.0, 1.0
_WAIT_S = 900.0
_SAY_S = 10.0
_TICK_S = 0.5
_ALERTS = AlertSettings(cover="off")
_KEEPALIVE_S = 30
_FAILURE = 128
_RAISED = (
    ("max_inflight_messages 20", "max_inflight_messages 64"),
    ("max_queued_messages 10000", "max_queued_messages 100000"),
    ("max_queued_bytes 67108864", "max_queued_bytes 1000000000"),
    ("memory_limit 536870912", "memory_limit 2000000000"),
    ("autosave_interval 10000", "autosave_interval 100000"),
)
"""What thousands of devices need beside `max_connections`: queues that hold what they say at once,
a window as large as the gateway's own, no pause every 1,000 changes to write all of it down."""


# --- One device, in a loop with thousands of others ----------------------------------------------


class SmallDevice:
    """host: the `Part` that it is in. Does what `Courier` does, from one callback to the next."""

    def __init__(self, host, topics, keys, broker):
        self._host = host
        self._topics = topics
        self._broker = broker
        self._envelope = Envelope(keys, host.desk, topics, "x25519")
        self._epoch, self._sequence = uuid7(time.time_ns()), 0
        self.pile = {}
        self._order = []
        self._flow = Flow(_ALERTS.unreceipted, _ALERTS.receipt_timeout_s)
        self._back_off, self._versions = BackOff(), VersionChoice("auto")
        self._wire, self._number = None, 0
        self._status_message = None
        self._connection = uuid7(time.time_ns())
        self._next_try_s = self._paused_until_s = self._heard_s = self._said_s = 0.0
        self._trying = None
        self.online = False

    def raise_alert(self):
        """Make an alert and keep its letter, as the outbox does; return its id."""
        now_ns = time.time_ns()
        self._sequence += 1
        draft = make_draft(now_ns, bytes(2000), self._topics.source)
        alert = draft.numbered(self._epoch, self._sequence, utc_text(now_ns))
        letter = self._envelope.letter(alert)
        digest = digest_of(letter)
        self.pile[digest] = (letter, utc_ns(draft.captured_at) // 1_000_000)
        self._order.append(digest)
        self.send()
        return draft.id

    def tick(self, now_s):
        """Do what time asks for: connect, send again, ping, notice silence."""
        if self._trying is None and self._wire is None:
            if now_s >= self._next_try_s:
                self._trying = self._host.loop.create_task(self._try())
        elif not self.online:
            if now_s - self._heard_s > CONNECT_TIMEOUT_S:
                self._not_accepted("no answer in time")
        else:
            self._watch(now_s)
            self.send()

    def _watch(self, now_s):
        if not self._flow.unanswered and self._status_message is None:
            self._heard_s = now_s
        elif now_s - self._heard_s > _SILENCE_S:
            self._lost("silence")
            return
        if now_s - self._said_s > _KEEPALIVE_S / 2:
            self._say(small_mqtt.PINGREQ)

    async def _try(self):
        self._heard_s = time.monotonic()
        self._connection = uuid7(time.time_ns())
        self._host.tally["tries"] += 1
        context = tls_context(self._broker) if self._broker.tls else None
        address = self._broker.host, self._broker.port
        try:
            await self._host.loop.create_connection(
                lambda: small_mqtt.Wire(self), *address, ssl=context
            )
        except OSError as error:
            self._trying = None
            refused = error.errno == errno.ECONNREFUSED
            self._lost("refused: nobody listens" if refused else f"failed: {type(error).__name__}")

    def opened(self, wire):
        self._trying, self._wire = None, wire
        will = self._topics.of("status"), self._status("offline")
        wire.send(
            small_mqtt.connect(
                self._envelope.client_id,
                will,
                expiry_s=SESSION_EXPIRY_S,
                keepalive_s=_KEEPALIVE_S,
                content_type=CONTENT_TYPE,
            )
        )

    def heard(self, wire, kind, flags, body):
        if wire is not self._wire:
            return
        if kind == small_mqtt.CONNACK:
            self._connected(small_mqtt.read_connack(body))
        elif kind == small_mqtt.PUBACK:
            self._heard_s = time.monotonic()
            self._answered(*small_mqtt.read_puback(body))
        elif kind == small_mqtt.SUBACK and max(body[3:]) >= _FAILURE:
            self._host.tally["subscription refused"] += 1
        elif kind == small_mqtt.PUBLISH:
            self._received(*small_mqtt.read_publish(flags, body))
        self.send()

    def ended(self, wire):
        if wire is not self._wire:
            return
        if self.online:
            self._lost("ended by the broker")
        else:
            self._not_accepted("hung up before an answer")

    def _connected(self, answer):
        if answer.code:
            self._not_accepted(f"refused with code {answer.code}")
            return
        now_s = time.monotonic()
        self.online, self._heard_s = True, now_s
        self._flow.connected(
            max(1, min(_OWN_WINDOW, answer.window) - 1), same_session=answer.same_session
        )
        self._back_off.online(now_s)
        self._versions.accepted()
        self._host.connected(self, now_s)
        topics = [self._topics.of("receipt"), self._topics.of("command")]
        self._say(small_mqtt.subscribe(self._next_number(), topics))
        self._status_message = self._publish("status", self._status("online"), retain=True)

    def _answered(self, number, code):
        self._host.tally[f"puback {code}"] += 1
        if number == self._status_message:
            self._status_message = None
        elif is_taken(code):
            self._flow.answered(number)
        elif self._flow.refused(number, time.monotonic() + _REFUSED_PAUSE_S):
            self._paused_until_s = time.monotonic() + _REFUSED_PAUSE_S

    def _received(self, topic, number, payload):
        if number is not None:
            self._say(small_mqtt.acknowledge(number))
        try:
            receipt = self._envelope.open(payload, topic.rpartition("/")[2]).message
        except MessageError:
            self._host.tally["not opened"] += 1
            return
        self._host.tally["receipts"] += 1
        self.pile.pop(receipt.data.digest, None)
        self._flow.finished(receipt.data.digest)
        self._host.receipted(self)

    def send(self):
        """Send what the rules of `Flow` allow, as `Courier` does."""
        now_s = time.monotonic()
        if not self.online or now_s < self._paused_until_s:
            return
        while (digest := self._next_letter(now_s)) is not None:
            letter, captured_ms = self.pile[digest]
            sent_ms = time.time_ns() // 1_000_000
            delayed = (sent_ms - captured_ms) / 1000 > _ALERTS.delayed_after_s
            cell = self._envelope.dispatch(letter, sent_ms, delayed=delayed)
            self._flow.sent(digest, self._publish("alert", cell), now_s)
            self._host.tally["sent"] += 1

    def _next_letter(self, now_s):
        while self._flow.may_send() and (digest := self._flow.overdue(now_s)) is not None:
            if digest in self.pile:
                return digest
            self._flow.finished(digest)
        if not self._flow.may_send_new():
            return None
        while self._flow.cursor < len(self._order):
            digest = self._order[self._flow.cursor]
            self._flow.cursor += 1
            if digest in self.pile and not self._flow.knows(digest):
                return digest
        return None

    def _publish(self, kind, cell, *, retain=False):
        number = self._next_number()
        topic = self._topics.of(kind)
        self._say(small_mqtt.publish(number, topic, cell, content_type=CONTENT_TYPE, retain=retain))
        return number

    def _next_number(self):
        self._number = self._number % 65_535 + 1
        return self._number

    def _say(self, packet):
        self._said_s = time.monotonic()
        self._wire.send(packet)

    def _status(self, link):
        now_ns = time.time_ns()
        state = "comparing" if link == "online" else "stopped"
        data = StatusData(link, state, demonstration=True, connection=self._connection)
        status = Status(uuid7(now_ns), self._topics.source, utc_text(now_ns), data)
        return self._envelope.cell(status)

    def _not_accepted(self, reason):
        # A real device would try MQTT 3.1.1 now; this one only counts it, and waits as ever.
        if self._versions.not_accepted(certain=False):
            self._host.tally["would fall back to MQTT 3.1.1"] += 1
        self._lost(reason)

    def _lost(self, reason):
        self._host.tally[reason] += 1
        wire, self._wire = self._wire, None
        trying, self._trying = self._trying, None
        self.online, self._status_message = False, None
        self._flow.disconnected()
        if trying is not None:
            trying.cancel()
        if wire is not None:
            wire.abort()
        self._host.disconnected(self)
        self._next_try_s = self._back_off.lost(time.monotonic())


# --- Part of the fleet: a process ----------------------------------------------------------------


class Part:
    """The devices of one process, and what is counted of them since `reset`."""

    def __init__(self, pipe, plan):
        self._pipe = pipe
        self.desk = decode_public_keys(plan.desk)
        self.tally = Counter()
        self._online, self._first_online, self._receipted_s = set(), {}, 0.0
        self.loop = None
        self._devices = [
            SmallDevice(self, Topics("s1", name), PrivateKeys(*keys), broker)
            for name, keys, broker in plan.devices
        ]
        self._answers = {
            "reset": self._reset,
            "raise": lambda: [device.raise_alert() for device in self._devices],
            "look": self._look,
            "first": lambda: list(self._first_online.values()),
        }

    async def run(self):
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda *_: None)
        over = asyncio.Event()
        self.loop.add_reader(self._pipe.fileno(), self._asked, over)
        # Everybody has a moment of its own within a tick, as devices have.
        turn = max(1, len(self._devices) // 50)
        while not over.is_set():
            for at in range(0, len(self._devices), turn):
                now_s = time.monotonic()
                for device in self._devices[at : at + turn]:
                    device.tick(now_s)
                await asyncio.sleep(_TICK_S * turn / len(self._devices))

    def connected(self, device, now_s):
        self._online.add(device)
        self._first_online.setdefault(device, now_s)

    def disconnected(self, device):
        self._online.discard(device)

    def receipted(self, _device):
        self._receipted_s = time.monotonic()

    def _asked(self, over):
        question = self._pipe.recv()
        if question == "end":
            over.set()
            return
        self._pipe.send(self._answers[question]())

    def _reset(self):
        self.tally.clear()
        self._first_online.clear()

    def _look(self):
        return {
            "online": len(self._online),
            "came_back": len(self._first_online),
            "waiting": sum(len(device.pile) for device in self._devices),
            "last_receipt_s": self._receipted_s,
            "tally": dict(self.tally),
            "resident_mb": resident_mb(),
        }


def _be_part(pipe, plan):
    # TLS in asyncio takes 256 kB per connection unless it is told that a record has 16.
    asyncio.sslproto.SSLProtocol.max_size = 32 * 1024
    asyncio.run(Part(pipe, plan).run())


class Parts:
    """All processes of the fleet. plans: one for each."""

    def __init__(self, plans):
        spawn = multiprocessing.get_context("spawn")
        self._pipes, self._processes = [], []
        for plan in plans:
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_be_part, args=(theirs, plan), daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def ask(self, question):
        for pipe in self._pipes:
            pipe.send(question)
        return [pipe.recv() for pipe in self._pipes]

    def sum(self, name):
        return sum(answer[name] for answer in self.ask("look"))

    def tally(self):
        return sum((Counter(answer["tally"]) for answer in self.ask("look")), Counter())

    def close(self):
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.send("end")
            process.join(10)
            if process.is_alive():
                process.kill()


# --- Broker, desk and gateway --------------------------------------------------------------------


class Place:
    """Our broker's configuration, a desk that knows all devices, and a gateway process."""

    def __init__(self, folder, names, *, tls, raised=False):
        folder.mkdir(parents=True)
        self._folder, self._tls = folder, tls
        self.site = Site(folder)
        configuration = self.site.configuration().replace(
            "max_connections 900", f"max_connections {len(names) + 100}"
        )
        for ours, larger in _RAISED if raised else ():
            assert ours in configuration
            configuration = configuration.replace(ours, larger)
        if not tls:
            configuration = _without_tls(configuration)
        self.broker = Mosquitto(folder / "broker", port=self.site.port, whole=configuration)
        (folder / "desk").mkdir()
        self.desk = Desk(folder / "desk", self.site.port)
        self._keys = {name: PrivateKeys.generate() for name in names}
        self._register()
        self.emitted = 0

    def _register(self):
        """As `passerby-desk devices add` does, but all in one transaction."""
        rows = [
            {
                "source": Topics("s1", name).source,
                "public_keys": encode_keys(keys.public).decode(),
                "added_at": utc_text(0),
            }
            for name, keys in self._keys.items()
        ]
        with self.desk.database.writing() as connection:
            connection.execute(devices.insert(), rows)

    def plans(self, parts):
        known = [
            (name, (keys.ed25519, keys.x25519, keys.mlkem768), self._broker_settings(name))
            for name, keys in self._keys.items()
        ]
        desk = encode_keys(self.desk.keys.public)
        return [SimpleNamespace(desk=desk, devices=known[part::parts]) for part in range(parts)]

    def _broker_settings(self, name):
        if not self._tls:
            return BrokerSettings("127.0.0.1", self.site.port, tls=False)
        return self.site.settings(self._certificate(name))

    def _certificate(self, name):
        """As `passerby-field pki device` does, without its register, which grows with every one."""
        authority, now = self.site.authority, self.site.now
        since, until = now - timedelta(days=1), now + timedelta(days=30)
        issued = Issued(f"{secrets.randbits(120):x}", Kind.DEVICE, name, since, until)
        key = certificates.new_key()
        folder = self._folder / "certificates" / name
        folder.mkdir(parents=True)
        (folder / "device.key").write_bytes(certificates.key_pem(key))
        (folder / "device.pem").write_bytes(certificates.client(authority._signer, key, issued))
        return folder

    def start_gateway(self):
        process = self.desk.process(
            config=self._desk_configuration(), stderr=(self._folder / "gateway.log").open("w")
        )
        threading.Thread(target=self._count_lines, args=(process.stdout,), daemon=True).start()
        log = self._folder / "gateway.log"
        wait_until(lambda: "ready" in log.read_text(), what="the gateway")
        return process

    def _desk_configuration(self):
        if not self._tls:
            return self.desk.write_configuration()
        files = self.site.settings(self.site.authority.gateway(self.site.now))
        lines = self.desk.write_configuration().read_text().replace("tls = false\n", "tls = true\n")
        names = ("ca_file", "certificate_file", "key_file")
        lines += "".join(f'{name} = "{getattr(files, name)}"\n' for name in names)
        path = self.desk.folder / "desk-tls.toml"
        path.write_text(lines)
        return path

    def _count_lines(self, out):
        for line in out:
            self.emitted += '"passerby.alert' in line

    def close(self):
        self.desk.close()
        self.broker.stop()


def _without_tls(configuration):
    """Return our configuration with an open door: names then count for nothing."""
    closed = ("tls_version", "certfile", "keyfile", "cafile", "crlfile", "require_certificate")
    closed += ("use_identity_as_username", "acl_file", "allow_anonymous")
    lines = [line for line in configuration.splitlines() if not line.startswith(closed)]
    return "\n".join([*lines, "allow_anonymous true", ""])


# --- The proof -----------------------------------------------------------------------------------


def run(folder, count, parts, away_s, *, tls=False, raised=False):  # noqa: PLR0913 - a plan
    """Return the figures of one simultaneous restart."""
    names = [f"d{number}" for number in range(count)]
    place = Place(folder, names, tls=tls, raised=raised)
    fleet = None
    try:
        place.broker.start()
        gateway = place.start_gateway()
        fleet = Parts(place.plans(parts))
        return _restart(place, fleet, gateway, count, away_s)
    finally:
        if fleet is not None:
            fleet.close()
        place.close()


def _restart(place, fleet, gateway, count, away_s):
    began_s = time.monotonic()
    wait_until(lambda: fleet.sum("online") == count, _WAIT_S, "the fleet")
    say(f"  {count} devices are connected after {time.monotonic() - began_s:.1f} s")
    _wait_for_quiet(place)
    ids = {one for part in fleet.ask("raise") for one in part}
    place.broker.kill()
    fleet.ask("reset")
    ids |= {one for part in fleet.ask("raise") for one in part}
    time.sleep(away_s)
    before = fleet.sum("waiting")
    fleet.ask("reset")
    place.broker.start()
    back_s = time.monotonic()
    cpu_s = {"gateway": cpu_seconds(gateway.pid), "broker": cpu_seconds(place.broker._process.pid)}
    wait_until(lambda: fleet.sum("came_back") == count, _WAIT_S, "all devices")
    say(f"  all have come back once after {time.monotonic() - back_s:.1f} s")
    _wait_for_receipts(fleet)
    last_s = max(answer["last_receipt_s"] for answer in fleet.ask("look"))
    say(f"  all receipts are there after {last_s - back_s:.1f} s")
    wait_until(lambda: place.emitted >= len(ids), _WAIT_S, "all events on standard output")
    emitted_s = time.monotonic() - back_s
    online_s = sorted(one - back_s for part in fleet.ask("first") for one in part)
    arrived = [row.id for row in place.desk.rows()]
    cpu_s = {
        "gateway": cpu_seconds(gateway.pid) - cpu_s["gateway"],
        "broker": cpu_seconds(place.broker._process.pid) - cpu_s["broker"],
    }
    return {
        "devices": count,
        "alerts": len(ids),
        "waiting_at_restart": before,
        "lost": len(ids - set(arrived)),
        "phantom": len(set(arrived) - ids),
        "rows_twice": len(arrived) - len(set(arrived)),
        "connected_p50_s": round(online_s[len(online_s) // 2], 2),
        "connected_p99_s": round(online_s[int(len(online_s) * 0.99)], 2),
        "connected_all_s": round(online_s[-1], 2),
        "receipts_all_s": round(last_s - back_s, 2),
        "emitted_all_s": round(emitted_s, 2),
        "online_at_the_end": fleet.sum("online"),
        "counted": dict(sorted(fleet.tally().items())),
        "cpu_s": {name: round(seconds, 1) for name, seconds in cpu_s.items()},
        "gateway_mb": resident_mb(process=gateway.pid),
        "broker_mb": resident_mb(process=place.broker._process.pid),
        "fleet_mb": [answer["resident_mb"] for answer in fleet.ask("look")],
    }


def _wait_for_receipts(fleet):
    deadline_s = said_s = time.monotonic()
    while waiting := fleet.sum("waiting"):
        now_s = time.monotonic()
        assert now_s < deadline_s + _WAIT_S, f"{waiting} alerts have no receipt: {fleet.tally()}"
        if now_s > said_s + _SAY_S:
            said_s = now_s
            say(f"  {waiting} wait, {fleet.sum('online')} online, {dict(fleet.tally())}")
        time.sleep(0.1)


def _wait_for_quiet(place):
    """Wait until the gateway has taken the statuses: what comes next is the restart alone."""
    seen = -1
    while (size := _size(place.desk.database.file)) != seen:
        seen = size
        time.sleep(2.0)


def _size(file):
    log = file.with_name(f"{file.name}-wal")
    return file.stat().st_mtime_ns, log.stat().st_mtime_ns if log.exists() else 0


def cpu_seconds(process):
    """Return what a process has computed, user and system."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def prove(options):
    count = QUICK_DEVICES if options.quick else DEVICES
    count = getattr(options, "devices", None) or count
    parts = _QUICK_PARTS if options.quick else _PARTS
    away_s = _QUICK_AWAY_S if options.quick else _AWAY_S
    raised = not getattr(options, "as_shipped", False)
    figures = {"limits": dict(one.split() for _, one in _RAISED) if raised else "as shipped"}
    lost = False
    for tls in (True, False) if getattr(options, "both", False) else (_tls(options),):
        name = "tls-1.3" if tls else "plain-tcp"
        say(f"fleet: {count} devices over {name}")
        figures[name] = run(options.work / name, count, parts, away_s, tls=tls, raised=raised)
        shutil.rmtree(options.work / name / "certificates", ignore_errors=True)
        lost = lost or any(figures[name][what] for what in ("lost", "phantom", "rows_twice"))
    claim = f"{count} devices reconnect at once to one Mosquitto: 0 lost"
    return Proof("fleet", claim, not lost, figures)


def _tls(options):
    return getattr(options, "tls", False)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="fleet", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tls", action="store_true", help="TLS 1.3 with a certificate per device")
    parser.add_argument("--both", action="store_true", help="with TLS, then without")
    parser.add_argument("--as-shipped", action="store_true", help="raise max_connections alone")
    parser.add_argument("--devices", type=int, help="instead of 5,000")
    proof = prove(parser.parse_args(arguments))
    sys.stdout.write(proof.line() + "\n")
    return 0 if proof.held else 1


if __name__ == "__main__":
    sys.exit(main())
