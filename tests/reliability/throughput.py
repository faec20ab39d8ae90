"""How fast alerts go from the device to the desk, and what that takes.

One publisher process, one gateway process, one Mosquitto with our configuration: mutual TLS 1.3,
alerts with a picture of 4,000 bytes, cover off, everything on one machine and its one disk.

(a) 50 alerts/s: from captured to received (the desk's `received_at`, taken just before its commit),
    and to emitted (a reader of standard output has the line, which is after the commit).
(b) As many as the outbox takes, until the last receipt.
(c) The same in both suites, in turns, as a ratio. (d) 50/s with Nagle's algorithm on, in turns.
(e) Seconds per `submit` on the device: seal and commit with synchronous=FULL.

Times of the desk have milliseconds, cut off. Nothing here passes or fails by speed: only if an
alert is lost, or one arrives that nobody sent.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from device.protocol.identifiers import utc_ns, utc_text
from device.protocol.keys import encode_keys
from device.protocol.topics import Topics
from tests.reliability.fleet import cpu_seconds
from tests.reliability.proof import Proof, say
from tests.reliability.publisher import make_folder, read_journal, resident_mb
from tests.simulators.desk import Desk
from tests.simulators.mosquitto import Mosquitto, wait_until
from tests.simulators.site import Site

_HYBRID, _CLASSIC = "mlkem768-x25519", "x25519"
_RATE = 50
_RESAMPLES = 2_000
_WAIT_S = 600.0
_FILES = ("ca_file", "certificate_file", "key_file")


class Lines:
    """When which alert came out of the gateway's standard output, in nanoseconds."""

    def __init__(self, out):
        self.at_ns = {}
        self._thread = threading.Thread(target=self._read, args=(out,), daemon=True)
        self._thread.start()

    def _read(self, out):
        for line in out:
            now_ns = time.time_ns()
            event = json.loads(line)
            if event["type"].startswith("passerby.alert"):
                self.at_ns[event["id"]] = now_ns


class Road:
    """A broker with our configuration, and certificates; `send` makes one journey over it."""

    def __init__(self, folder):
        folder.mkdir(parents=True)
        self._folder = folder
        self._site = Site(folder)
        self._device = self._site.settings(self._site.authority.device("d1", self._site.now))
        self._gateway = self._site.settings(self._site.authority.gateway(self._site.now))
        whole = self._site.configuration()
        self._broker = Mosquitto(folder / "broker", port=self._site.port, whole=whole).start()
        self._journeys = 0

    def send(self, count, rate, *, suite=_HYBRID, nagle=False):
        """Send alerts from a new device to a new desk; return what was found."""
        self._journeys += 1
        folder = self._folder / f"journey-{self._journeys}"
        (folder / "desk").mkdir(parents=True)
        desk = Desk(folder / "desk", self._site.port)
        keys = make_folder(folder / "device", encode_keys(desk.keys.public))
        desk.register.add(Topics("s1", "d1"), keys, utc_text(0))
        try:
            return self._journey(desk, folder, self._command(folder, count, rate, suite, nagle))
        finally:
            desk.close()

    def _journey(self, desk, folder, command):
        log = folder / "gateway.log"
        suite = command[command.index("--suite") + 1]
        gateway = desk.process(config=self._configuration(desk, suite), stderr=log.open("w"))
        lines = Lines(gateway.stdout)
        wait_until(lambda: "ready" in log.read_text(), what="the gateway")
        computed_s = cpu_seconds(gateway.pid)
        publisher = subprocess.Popen(command)
        began_s = time.monotonic()
        assert publisher.wait(_WAIT_S) == 0
        report = json.loads((folder / "report.json").read_text())
        begun, kept = read_journal(folder / "device")
        wait_until(lambda: len(lines.at_ns) >= len(kept), _WAIT_S, "the last lines")
        computed_s = cpu_seconds(gateway.pid) - computed_s
        seconds = time.monotonic() - began_s
        rows = desk.rows()
        return samples_of(rows, lines, set(kept), set(begun), report) | {
            "gateway_mb": resident_mb(process=gateway.pid),
            "gateway_cpu_ms": 1000 * computed_s / len(kept),
            "wall_s": seconds,
        }

    def _configuration(self, desk, suite):
        text = desk.write_configuration().read_text()
        text = text.replace('suite = "x25519"', f'suite = "{suite}"')
        text = text.replace("tls = false\n", "tls = true\n")
        # The session of a desk that never comes back would hoard what all later journeys say.
        text = text.replace("[broker]\n", "session_h = 0\n[broker]\n")
        text += "".join(f'{name} = "{getattr(self._gateway, name)}"\n' for name in _FILES)
        path = desk.folder / "desk-tls.toml"
        path.write_text(text)
        return path

    def _command(self, folder, count, rate, suite, nagle):
        return [
            *(sys.executable, "-m", "tests.reliability.publisher", "--when-online"),
            *("--folder", str(folder / "device"), "--port", str(self._site.port)),
            *("--count", str(count), "--rate", str(rate), "--suite", suite),
            *("--tls-ca", self._device.ca_file),
            *("--tls-certificate", self._device.certificate_file),
            *("--tls-key", self._device.key_file),
            *("--report", str(folder / "report.json")),
            *(["--nagle"] if nagle else []),
        ]

    def close(self):
        self._broker.stop()


