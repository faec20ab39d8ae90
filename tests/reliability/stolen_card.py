"""Drill: a thief has the card of a device, with everything on it, and all that it ever sent or got.

    python -m tests.reliability.stolen_card [--json FILE] [--doc docs/stolen-device.md]

The real programs: a list is made and signed, a device opens it with the desk's key, watches
rendered people, and has an alert waiting. Its card is copied at six moments and attacked each time:
every byte is searched for what must not be there, every window of 32 bytes is tried as the key,
letters and recorded answers are opened with the device's own keys, and the appliance is started
from copies. A second deployment shows what `unlock = "local"` gives up. Some three minutes;
docs/stolen-device.md has the tables that this prints.
"""

import argparse
import base64
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import msgspec
import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from device.errors import PasserbyError
from device.matching.protection import Transformation
from device.protocol.authorisation import decode_authorisation
from device.protocol.bundle import AUTHORISATION, LOCAL_KEYS, WATCHLIST, LocalKeys
from device.protocol.cell import open_letter
from device.protocol.cose import verify
from device.protocol.envelope import Envelope
from device.protocol.keys import decode_private_keys, decode_public_keys
from device.protocol.messages import decode_message
from device.protocol.part import BundlePart
from device.protocol.sealed import MAGIC, open_list
from device.protocol.topics import Topics
from device.protocol.unlocking import unwrap_key
from device.vision import Catalogue, default_directory
from tests.simulators.mosquitto import Listener, Mosquitto, free_port, wait_until
from tests.simulators.terminal import environment
from tools.desk.main import main as passerby_desk
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.keepers import open_identity
from tools.desk.watchlist.session import Session
from tools.field.pki import Authority
from tools.lab.people import Person, Street, View, render, walk_past

SITE, DEVICE = "s-7f3a", "d-01"
TOPICS = Topics(SITE, DEVICE)
SUITE = "mlkem768-x25519"
DETECTOR, EMBEDDER = "passerby-detector-640x480", "passerby-embedder"
OFFICER, CUSTODIAN = "Inspector, badge 1042", "Records custodian, badge 2208"
WALKERS = (600_012, 600_028, 600_020)
"""Who walks past the camera; the second one is listed."""
LISTED = {
    "Ottilie Fennimore-Quist": ("1988-04-02", 600_028, "two officers on foot in three districts"),
    "Casimir Underhay-Voss": ("1979-11-23", 600_040, "letters to relatives and an employer"),
    "Philippa Strand-Okonjo": ("1991-07-15", 600_044, "visits at the last school and the harbour"),
}
_STREET = Street(size=(640, 480), rate=10, gap_s=2.2)
_PHOTO_PX = 480


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
            image = render(Person.from_seed(seed), View.frontal(seed), _PHOTO_PX).image
            cv2.imwrite(str(self.folder / f"{name.split()[0]}.png"), image)
        clip = cv2.VideoWriter(
            str(self.folder / "entrance.mp4"),
            cv2.VideoWriter_fourcc(*"mp4v"),
            _STREET.rate,
            _STREET.size,
        )
        for scene in walk_past([Person.from_seed(seed) for seed in WALKERS], 5, _STREET):
            clip.write(scene.image)
        clip.release()

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

SECRETS = ("names", "birth dates", "templates", "stored rows", "keys", "alert pictures", "alerts")
"""What no card may hold in any rendering, unless it can be unlocked locally."""
_PIECE = 16
"""A secret counts as found when this many of its bytes in a row are: 4 numbers, half a key."""


