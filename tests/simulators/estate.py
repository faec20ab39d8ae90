"""A whole site: keys, desk, broker with TLS, a list in force and a device that watches a clip.

Real programs; everybody on the list is rendered or made up.
"""

import contextlib
import io
import json
import re
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta

from device.protocol.topics import Topics
from device.vision import Catalogue, default_directory
from tests.simulators.mosquitto import Mosquitto, free_port, wait_until
from tests.simulators.pictures import passages, photograph
from tests.simulators.terminal import environment
from tools.desk.main import main as passerby_desk
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.keepers import open_identity
from tools.desk.watchlist.session import Session
from tools.field.pki import Authority

SITE, DEVICE = "s-7f3a", "d-01"
TOPICS = Topics(SITE, DEVICE)
SUITE = "mlkem768-x25519"
DETECTOR, EMBEDDER = "passerby-detector-640x480", "passerby-embedder"
OFFICER, CUSTODIAN = "Inspector, badge 1042", "Records custodian, badge 2208"
LISTED = {
    "Ottilie Fennimore-Quist": ("1988-04-02", 600_028, "two officers on foot in three districts"),
    "Casimir Underhay-Voss": ("1979-11-23", 600_040, "letters to relatives and an employer"),
    "Philippa Strand-Okonjo": ("1991-07-15", 600_044, "visits at the last school and the harbour"),
}


