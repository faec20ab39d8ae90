"""A second implementation of docs/protocol.md that shares no code with the first.

CBOR and the layout by hand, HPKE from pyhpke (X25519) and, for the hybrid, from RFC 9180's key
schedule over the primitives; signatures from `cryptography`. Nothing of `device` is imported here.
"""

import hashlib
import hmac
import json
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path

import pyhpke
import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

VECTORS = Path(__file__).resolve().parents[2] / "docs/vectors"
HYBRID, CLASSIC = 1, 2
CELL = 12_288
EVENT, LETTER = "application/cloudevents+json", "application/vnd.passerby.letter"


class Tag(list):
    """A CBOR tag and its item."""


class Reader:
    """As much CBOR (RFC 8949) as Passerby uses, in its shortest form only."""

    def __init__(self, data):
        self._data, self.at = data, 0

    def _take(self, count):
        taken = self._data[self.at : self.at + count]
        assert len(taken) == count, "too short"
        self.at += count
        return taken

    def item(self):  # noqa: PLR0911 - one line for each type
        (first,) = self._take(1)
        major, small = first >> 5, first & 31
        if major == 7:
            return {20: False, 21: True}[small]
        assert small <= 27, "no fixed length"
        value = small
        if small >= 24:
            width = 1 << (small - 24)
            value = int.from_bytes(self._take(width), "big")
            assert value >= (24 if width == 1 else 1 << (4 * width)), "not the shortest form"
        if major == 0:
            return value
        if major == 1:
            return -1 - value
        if major == 2:
            return self._take(value)
        if major == 3:
            return self._take(value).decode()
        if major == 4:
            return [self.item() for _ in range(value)]
        if major == 5:
            return self._map(value)
        return Tag([value, self.item()])

    def _map(self, count):
        found, before = {}, b""
        for _ in range(count):
            start = self.at
            key = self.item()
            raw = self._data[start : self.at]
            assert before < raw, "keys out of order"
            before = raw
            found[key] = self.item()
        return found


def read(data):
    reader = Reader(data)
    value = reader.item()
    assert reader.at == len(data), "something follows"
    return value


def head(major, value):
    if value < 24:
        return bytes((major << 5 | value,))
    for code, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << (8 * width):
            return bytes((major << 5 | code,)) + value.to_bytes(width, "big")
    raise OverflowError(value)


def write(value):  # noqa: PLR0911 - one line for each type
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, Tag):
        return head(6, value[0]) + write(value[1])
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(write(one) for one in value)
    pairs = sorted((write(key), write(one)) for key, one in value.items())
    return head(5, len(pairs)) + b"".join(key + one for key, one in pairs)


@dataclass
class Keys:
    """The keys of one party, from its files."""

    signs: Ed25519PrivateKey
    classic: X25519PrivateKey
    lattice: MLKEM768PrivateKey

    @classmethod
    def of(cls, private):
        return cls(
            Ed25519PrivateKey.from_private_bytes(b64decode(private["ed25519"])),
            X25519PrivateKey.from_private_bytes(b64decode(private["x25519"])),
            MLKEM768PrivateKey.from_seed_bytes(b64decode(private["mlkem768"])),
        )

    @property
    def public(self):
        return [
            one.public_key().public_bytes_raw() for one in (self.signs, self.classic, self.lattice)
        ]

    @property
    def key_id(self):
        return hashlib.sha256(b"passerby keys 1" + b"".join(self.public)).digest()[:16]


def info(purpose, suite, source, to, *more):
    return write(["passerby", 1, purpose, suite, source, to, *more])


SUITE = pyhpke.CipherSuite.new(
    pyhpke.KEMId.DHKEM_X25519_HKDF_SHA256, pyhpke.KDFId.HKDF_SHA256, pyhpke.AEADId.CHACHA20_POLY1305
)


def expand(prk, label, length):
    """HKDF-Expand of RFC 5869, for up to 32 bytes."""
    return hmac.digest(prk, label + b"\1", "sha256")[:length]


def hybrid_schedule(secret, bound):
    """KeySchedule of RFC 9180, 5.1, base mode: the key and the nonce of the first message."""
    suite = b"HPKE" + bytes.fromhex("647a 0001 0003")

    def extract(salt, label, keying):
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + keying, "sha256")

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", bound)
    prk = extract(secret, b"secret", b"")

    def labeled(label, length):
        info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
        return expand(prk, info, length)

    return labeled(b"key", 32), labeled(b"base_nonce", 12)