def renderings(secret):
    """Return a secret as bytes, as hexadecimal digits, and as base64 at each of three offsets."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for offset in range(3):
        # What the neighbours of the piece decide is cut off.
        text = base64.b64encode(bytes(offset) + secret)
        yield text[-(-offset * 8 // 6) : len(text) - 4]


def pieces(content):
    """Return a long secret in pieces, each of which gives it away."""
    return [content[at : at + _PIECE] for at in range(0, len(content) - _PIECE + 1, _PIECE)]


def numbers(rows):
    """Return pieces of vectors in every width in which somebody might have kept them."""
    rows = np.asarray(rows, np.float64)
    unit = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    kept = [each.astype(kind) for each in (rows, unit) for kind in (np.float16, np.float32, float)]
    return [piece for one in kept for row in one for piece in pieces(row.tobytes())]


def texts(words):
    """Return words as files may hold them."""
    return [form.encode(code) for word in words for form in (word, word.upper(), word.lower())
            for code in ("utf-8", "utf-16-le")]  # fmt: skip


class Canaries:
    """What is looked for. secrets: by kind, short byte strings before rendering."""

    def __init__(self, secrets):
        self.secrets = secrets
        self._needles = {
            kind: sorted({form for each in some for form in renderings(each)})
            for kind, some in secrets.items()
        }
        self._known = {}

    def in_(self, content):
        """Return how many different strings of each kind are in these bytes."""
        digest = hashlib.sha256(content).digest()
        if digest not in self._known:
            self._known[digest] = {
                kind: sum(needle in content for needle in needles)
                for kind, needles in self._needles.items()
            }
        return self._known[digest]

    def missed(self):
        """Plant each secret in each rendering among random bytes; return how many stay unseen."""
        noise = os.urandom(200)
        unseen = 0
        for kind, some in self.secrets.items():
            for secret in some:
                for form in (secret, secret.hex().encode(), base64.b64encode(noise + secret)):
                    planted = noise + form + noise
                    unseen += not any(needle in planted for needle in self._needles[kind])
        return unseen


def canaries(estate, state, alert):
    """Return what is looked for. state: with the list. alert: one that the desk has opened."""
    register, references, key = estate.truth()
    opened, keys = opened_with(state, key)
    crop = alert.data.crop.data
    words = [word for name in LISTED for word in (name, *name.split())]
    days = [born_on for born_on, _, _ in LISTED.values()]
    # Kept until it is read: what nobody holds any more is wiped.
    turned = Transformation(opened.seed.array.data, opened.header.dimension, len(opened.rows))
    return Canaries({
        "names": texts(words),
        "birth dates": texts([*days, *(day.replace("-", "") for day in days)]),
        "templates": numbers([np.frombuffer(t, "<f4") for r in references for t in r.templates]),
        "stored rows": [p for row in opened.rows for p in pieces(row.tobytes())]
        + [p for row in turned.rotations[0][:8] for p in pieces(row.tobytes())],
        "keys": [part for one in (key, *keys) for part in pieces(bytes(one))],
        "alert pictures": [*pieces(crop), b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"],
        "alerts": texts(["passerby.alert.v1", "possible match; not an", '"unreviewed"']),
        "reference ids": [entry.reference_id.encode() for entry in register.entries],
        "place, purpose, offices": texts(["North entrance", "Find three persons", OFFICER]),
    })  # fmt: skip


def opened_with(state, key):
    """Return an installed list, opened with its key, and the two keys that come of it."""
    targets = next(state.glob(f"bundle/**/{AUTHORISATION}")).parent
    signed = decode_authorisation((targets / AUTHORISATION).read_bytes())
    sealed = (targets / WATCHLIST).read_bytes()
    opened = open_list(sealed, key, watchlist=signed.watchlist, deployment=signed.deployment)
    lock = Lock(state)
    return opened, (lock.content_key(bytes(key)), bytes(opened.seed.array))


# --- what a thief tries ---


class Lock:
    """A sealed list, to try keys on quickly; the format stands in device/protocol/sealed.py.

    Deriving the key and the first block of the key stream tells a right key from a wrong one, since
    the content begins with a known word.
    """

    def __init__(self, state):
        targets = next(state.glob(f"bundle/**/{AUTHORISATION}")).parent
        signed = decode_authorisation((targets / AUTHORISATION).read_bytes())
        sealed = (targets / WATCHLIST).read_bytes()
        start = len(MAGIC)
        self._salt, self._nonce = sealed[start : start + 32], sealed[start + 32 : start + 44]
        self._first = sealed[start + 44 : start + 44 + 16]
        listed = signed.watchlist
        self._info = msgspec.json.encode(
            ["passerby sealed watchlist 1", "content", signed.deployment, listed.id, listed.version]
        )

    def content_key(self, key):
        return HKDF(SHA256(), 32, self._salt, self._info).derive(key)

    def opens(self, key):
        """Return whether 32 bytes are the deployment's key, or the content's itself."""
        return any(self._fits(one) for one in (self.content_key(key), key))

    def _fits(self, content_key):
        stream = Cipher(ChaCha20(content_key, (1).to_bytes(4, "little") + self._nonce), None)
        return stream.encryptor().update(self._first)[6:15] == b"watchlist"


_HEX = re.compile(rb"[0-9a-fA-F]{64,}")
_BASE64 = re.compile(rb"[0-9A-Za-z+/_-]{43,}")
_LARGE = 65_536
_STRIDE = 64


def windows(content, *, sparsely=False):
    """Yield every 32 bytes in a row, also of hexadecimal and base64 text.

    sparsely: every 64th only, as of every large file: of the sealed list, and of its parts as they
    arrive, which are ciphertext.
    """
    decoded = [bytes.fromhex(text[: len(text) // 2 * 2].decode()) for text in _HEX.findall(content)]
    for text in _BASE64.findall(content):
        with contextlib.suppress(ValueError):
            decoded.append(
                base64.b64decode(text[: len(text) // 4 * 4], b"-_" if b"_" in text else None)
            )
    for one in (content, *decoded):
        stride = _STRIDE if sparsely or len(one) > _LARGE else 1
        for at in range(0, len(one) - 31, stride):
            yield one[at : at + 32]


@dataclass
class Loot:
    """What one copy of a card gave. found: different strings by kind. letters: that wait in it."""

    moment: str
    files: int = 0
    size: int = 0
    found: dict = field(default_factory=dict)
    ids_in: list = field(default_factory=list)
    letters: list = field(default_factory=list)
    letters_opened: int = 0
    windows: int = 0
    keys_found: int = 0
    recorded: int = 0
    orders_read: int = 0
    wrapped: int = 0
    unwrapped: int = 0


class Thief:
    """Has a card's copies, and all traffic. looks_for: canaries."""

    def __init__(self, looks_for, recording, lock):
        self._looks_for, self._recording, self._lock = looks_for, recording, lock
        self._tried = set()

    def robs(self, moment, image):
        """Return what a copy gives away."""
        loot = Loot(moment)
        self._letters(image, loot)
        self._traffic(image, loot)
        totals = {}
        for path in sorted(path for path in image.rglob("*") if path.is_file()):
            content = path.read_bytes()
            loot.files += 1
            loot.size += len(content)
            found = self._looks_for.in_(content)
            totals = {kind: totals.get(kind, 0) + count for kind, count in found.items()}
            if found["reference ids"]:
                loot.ids_in.append(str(path.relative_to(image)))
            self._keys(content, loot, sparsely=path.suffix == ".part")
        loot.found = totals
        return loot

    def _keys(self, content, loot, *, sparsely=False):
        for window in windows(content, sparsely=sparsely):
            loot.windows += 1
            if window not in self._tried:
                self._tried.add(window)
                loot.keys_found += self._lock.opens(window)

    def _letters(self, image, loot):
        own = decode_private_keys((image / "state/identity.key").read_bytes())
        for kind, letter in letters(image):
            loot.letters.append(kind)
            with contextlib.suppress(PasserbyError):
                open_letter(letter, own, TOPICS.source)
                loot.letters_opened += 1

    def _traffic(self, image, loot):
        own = decode_private_keys((image / "state/identity.key").read_bytes())
        desk = decode_public_keys((image / "desk.pub").read_bytes())
        envelope = Envelope(own, desk, TOPICS, SUITE)
        for message in list(self._recording.messages):
            loot.recorded += 1
            try:
                said = envelope.open(message.payload, message.topic.split("/")[4]).message
            except (PasserbyError, ValueError):
                continue
            loot.orders_read += 1
            # A part of a bundle is what lies on the card as well.
            part = isinstance(said, BundlePart)
            self._keys(msgspec.json.encode(said), loot, sparsely=part)
            wrapped = getattr(said.data, "wrapped_key", None)
            if wrapped is not None:
                loot.wrapped += 1
                with contextlib.suppress(PasserbyError):
                    unwrap_key(wrapped, own, TOPICS.source, said.data.deployment)
                    loot.unwrapped += 1


