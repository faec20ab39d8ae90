"""The broker forgets: it has acknowledged 10,000 alerts and loses its database. All arrive.

A gateway makes its session and goes away. The device, a real courier, sends until the broker has
answered every alert. The broker is killed with -9 and its database deleted; it starts again, and
the gateway comes back. Twice: with queues that hold all of it, and with the limits as we ship them,
where the broker answers alerts that it does not keep.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from device.alerts import Courier, Limits, Post
from device.alerts.connection import Acknowledged
from device.alerts.outbox import NAME
from device.alerts.refused import is_taken
from device.identity import own_keys
from device.protocol.envelope import Envelope
from device.protocol.identifiers import utc_text
from device.protocol.keys import encode_keys
from device.protocol.topics import Topics
from device.settings import AlertSettings
from tests.reliability.proof import Proof, say
from tests.reliability.publisher import make_folder
from tests.simulators.desk import Desk
from tests.simulators.drafts import make_draft
from tests.simulators.mosquitto import Mosquitto, wait_until
from tests.simulators.site import Site

COUNT, QUICK_COUNT = 10_000, 300
_TOPICS = Topics("s1", "d1")
_WAIT_S = 1200.0
_RAISED = (
    ("max_queued_messages 10000", "max_queued_messages 100000"),
    ("max_queued_bytes 67108864", "max_queued_bytes 2000000000"),
    ("memory_limit 536870912", "memory_limit 2000000000"),
)


class Forgetful:
    """A site with our broker configuration, a desk and one device. raised: its queues hold all."""

    def __init__(self, folder, *, raised):
        folder.mkdir(parents=True)
        self.site = Site(folder)
        self._database = folder / "lib/mosquitto.db"
        configuration = self.site.configuration()
        for ours, larger in _RAISED if raised else ():
            assert ours in configuration
            configuration = configuration.replace(ours, larger)
        self.broker = Mosquitto(folder / "broker", port=self.site.port, whole=configuration)
        self.broker.start()
        (folder / "desk").mkdir()
        self.desk = Desk(folder / "desk", self.site.port)
        keys = make_folder(folder / "device", encode_keys(self.desk.keys.public))
        self.desk.register.add(_TOPICS, keys, utc_text(0))
        self.courier = self._courier(folder / "device/state")
        self.codes = Counter()
        self._count_answers()
        self.deliveries = 0

    def _courier(self, state):
        broker = self.site.settings(self.site.authority.device("d1", self.site.now))
        envelope = Envelope(own_keys(state), self.desk.keys.public, _TOPICS, "mlkem768-x25519")
        post = Post(state / NAME, Limits(2_000_000_000, 24 * 3600), envelope)
        alerts = AlertSettings(cover="off", unreceipted=100_000, receipt_timeout_s=600, drain_s=0)
        return Courier(broker, _TOPICS, alerts, envelope, post)

    def _count_answers(self):
        handle = self.courier._answered

        def count(event):
            if isinstance(event, Acknowledged) and event.message != self.courier._status_message:
                self.codes[event.code] += 1
            handle(event)

        self.courier._answered = count

    def gateway(self):
        """Start a gateway that counts how many letters were delivered to it."""
        broker = self.site.authority.gateway(self.site.now, renew=True)
        settings = self.site.settings(broker)
        names = ("ca_file", "certificate_file", "key_file")
        files = {name: getattr(settings, name) for name in names}
        one = self.desk.gateway(on_event=lambda _: None, tls=True, **files)
        take = one._work._store.take

        def counted(decisions, now):
            taken = take(decisions, now)
            self.deliveries += sum(type(decision).__name__ == "Letter" for decision in decisions)
            return taken

        one._work._store.take = counted
        return one

    def taken(self):
        return sum(number for code, number in self.codes.items() if is_taken(code))

    def forget(self):
        """Kill the broker, delete what it has on its disk, start it again."""
        self.broker.kill()
        size = self._database.stat().st_size if self._database.exists() else 0
        self._database.unlink(missing_ok=True)
        self.broker.start()
        return size

    def close(self):
        self.courier.stop()
        self.desk.close()
        self.broker.stop()


def run(folder, count, *, raised):
    """Return the figures of one amnesia."""
    one = Forgetful(folder, raised=raised)
    try:
        return _run(one, count)
    finally:
        one.close()


def _run(one, count):
    one.gateway().stop()
    one.desk.gateways.clear()
    one.courier.start()
    wait_until(lambda: one.courier.online, what="the device's connection")
    ids = _submit(one, count)
    wait_until(lambda: one.taken() >= count, _WAIT_S, "the broker's answers")
    answers = dict(one.codes)
    say(f"  the broker has answered {answers} and is killed")
    database = one.forget()
    began_s = time.monotonic()
    gateway = one.gateway()
    _wait_for_receipts(one.courier)
    seconds = time.monotonic() - began_s
    gateway.stop()
    arrived = [row.id for row in one.desk.rows()]
    return {
        "acknowledged": sum(answers.values()),
        "answers": answers,
        "broker_database_mb": round(database / 1e6, 1),
        "lost": len(ids - set(arrived)),
        "phantom": len(set(arrived) - ids),
        "rows_twice": len(arrived) - len(set(arrived)),
        "duplicates_removed": one.deliveries - len(set(arrived)),
        "recovery_s": round(seconds, 1),
    }


def _wait_for_receipts(courier):
    # Counting a full outbox takes the courier's time: not often.
    deadline_s = time.monotonic() + _WAIT_S
    while waiting := len(courier):
        assert time.monotonic() < deadline_s, f"{waiting} alerts have no receipt"
        time.sleep(0.25)


def _submit(one, count):
    ids = set()
    for _ in range(count):
        draft = make_draft(time.time_ns(), bytes(4000), _TOPICS.source)
        assert one.courier.submit(draft)
        ids.add(draft.id)
    return ids


def prove(options):
    count = QUICK_COUNT if options.quick else COUNT
    figures = {}
    for name, raised in (("queues hold all", True), ("limits as shipped", False)):
        say(f"amnesia: {count} alerts, {name}")
        figures[name] = run(options.work / name.replace(" ", "-"), count, raised=raised)
        say(f"  {figures[name]}")
    held = all(
        one["acknowledged"] >= count and not (one["lost"] or one["phantom"] or one["rows_twice"])
        for one in figures.values()
    )
    claim = f"broker database wiped with {count} alerts acknowledged: all arrive"
    return Proof("amnesia", claim, held, figures)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="amnesia", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    proof = prove(parser.parse_args(arguments))
    sys.stdout.write(proof.line() + "\n")
    return 0 if proof.held else 1


if __name__ == "__main__":
    sys.exit(main())