def samples_of(rows, lines, kept, begun, report):
    """Return the samples of one journey, in milliseconds, and what went wrong on it."""
    captured = {row.id: utc_ns(row.captured_at) for row in rows}
    received = {row.id: utc_ns(row.received_at) for row in rows}
    first, last = min(captured.values()), max(received.values())
    return {
        "count": len(kept),
        "lost": len(kept - set(captured)),
        "phantom": len(set(captured) - begun),
        "rows_twice": len(rows) - len(captured),
        "received_ms": [(received[one] - captured[one]) / 1e6 for one in captured],
        "emitted_ms": [(lines.at_ns[one] - captured[one]) / 1e6 for one in captured],
        "submit_ms": [1000 * seconds for seconds in report["submit_s"]],
        "per_second": len(kept) / ((last - first) / 1e9),
        "publisher_mb": report["resident_mb"],
        "publisher_imported_mb": report["imported_mb"],
        "publisher_cpu_ms": 1000 * report["cpu_s"] / len(kept),
    }


def percentile(samples, share):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def interval(samples, share, seed):
    """Return the 95 % confidence interval of a percentile, by bootstrap."""
    chance = random.Random(seed)
    found = sorted(
        percentile(chance.choices(samples, k=len(samples)), share) for _ in range(_RESAMPLES)
    )
    return found[int(0.025 * len(found))], found[int(0.975 * len(found))]


def described(samples, seed):
    """Return a sentence: median, p99 with its interval, size of the sample."""
    low, high = interval(samples, 0.99, seed)
    return (
        f"p50 {percentile(samples, 0.5):.1f} ms, p99 {percentile(samples, 0.99):.1f} ms "
        f"(95 %: {low:.1f}-{high:.1f}), n {len(samples)}"
    )


def ratio(first, second):
    """Return the median ratio of pairs, and all of them."""
    pairs = [one / other for one, other in zip(first, second, strict=True)]
    return f"{statistics.median(pairs):.2f} (pairs: {', '.join(f'{pair:.2f}' for pair in pairs)})"


class Plan:
    """How much is measured. Counts of alerts, and of pairs that are run in turns."""

    def __init__(self, *, quick):
        self.steady = 100 if quick else 1_800
        self.flood = 100 if quick else 2_000
        self.turn = 50 if quick else 600
        self.slow_turn = 50 if quick else 400
        self.pairs = 1 if quick else 3


def steady(road, plan, seed):
    one = road.send(plan.steady, _RATE)
    return [one], {
        "captured to received": described(one["received_ms"], seed),
        "captured to emitted": described(one["emitted_ms"], seed),
        "submit": described(one["submit_ms"], seed),
        **costs(one),
    }


def flood(road, plan, seed):
    one = road.send(plan.flood, 0)
    return [one], {
        "alerts": one["count"],
        "per second until the last is received": round(one["per_second"]),
        "submit": described(one["submit_ms"], seed),
        **costs(one),
    }


def costs(one):
    return {
        "publisher MB": f"{one['publisher_mb']} (imports alone: {one['publisher_imported_mb']})",
        "gateway MB": one["gateway_mb"],
        "publisher CPU ms per alert": round(one["publisher_cpu_ms"], 2),
        "gateway CPU ms per alert": round(one["gateway_cpu_ms"], 2),
    }


def suites(road, plan, _seed):
    """Each pair begins with the other suite, so that a drift of the machine falls on both."""
    found = {_HYBRID: [], _CLASSIC: []}
    for pair in range(plan.pairs):
        for suite in sorted(found, reverse=bool(pair % 2)):
            found[suite].append(road.send(plan.turn, 0, suite=suite))
    hybrid, classic = ([one["per_second"] for one in found[suite]] for suite in (_HYBRID, _CLASSIC))
    submits = [
        [percentile(one["submit_ms"], 0.5) for one in found[suite]] for suite in (_HYBRID, _CLASSIC)
    ]
    return found[_HYBRID] + found[_CLASSIC], {
        "alerts a turn": plan.turn,
        "alerts/s, hybrid to X25519": ratio(hybrid, classic),
        "submit p50, hybrid to X25519": ratio(*submits),
    }


def nagle(road, plan, _seed):
    found = {False: [], True: []}
    for pair in range(plan.pairs):
        for on in sorted(found, reverse=bool(pair % 2)):
            found[on].append(road.send(plan.slow_turn, _RATE, nagle=on))
    shares = {}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        with_it, without = (
            [percentile(one["received_ms"], share) for one in found[on]] for on in (True, False)
        )
        shares[f"captured to received, {name}, Nagle on to off"] = ratio(with_it, without)
    return found[False] + found[True], {"alerts a turn": plan.slow_turn, **shares}


def prove(options):
    plan = Plan(quick=options.quick)
    figures, journeys = {}, []
    road = Road(options.work / "road")
    try:
        for name, part in (
            (f"{_RATE}/s", steady),
            ("flood", flood),
            ("suites", suites),
            ("nagle", nagle),
        ):
            say(f"throughput: {name}")
            made, figures[name] = part(road, plan, options.seed)
            journeys += made
            say(f"  {figures[name]}")
    finally:
        road.close()
    for what in ("lost", "phantom", "rows_twice"):
        figures[what] = sum(one[what] for one in journeys)
    held = not any(figures[what] for what in ("lost", "phantom", "rows_twice"))
    sent = sum(one["count"] for one in journeys)
    return Proof("throughput", f"{sent} alerts over mutual TLS 1.3: 0 lost", held, figures)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="throughput", description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    proof = prove(parser.parse_args(arguments))
    sys.stdout.write(proof.line() + "\n")
    return 0 if proof.held else 1


if __name__ == "__main__":
    sys.exit(main())