def letters(image):
    """Return (kind, sealed letter) of all that wait on a card, read as anybody can, from a copy."""
    with tempfile.TemporaryDirectory() as folder:
        for path in (image / "state").glob("outbox.sqlite*"):
            shutil.copy(path, folder)
        with contextlib.closing(sqlite3.connect(f"{folder}/outbox.sqlite")) as base:
            return base.execute("SELECT kind, letter FROM letters ORDER BY number").fetchall()


# --- the drill ---


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


@dataclass
class Outcome:
    """What the drill found. refused, revoked: what the stolen card's appliance says in the end."""

    loot: list = field(default_factory=list)
    planted_unseen: int = 0
    right_key_found: bool = False
    desk_opens: int = 0
    memory: dict = field(default_factory=dict)
    before_report: list = field(default_factory=list)
    after_report: list = field(default_factory=list)
    after_revocation: list = field(default_factory=list)
    local: dict = field(default_factory=dict)


def drill(folder, say=print):
    """Do all of it in an empty folder. Returns the outcome; raises AssertionError when stuck."""
    outcome = Outcome()
    with ExitStack() as stack:
        (folder / "remote").mkdir(parents=True)
        estate = Estate(folder / "remote", stack)
        estate.prepare()
        say("a list of three is published and installed")
        estate.broker.start()
        stack.callback(estate.broker.stop)
        recording = Listener(estate.broker.port)
        stack.callback(recording.close)
        images = _moments(estate, folder / "images", outcome, say)
        armed = images["armed, an alert waits"]
        alert = _alert(estate, armed, outcome)
        looks_for = canaries(estate, armed.folder / "state", alert)
        outcome.planted_unseen = looks_for.missed()
        lock = Lock(armed.folder / "state")
        _, _, key = estate.truth()
        outcome.right_key_found = lock.opens(bytes(key)) and not lock.opens(os.urandom(32))
        thief = Thief(looks_for, recording, lock)
        for moment, image in images.items():
            outcome.loot.append(thief.robs(moment, image.folder))
            say(f"robbed: {moment}")
    outcome.local = local(folder / "local")
    return outcome


