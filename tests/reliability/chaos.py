"""kill -9 of device, broker and gateway at random, while alerts are raised: none lost or made up.

Three processes, all real: a device without a camera (`publisher`: outbox, courier), a Mosquitto
with our configuration (TLS 1.3, client certificates), `passerby-desk gateway` with SQLite, emitting
to standard output. Each is killed at random and started again. At the end the kills stop and the
outbox must empty itself. Then the device's journal, the desk's database and the emitted lines are
compared: an alert that the device had promised to keep and the desk does not have is lost; one that
the desk has and the device never raised is a phantom.
"""

import json
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from device.protocol.identifiers import utc_text
from device.protocol.keys import encode_keys
from device.protocol.topics import Topics
from tests.reliability.proof import Proof, say
from tests.reliability.publisher import make_folder, read_journal
from tests.simulators.desk import Desk
from tests.simulators.mosquitto import Mosquitto, wait_until
from tests.simulators.site import Site

SEEDS = 3
KILLS, QUICK_KILLS = 350, 6
_RATE = 50
_PAUSE_S = (0.05, 2.5)
"""Between two kills: from the middle of a start-up to a moment of peace."""
_DRAIN_S = 600.0
_ROOT = Path(__file__).resolve().parents[2]


class Cast:
    """The three processes of one run, each to be killed and started again."""

    def __init__(self, folder):
        folder.mkdir(parents=True)
        self.folder = folder
        self.site = Site(folder)
        authority, now = self.site.authority, self.site.now
        self.broker = Mosquitto(
            folder / "broker", port=self.site.port, whole=self.site.configuration()
        )
        (folder / "desk").mkdir()
        self.desk = Desk(folder / "desk", self.site.port)
        public = make_folder(folder / "device", encode_keys(self.desk.keys.public))
        self.desk.register.add(Topics("s1", "d1"), public, utc_text(time.time_ns()))
        self._device = self.site.settings(authority.device("d1", now))
        self._gateway = self.site.settings(authority.gateway(now))
        self._running = {}

    def start(self, name):
        if name == "broker":
            with suppress(AssertionError):
                self.broker.start()
            return
        log = (self.folder / f"{name}.log").open("ab")
        out = (self.folder / f"{name}.out").open("ab")
        with log, out:
            self._running[name] = subprocess.Popen(
                self._commands()[name], stdout=out, stderr=log, cwd=_ROOT
            )

    def kill(self, name):
        if name == "broker":
            self.broker.kill()
            return
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def drain(self):
        """Let the device deliver what is left; return whether it could."""
        self.kill("device")
        command = [*self._commands()["device"], "--drain"]
        with (self.folder / "device.log").open("ab") as log:
            try:
                subprocess.run(command, stderr=log, cwd=_ROOT, check=True, timeout=_DRAIN_S)
            except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
                return False
        return True

    def emitted(self):
        """Return the ids of all lines that the gateway wrote whole."""
        found = []
        for line in (self.folder / "gateway.out").read_text(errors="replace").splitlines():
            with suppress(json.JSONDecodeError, KeyError, TypeError):
                event = json.loads(line)
                if event["type"] == "passerby.alert.v1":
                    found.append(event["id"])
        return found

    def _commands(self):
        device, gateway = self._device, self._gateway
        configuration = self.folder / "desk/desk.toml"
        configuration.write_text(
            f'[desk]\nkeys = "desk.key"\ndatabase = "{self.desk.url}"\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {self.site.port}\n'
            f'ca_file = "{gateway.ca_file}"\ncertificate_file = "{gateway.certificate_file}"\n'
            f'key_file = "{gateway.key_file}"\n'
        )
        return {
            "device": [
                *(sys.executable, "-m", "tests.reliability.publisher"),
                *("--folder", str(self.folder / "device"), "--port", str(self.site.port)),
                *("--rate", str(_RATE), "--receipt-timeout", "5", "--tls-ca", device.ca_file),
                *("--tls-certificate", device.certificate_file, "--tls-key", device.key_file),
            ],
            "gateway": [
                *(sys.executable, "-m", "tools.desk.main", "gateway"),
                *("--config", str(configuration)),
            ],
        }

    def close(self):
        for process in self._running.values():
            process.kill()
            process.wait()
        self.broker.stop()
        self.desk.close()


def one_run(folder, seed, kills):
    """Kill at random; return what was counted."""
    rng, cast = random.Random(seed), Cast(folder)
    names = ("broker", "gateway", "device")
    killed = dict.fromkeys(names, 0)
    try:
        for name in names:
            cast.start(name)
        wait_until(cast.desk.rows, 60, "the first alert")
        for number in range(kills):
            time.sleep(rng.uniform(*_PAUSE_S))
            name = rng.choice(names)
            cast.kill(name)
            killed[name] += 1
            if rng.random() < 0.3:
                # Two at once, so that what one remembers does not make up for the other.
                other = rng.choice([one for one in names if one != name])
                cast.kill(other)
                killed[other] += 1
                cast.start(other)
            cast.start(name)
            if number % 25 == 0:
                say(f"chaos, seed {seed}: {sum(killed.values())} kills")
        drained = cast.drain()
        time.sleep(2.0)  # the last lines of the gateway
        return _compare(cast, killed, drained=drained)
    finally:
        cast.close()


def _compare(cast, killed, *, drained):
    begun, kept = read_journal(cast.folder / "device")
    there = [row.id for row in cast.desk.rows() if row.kind == "alert"]
    emitted = cast.emitted()
    return {
        "kills": sum(killed.values()),
        **{f"kills of the {name}": count for name, count in killed.items()},
        "promised": len(kept),
        "received": len(there),
        "lost": len(set(kept) - set(there)),
        "phantom": len(set(there) - set(begun)),
        "twice in the database": len(there) - len(set(there)),
        "never emitted": len(set(there) - set(emitted)),
        "emitted again": len(emitted) - len(set(emitted)),
        "left in the outbox": 0 if drained else 1,
    }


def prove(options):
    kills = QUICK_KILLS if options.quick else KILLS
    seeds = 1 if options.quick else SEEDS
    runs = [
        one_run(options.work / f"chaos-{seed}", seed, kills)
        for seed in range(options.seed, options.seed + seeds)
    ]
    totals = {key: sum(run[key] for run in runs) for key in runs[0]}
    wrong = ("lost", "phantom", "twice in the database", "never emitted", "left in the outbox")
    held = totals["received"] > 0 and not any(totals[key] for key in wrong)
    claim = f"nothing is lost or made up by kill -9, {seeds} seeds, {_RATE} alerts/s"
    return Proof("process chaos", claim, held, {"seeds": seeds} | totals)