def combined(lattice, classic, ephemeral, own):
    """Combine two shared secrets as X-Wing does."""
    return hashlib.sha3_256(lattice + classic + ephemeral + own + rb"\.//^\ "[:6]).digest()


def unseal(sealed, keys, source, purpose, *more):
    version, suite = sealed[:2]
    assert version == 1
    assert sealed[2:18] == keys.key_id
    bound = info(purpose, suite, source, keys.key_id, *more)
    if suite == CLASSIC:
        key = pyhpke.KEMKey.from_pyca_cryptography_key(keys.classic)
        return SUITE.create_recipient_context(sealed[18:50], key, info=bound).open(sealed[50:])
    assert suite == HYBRID
    ephemeral = sealed[18 + 1088 : 18 + 1120]
    secret = combined(
        keys.lattice.decapsulate(sealed[18 : 18 + 1088]),
        keys.classic.exchange(X25519PublicKey.from_public_bytes(ephemeral)),
        ephemeral,
        keys.classic.public_key().public_bytes_raw(),
    )
    key, nonce = hybrid_schedule(secret, bound)
    return ChaCha20Poly1305(key).decrypt(nonce, sealed[18 + 1120 :], b"")


def seal(content, to, source, purpose, suite, *more):
    """Seal for the public keys [Ed25519, X25519, ML-KEM-768] of a party."""
    key_id = hashlib.sha256(b"passerby keys 1" + b"".join(to)).digest()[:16]
    bound, start = info(purpose, suite, source, key_id, *more), bytes((1, suite)) + key_id
    if suite == CLASSIC:
        key = pyhpke.KEMKey.from_pyca_cryptography_key(X25519PublicKey.from_public_bytes(to[1]))
        encapsulated, context = SUITE.create_sender_context(key, info=bound)
        return start + encapsulated + context.seal(content)
    lattice, wrapped = MLKEM768PublicKey.from_public_bytes(to[2]).encapsulate()
    own = X25519PrivateKey.generate()
    ephemeral = own.public_key().public_bytes_raw()
    classic = own.exchange(X25519PublicKey.from_public_bytes(to[1]))
    key, nonce = hybrid_schedule(combined(lattice, classic, ephemeral, to[1]), bound)
    return start + wrapped + ephemeral + ChaCha20Poly1305(key).encrypt(nonce, content, b"")


def padded(content, suite):
    space = CELL - 18 - 16 - (32 if suite == CLASSIC else 1120)
    return (len(content).to_bytes(4, "big") + content).ljust(space, b"\0")


def unpadded(content):
    end = 4 + int.from_bytes(content[:4], "big")
    assert not any(content[end:])
    return content[4:end]


def signature_input(protected, payload):
    return write(["Signature1", protected, b"passerby/v1", payload])


def sign(payload, keys, to, dispatch=None):
    """dispatch: the labels "sent" and "delayed" of a letter."""
    key_id = hashlib.sha256(b"passerby keys 1" + b"".join(to)).digest()[:16]
    header = {1: -8, 3: LETTER if dispatch else EVENT, 4: keys.key_id, "to": key_id, "v": 1}
    header |= dispatch or {}
    header[2] = sorted(label for label in header if isinstance(label, str))
    protected = write(header)
    signature = keys.signs.sign(signature_input(protected, payload))
    return write(Tag([18, [protected, {}, payload, signature]]))


def checked(message, sender, to):
    """Return the header and the payload of a signed message. sender: Ed25519 public key, key id."""
    tag, (protected, unprotected, payload, signature) = read(message)
    assert tag == 18
    assert unprotected == {}
    header = read(protected)
    named = {label for label in header if isinstance(label, str)}
    assert set(header) - named == {1, 2, 3, 4}
    assert header[2] == sorted(named)
    assert (header[1], header["v"], header["to"], header[4]) == (-8, 1, to, sender[1])
    assert named == ({"to", "v", "sent", "delayed"} if header[3] == LETTER else {"to", "v"})
    Ed25519PublicKey.from_public_bytes(sender[0]).verify(
        signature, signature_input(protected, payload)
    )
    return header, payload