def _moments(estate, folder, outcome, say):
    """Live through what a device lives through; return copies of its card, by moment."""
    folder.mkdir()
    card, images = Card(estate.card), {}

    def taken(moment, of=card, running=None):
        images[moment] = of.copy(folder / str(len(images)), running)
        say(f"copied: {moment}")
        return images[moment]

    running = estate.start()
    card.wait_for("unlock asked")
    taken("started, the desk has not answered", running=running)
    estate.listen()
    card.wait_for("armed")
    estate.hush()
    card.wait_for("alert")
    # The audit log has its line first; the letter follows once it is sealed.
    wait_until(lambda: _waits(estate.card), what="a letter in the outbox")
    outcome.memory = memory_of(running)
    taken("armed, an alert waits", running=running)
    running.send_signal(signal.SIGKILL)
    running.wait()
    killed = taken("killed at the plug")
    outcome.before_report = _found(estate, killed.copy(folder / "found"), "armed", "comparing")
    running = estate.start()
    estate.listen()
    card.wait_for("armed", 2)
    estate.desk(f"order suspend --device {SITE}/{DEVICE} --config desk.toml --reason", "A drill")
    card.wait_for("disarmed")
    taken("suspended by the desk", running=running)
    estate.desk(f"devices stolen --site {SITE} --device {DEVICE} --config desk.toml")
    card.wait_for("erased")
    stop(running)
    estate.hush()
    taken("erased, reported stolen while it ran")
    late = killed.copy(folder / "late")
    outcome.after_report = _found(estate, late, "erased", "not comparing")
    taken("copied before, started after the report", late)
    estate.revoke_certificate()
    outcome.after_revocation = _shut_out(estate, killed.copy(folder / "revoked"))
    return images


