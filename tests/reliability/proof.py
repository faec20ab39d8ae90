"""What a proof of delivery is: a claim, whether it held, and the figures. `delivery.py` runs them.

Each proof is a module with `prove(options) -> Proof`; a small run of it is in the test suite, the
whole in `make proof-delivery`. Figures go into docs/reliability.md by hand from the printed table,
with the command beside them.
"""

import json
import platform
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

from device import __version__


@dataclass(frozen=True)
class Proof:
    """name: of the proof. claim: what must hold. held: whether it did. figures: the counts."""

    name: str
    claim: str
    held: bool
    figures: dict = field(default_factory=dict)

    def line(self):
        verdict = "PASS" if self.held else "FAIL"
        figures = ", ".join(f"{key} {value}" for key, value in self.figures.items())
        return f"{verdict}  {self.name}: {self.claim}\n      {figures}"


def surroundings():
    """Return what the figures depend on."""
    mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    try:
        answer = subprocess.run([mosquitto, "-h"], capture_output=True, text=True, check=False)
        broker = answer.stdout.splitlines()[0]
    except (OSError, IndexError):
        broker = "no mosquitto"
    return {
        "passerby": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernel": platform.release().split("-")[0],
        "broker": broker,
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in ("paho-mqtt", "cryptography", "cbor2", "sqlalchemy")},
    }


def report(proofs):
    """Return all of it as JSON."""
    content = {"surroundings": surroundings(), "proofs": [asdict(proof) for proof in proofs]}
    return json.dumps(content, indent=2) + "\n"


def say(text):
    print(text, file=sys.stderr, flush=True)