def opened(cell, keys, sender, source):
    """Return the event of a cell, and when its letter was sent."""
    assert len(cell) == CELL
    header, payload = checked(unpadded(unseal(cell, keys, source, "cell")), sender, keys.key_id)
    if header[3] == EVENT:
        return payload, None
    inner, event = checked(unseal(payload, keys, source, "letter"), sender, keys.key_id)
    assert inner[3] == EVENT
    return event, (header["sent"], header["delayed"], hashlib.sha256(payload).hexdigest())


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


PARTIES = {name: Keys.of(one["private"]) for name, one in load("keys")["parties"].items()}
SOURCE = load("keys")["device"]
CASES = [
    (suite, vector) for suite in ("x25519", "mlkem768-x25519") for vector in load(suite)["vectors"]
]


def known(name):
    """Return the key that a party signs with, and its key id."""
    return PARTIES[name].public[0], PARTIES[name].key_id


@pytest.mark.parametrize("name", PARTIES)
def test_keys_and_key_ids_are_derived_as_the_specification_says(name):
    published = load("keys")["parties"][name]
    assert PARTIES[name].key_id.hex() == published["key_id"]
    names = ("ed25519", "x25519", "mlkem768")
    assert PARTIES[name].public == [b64decode(published["public"][one]) for one in names]


@pytest.mark.parametrize(
    ("suite", "vector"), CASES, ids=lambda v: v if isinstance(v, str) else v["name"]
)
def test_a_second_implementation_opens_the_published_vectors(suite, vector):
    event, letter = opened(
        b64decode(vector["cell"]), PARTIES[vector["to"]], known(vector["from"]), SOURCE
    )
    assert event.decode() == vector["event"]
    expected = vector.get("letter")
    if expected is None:
        assert letter is None
    else:
        assert letter == (expected["sent_ms"], expected["delayed"], expected["sha256"])
    written = json.dumps(
        json.loads(event), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert written.encode() == event, "Python's json writes the same canonical form"


@pytest.mark.parametrize(
    ("suite", "vector"), CASES, ids=lambda v: v if isinstance(v, str) else v["name"]
)
def test_a_second_implementation_signs_the_same_bytes(suite, vector):
    own, to = PARTIES[vector["from"]], PARTIES[vector["to"]].public
    event, letter = vector["event"].encode(), vector.get("letter")
    if letter is None:
        assert sign(event, own, to) == b64decode(vector["signed"])
    else:
        assert sign(event, own, to) == b64decode(letter["signed"])
        said = {"sent": letter["sent_ms"], "delayed": letter["delayed"]}
        signed = sign(b64decode(letter["sealed"]), own, to, said)
        assert signed == b64decode(vector["signed"])


@pytest.mark.parametrize("vector", load("unlocking")["vectors"], ids=lambda v: v["name"])
def test_a_second_implementation_unwraps_the_published_keys_and_no_other(vector):
    wrapped, keys = b64decode(vector["wrapped"]), PARTIES[vector["to"]]
    deployment = load("unlocking")["deployment"]
    if vector["refusal"] is None:
        assert unseal(wrapped, keys, SOURCE, "list key", deployment).hex() == vector["key"]
        return
    with pytest.raises((AssertionError, InvalidTag, pyhpke.PyHPKEError, ValueError)):
        assert len(unseal(wrapped, keys, SOURCE, "list key", deployment)) == 32


# What the other implementation opens is more than format: rules of messages are its business.
RULES = {
    "in the name of another device", "in the name of another desk", "a receipt for another device",
    "an answer for another device", "a part for another device",
}  # fmt: skip
FORMAT = [
    vector
    for vector in load("refused")["vectors"]
    if vector["refusal"]
    in {"ForgedError", "TruncatedError", "UnknownVersionError", "OversizeError"}
    or (vector["refusal"] == "MisaddressedError" and vector["name"] not in RULES)
]


@pytest.mark.parametrize("vector", FORMAT, ids=lambda v: v["name"])
def test_a_second_implementation_refuses_what_is_not_in_the_format(vector):
    sender = "desk" if vector["to"] == "device" else "device"
    with pytest.raises(
        (AssertionError, InvalidSignature, InvalidTag, pyhpke.PyHPKEError, ValueError, KeyError)
    ):
        opened(b64decode(vector["cell"]), PARTIES[vector["to"]], known(sender), SOURCE)