def _waits(folder):
    """Return whether a letter waits in the outbox of a running appliance."""
    with contextlib.suppress(sqlite3.Error, OSError):
        return bool(letters(folder))
    return False


def _found(estate, card, event, state):
    """Start the appliance of a copy with the desk there. Returns [state, its reasons]."""
    before = card.events().count(event)
    estate.listen()
    running = estate.start(card.folder)
    card.wait_for(event, before + 1)
    card.wait_for_state(state)
    told = [card.told("state"), *card.told("reasons")]
    stop(running)
    estate.hush()
    return told


def _shut_out(estate, card):
    """Start a copy after its certificate was revoked. Returns what its journal says."""
    estate.listen()
    running = estate.start(card.folder)
    file = card.folder / "state/status.json"
    told = []

    def refused():
        with contextlib.suppress(OSError, ValueError):
            status = json.loads(file.read_text())
            if status["process"] == running.pid and "certificate" in status["broker"]:
                told[:] = [status["status"]["state"], status["broker"]]
        return bool(told)

    wait_until(refused, 120, "a refusal by the broker")
    stop(running)
    estate.hush()
    return told


def _alert(estate, image, outcome):
    """Open the waiting letters as the desk does: they are whole, and for the desk."""
    desk = decode_private_keys((estate.folder / "desk.key").read_bytes())
    device = decode_public_keys((estate.card / "device.pub").read_bytes())
    alerts = []
    for _, letter in letters(image.folder):
        signed = verify(open_letter(letter, desk, TOPICS.source), device, desk.public, len(letter))
        alerts.append(decode_message(signed.payload, "alert"))
    outcome.desk_opens = len(alerts)
    return alerts[0]


def memory_of(process):
    """Return what others than root see of the running appliance's memory."""
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if "core file" in line).split()[4:6]
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    tried = subprocess.run(
        ["head", "-c", "1", f"/proc/{process.pid}/mem"], capture_output=True, check=False, **nobody
    )
    return {"core": core, "refused": b"ermission denied" in tried.stderr, "as": "another user"
            if nobody else "its own user"}  # fmt: skip


def local(folder):
    """Show what a card with its own key gives up: everything but names."""
    folder.mkdir()
    with ExitStack() as stack:
        estate = Estate(folder, stack, "local")
        estate.prepare()
        register, references, _ = estate.truth()
    card = estate.card
    targets = next((card / "state").glob(f"bundle/**/{AUTHORISATION}")).parent
    signed = decode_authorisation((targets / AUTHORISATION).read_bytes())
    wrapped = msgspec.json.decode((targets / LOCAL_KEYS).read_bytes(), type=LocalKeys).wrapped
    own = decode_private_keys((card / "state/identity.key").read_bytes())
    key = unwrap_key(wrapped[TOPICS.source], own, TOPICS.source, signed.deployment)
    opened, _ = opened_with(card / "state", key)
    turned = Transformation(opened.seed.array.data, opened.header.dimension, len(opened.rows))
    plain = (opened.rows @ turned.rotations[0].T)[:, : opened.header.dimension]
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    truth = {one.reference_id: np.frombuffer(one.templates[0], "<f4") for one in references}
    rows = [truth[entry.reference_id] for entry in opened.header.entries]
    rows = [row / np.linalg.norm(row) for row in rows]
    words = texts([word for name in LISTED for word in (name, *name.split())])
    days = texts([born_on for born_on, _, _ in LISTED.values()])
    blobs = [path.read_bytes() for path in card.rglob("*") if path.is_file()]
    blobs.append(opened.content.array.tobytes())
    return {
        "references": len(register.entries),
        "ids": sum(entry.reference_id in truth for entry in opened.header.entries),
        "lowest cosine of a recovered template": round(
            min(float(a @ b) for a, b in zip(plain, rows, strict=True)), 6
        ),
        "names and birth dates": sum(word in blob for word in (*words, *days) for blob in blobs),
    }