class Estate:
    """A desk, its broker and one device, in a folder. unlock: of the device."""

    def __init__(self, folder, stack, unlock="remote"):
        self.folder, self._stack, self._unlock = folder, stack, unlock
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.pki = Authority.create(folder / "pki", self.now)
        self.card = folder / "card"
        self.card.mkdir()
        self.tls_port = free_port()
        self.broker = Mosquitto(folder / "broker", self._listeners())
        self.gateway = None
        self.evaluated = 10
        self._secret("passphrase", "seven herons cross a quiet river")

    def prepare(self):
        """Make keys, root, list and bundle; provision the device; nothing runs yet."""
        self._pictures()
        self._keys()
        self._configure()
        self.desk("keys create --out .")
        self.passerby("identity --config device.toml --out device.pub")
        self.desk(f"devices add card/device.pub --site {SITE} --device {DEVICE} --config desk.toml")
        self._list()
        self._bundle()
        shutil.copy(next(self.folder.glob("root/1.root.json")), self.card / "root.json")
        shutil.copy(self.folder / "desk.pub", self.card / "desk.pub")
        self.passerby("update --from ../stick --config device.toml")

    def desk(self, line, *more):
        """Run `passerby-desk` with these words; return what it prints."""
        said = io.StringIO()
        both = contextlib.redirect_stdout(said), contextlib.redirect_stderr(said)
        with contextlib.chdir(self.folder), both[0], both[1]:
            code = passerby_desk([*line.split(), *more])
        if code:
            raise AssertionError(f"passerby-desk {line}\n{said.getvalue()}")
        return said.getvalue()

    def passerby(self, line, card=None):
        """Run `passerby` on the device, or on another card; return what it prints."""
        done = subprocess.run(
            ["passerby", *line.split()],
            cwd=card or self.card,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"passerby {line}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, card=None):
        """Start the appliance of a card; its output is the card's journal."""
        card = card or self.card
        command = ["passerby", "--verbose", "run", "--config", "device.toml"]
        return self._process(command, card, card / "journal.log")

    def listen(self):
        """Start the gateway."""
        command = ["passerby-desk", "gateway", "--config", "desk.toml"]
        self.gateway = self._process(command, self.folder, self.folder / "gateway.log")

    def hush(self):
        """Stop the gateway."""
        stop(self.gateway)

    def revoke_certificate(self):
        """Put the device's certificate on the broker's list, and restart the broker."""
        self.pki.revoke(DEVICE, datetime.now(UTC))
        self.broker.stop()
        self.broker.start()

    def truth(self):
        """Return what the desk knows and no card may hold."""
        with contextlib.redirect_stderr(io.StringIO()):
            identity = open_identity(self.folder / "custodian.age", self.folder / "passphrase")
        session = Session(Deployment.at(self.deployment), identity, time.time_ns())
        key = session.vault.key(session.deployment.key)
        return session.register, session.templates(), key

    def _process(self, command, folder, log):
        with log.open("ab") as out:
            one = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, env=environment())
        self._stack.callback(kill, one)
        return one

    def _listeners(self):
        files = self.pki.broker(["127.0.0.1"], self.now)
        return [
            f"listener {self.tls_port} 127.0.0.1",
            f"cafile {self.folder}/pki/ca.pem",
            f"crlfile {self.folder}/pki/crl.pem",
            f"certfile {files}/broker.pem",
            f"keyfile {files}/broker.key",
            "require_certificate true",
            "use_identity_as_username true",
        ]

    def _secret(self, name, content):
        path = self.folder / name
        path.touch(0o600)
        path.write_text(content)

    def _pictures(self):
        for name, (_, seed, _) in LISTED.items():
            photograph(self.folder / f"{name.split()[0]}.png", seed)
        passages(self.folder / "entrance.mp4")

    def _keys(self):
        people = {"officer": OFFICER, "custodian": CUSTODIAN, "publishing": "Desk, room 12"}
        people |= {f"root-{n}": f"Holder of root key {n}" for n in (1, 2, 3)}
        for name, holder in people.items():
            line = f"signing-key create --role {name.split('-')[0]} --out keys --name {name}"
            self.desk(f"{line} --passphrase-file passphrase --holder", holder)
        self.desk(
            "root create --out root --root-key keys/root-1.pub keys/root-2.pub keys/root-3.pub "
            "--officer keys/officer.pub --custodian keys/custodian.pub "
            "--publishing keys/publishing.pub"
        )
        for n in (1, 2):
            self.desk(
                f"root sign --root root --key keys/root-{n}.pem --yes --passphrase-file passphrase"
            )

    def _list(self):
        self.desk(
            "watchlist keeper create --workplace workplace --out custodian.age "
            "--keeper-passphrase-file passphrase --name",
            CUSTODIAN,
        )
        said = self.desk("watchlist new --workplace workplace")
        self.deployment = self.folder / "workplace" / re.search(r"[0-9a-f-]{36}", said)[0]
        self._enter()

    def _enter(self):
        for name, (born_on, _, tried) in LISTED.items():
            fields = self._entry(name, born_on, tried)
            options = [word for pair in fields.items() for word in (f"--{pair[0]}", str(pair[1]))]
            self.desk(
                f"watchlist add {self._kept()} --detector {DETECTOR} --embedder {EMBEDDER} "
                f"--photo {name.split()[0]}.png",
                *options,
            )

    def _entry(self, name, born_on, tried):
        today = self.now.date()
        return {
            "name": name,
            "source": "booking photograph",
            "held-by": "Records section",
            "exhibit": f"B-{born_on}",
            "legal-basis": f"Arrest warrant {born_on}/1",
            "attested-by": CUSTODIAN,
            "category": "wanted on an arrest warrant",
            "necessity": f"Since the warrant was issued {tried} have not helped.",
            "proportionality": f"After {tried}, one entrance on one evening is the least.",
            "offence-class": "robbery",
            "born-on": born_on,
            "captured-on": today - timedelta(days=120),
            "attested-on": today,
            "review-on": today + timedelta(days=20),
            "expires-on": today + timedelta(days=30),
        }

    def _bundle(self):
        (self.folder / "plan.toml").write_text(self._plan())
        (self.folder / "statement.json").write_text(json.dumps(_statement(self.evaluated)))
        self.desk(
            f"watchlist authorise {self._kept()} --file plan.toml --evaluation statement.json"
        )
        local = f"--local-device {SITE}/{DEVICE}=card/device.pub"
        local = local if self._unlock == "local" else ""
        self.desk(f"watchlist seal {self._kept()} --root root {local}")
        for name in ("officer", "custodian"):
            self.desk(
                f"watchlist sign --deployment {self.deployment} --key keys/{name}.pem --yes "
                "--passphrase-file passphrase"
            )
        self.desk(
            f"watchlist publish {self._kept()} --key keys/publishing.pem --passphrase-file "
            "passphrase --config desk.toml"
        )
        self.desk(f"watchlist copy --deployment {self.deployment} --to stick")

    def _kept(self):
        return (
            f"--deployment {self.deployment} --keeper custodian.age "
            "--keeper-passphrase-file passphrase"
        )

    def _plan(self):
        begins, ends = self.now - timedelta(minutes=1), self.now + timedelta(hours=2)
        return f"""\
objective = "Find three persons wanted on arrest warrants at one entrance"
place = "North entrance of the arena"
devices = ["{SITE}/{DEVICE}"]
legal_basis = "Operational order 2026-014, section 3"
impact_assessment = "PIA 2026-002, approved"
officer = "{OFFICER}"
custodian = "{CUSTODIAN}"
pilot_ends_at = {ends + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}
exit_evaluation = "Audit office reports to the board"
mode = "alerting"
target_fpir = 0.003
detector = "{DETECTOR}"
embedder = "{EMBEDDER}"
[[windows]]
begins_at = {begins:%Y-%m-%dT%H:%M:%SZ}
ends_at = {ends:%Y-%m-%dT%H:%M:%SZ}
[signage]
attested_by = "Sergeant, badge 1177"
attested_at = {begins - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}
"""

    def _configure(self):
        pair = self.pki.device(DEVICE, self.now)
        shutil.copytree(pair, self.card / "tls")
        shutil.copy(self.folder / "pki/ca.pem", self.card / "tls/ca.pem")
        (self.card / "device.toml").write_text(f"""\
[device]
site = "{SITE}"
id = "{DEVICE}"
state_directory = "state"
[camera]
kind = "video"
path = "{self.folder}/entrance.mp4"
loop = true
[watchlist]
root = "root.json"
unlock = "{self._unlock}"
[broker]
host = "127.0.0.1"
port = {self.tls_port}
ca_file = "tls/ca.pem"
certificate_file = "tls/{next(pair.glob("*.key")).stem}.pem"
key_file = "tls/{next(pair.glob("*.key")).name}"
[desk]
public_keys = "desk.pub"
""")
        (self.folder / "desk.toml").write_text(f"""\
[desk]
keys = "desk.key"
database = "sqlite:///desk.db"
[broker]
host = "127.0.0.1"
port = {self.broker.port}
tls = false
[emit]
to = ["stdout"]
""")


