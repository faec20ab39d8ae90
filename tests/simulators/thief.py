"""Somebody who has a card and all the time in the world: what is searched for, and every way in."""

import base64
import contextlib
import hashlib
import os
import re
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass, field

import msgspec
import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from device.errors import PasserbyError
from device.matching.protection import Transformation
from device.protocol.authorisation import decode_authorisation
from device.protocol.bundle import AUTHORISATION, WATCHLIST
from device.protocol.cell import open_letter
from device.protocol.envelope import Envelope
from device.protocol.keys import decode_private_keys, decode_public_keys
from device.protocol.part import BundlePart
from device.protocol.sealed import MAGIC, open_list
from device.protocol.unlocking import unwrap_key
from tests.simulators.estate import LISTED, OFFICER, SUITE, TOPICS

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