def failures(outcome):
    """Return what a stolen card gave away, or what made the drill worth nothing; empty is good."""
    found = [
        f"{loot.moment}: {kind} found" for loot in outcome.loot for kind in SECRETS
        if loot.found[kind]
    ]  # fmt: skip
    for loot in outcome.loot:
        for what in ("letters_opened", "keys_found", "unwrapped"):
            found += [f"{loot.moment}: {what}"] if getattr(loot, what) else []
    checks = {
        "the search does not see what was planted": outcome.planted_unseen == 0,
        "the right key is not recognised": outcome.right_key_found,
        "no alert waited": outcome.desk_opens > 0,
        "no wrapped key was recorded": any(loot.wrapped for loot in outcome.loot),
        "others read the appliance's memory": outcome.memory["refused"],
        "the appliance dumps core": outcome.memory["core"] == ["0", "0"],
        "a copy was not erased after the report": outcome.after_report[0] == "not comparing",
        "a copy whose certificate is revoked compares": outcome.after_revocation[0] != "comparing",
        "names came with a locally unlocked list": outcome.local["names and birth dates"] == 0,
    }
    return found + [wrong for wrong, holds in checks.items() if not holds]


def lines(outcome):
    """Return the tables of docs/stolen-device.md."""
    yield (
        "| copied | files | names, birth dates | templates, plain or stored | keys "
        "| alerts, pictures | letters: waiting, opened | tried as key: windows, right |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for loot in outcome.loot:
        found = loot.found
        cells = (
            loot.moment,
            f"{loot.files}, {loot.size / 1000:,.0f} kB",
            found["names"] + found["birth dates"],
            found["templates"] + found["stored rows"],
            found["keys"],
            found["alert pictures"] + found["alerts"],
            f"{' '.join(loot.letters) or 'none'}, {loot.letters_opened}",
            f"{loot.windows:,}, {loot.keys_found}",
        )
        yield "| " + " | ".join(map(str, cells)) + " |"
    last = outcome.loot[-1]
    yield (
        f"\nRecorded traffic: {last.recorded} messages; the device's own keys open "
        f"{last.orders_read} of them, which the desk had sent to it; {last.wrapped} of those hold "
        f"a wrapped key, of which {last.unwrapped} opened."
    )
    yield f"\nReference ids stand in: {', '.join(_places(outcome))}."
    yield "\n| the appliance is started from a copy | it says |\n|---|---|"
    for when, said in (
        ("the desk does not know of the theft", outcome.before_report),
        ("reported stolen", outcome.after_report),
        ("its certificate is revoked", outcome.after_revocation),
    ):
        yield f"| {when} | {': '.join(filter(None, said))} |"
    found = outcome.local
    yield (
        f'\n`unlock = "local"`: {found["ids"]} of {found["references"]} reference ids read, '
        f"{found['references']} templates recovered (lowest cosine with the enrolled one "
        f"{found['lowest cosine of a recovered template']:.6f}), names and birth dates found: "
        f"{found['names and birth dates']}."
    )


def _places(outcome):
    """Return the files that hold reference ids, of all copies, without ids in their names."""
    names = {Path(place).parent.name + "/" if "manifests" in place else Path(place).name
             for loot in outcome.loot for place in loot.ids_in}  # fmt: skip
    return sorted(f"`{name}`" for name in names)


_MARKS = "<!-- the drill's tables -->\n", "<!-- end of the drill's tables -->\n"


def main():
    """Do the drill and print its tables; exit 1 when a card gave something away."""
    parser = argparse.ArgumentParser(description="A thief has a device's card.")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--doc", type=Path, metavar="FILE.md", help="write the tables into it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="card") as folder:
        outcome = drill(Path(folder), lambda line: print(line, file=sys.stderr))
    table = "\n".join(lines(outcome)) + "\n"
    print(table)
    if options.json:
        options.json.write_text(json.dumps(asdict(outcome), indent=1))
    if options.doc:
        before, _, rest = options.doc.read_text().partition(_MARKS[0])
        after = rest.partition(_MARKS[1])[2]
        options.doc.write_text(f"{before}{_MARKS[0]}\n{table}\n{_MARKS[1]}{after}")
    for failure in failures(outcome):
        print(f"FAILED: {failure}")
    return 1 if failures(outcome) else 0


if __name__ == "__main__":
    sys.exit(main())