def _statement(size):
    """Return a threshold statement as `passerby-lab evaluate` writes it, with made-up figures."""
    entries = [
        Catalogue.read(default_directory()).entry(name, role)
        for name, role in ((DETECTOR, "detector"), (EMBEDDER, "embedder"))
    ]
    bound = entries[1].scores.threshold
    return {
        "format": "passerby.threshold-statement.v1",
        "signed": False,
        "models": [{"role": one.role, "name": one.name, "sha256": one.sha256} for one in entries],
        "thresholds": [
            {
                "list_size": size,
                "whole_gallery": False,
                "target_fpir": 0.003,
                "supported": True,
                "threshold": bound,
                "threshold_upper_bound": bound,
                "fpir_bound": 0.003,
                "words": "Made up for a drill: no evaluation stands behind it.",
            }
        ],
    }


def kill(process):
    """End a process at once, as a power cut does."""
    if process.poll() is None:
        process.kill()
    process.wait()


def stop(process):
    """End a process politely."""
    process.send_signal(signal.SIGTERM)
    process.wait(60)


# --- what must not be on a card ---


class Card:
    """A card in use, or a copy of one: what its files say of the appliance."""

    def __init__(self, folder):
        self.folder = folder

    def events(self):
        path = self.folder / "state/audit.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [json.loads(line)["event"] for line in lines if line.endswith(b"}")]

    def wait_for(self, event, times=1):
        wait_until(lambda: self.events().count(event) >= times, 180, f"the event {event}")

    def wait_for_state(self, state):
        """Wait until a status that was written from now on says so."""
        since = time.time()
        file = self.folder / "state/status.json"
        wait_until(
            lambda: file.stat().st_mtime > since and self.told("state") == state,
            180,
            f"the state {state}",
        )

    def told(self, what):
        with contextlib.suppress(OSError, ValueError, KeyError):
            return json.loads((self.folder / "state/status.json").read_text())["status"][what]
        return None

    def journal(self):
        return (self.folder / "journal.log").read_text()

    def copy(self, folder, running=None):
        """Copy the card as it is at this moment. running: the appliance, halted meanwhile."""
        if running is not None:
            running.send_signal(signal.SIGSTOP)
        shutil.copytree(self.folder, folder, symlinks=True)
        if running is not None:
            running.send_signal(signal.SIGCONT)
        return Card(folder)
