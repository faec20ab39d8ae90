"""Keys of one party: an Ed25519 key to sign with, and an HPKE key to receive with.

Every party has an X25519 and an ML-KEM-768 key, so that either suite can be selected. A party is
known by the fingerprint of its public keys; files of keys are JSON, the private one for its owner's
eyes only.
"""

import hashlib
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from msgspec import Meta, Struct

from device.errors import MessageError

KEY_ID_BYTES = 16
LARGEST_KEY_FILE_BYTES = 8192

Raw32 = Annotated[bytes, Meta(min_length=32, max_length=32)]


class PublicKeys(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What others may know of a party. All keys raw; base64 in JSON."""

    ed25519: Raw32
    x25519: Raw32
    mlkem768: Annotated[bytes, Meta(min_length=1184, max_length=1184)]
    kind: Literal["passerby public keys 1"] = "passerby public keys 1"

    @cached_property
    def key_id(self) -> bytes:
        """First 16 bytes of the SHA-256 of the three keys: names this party in every message."""
        keys = self.ed25519 + self.x25519 + self.mlkem768
        return hashlib.sha256(b"passerby keys 1" + keys).digest()[:KEY_ID_BYTES]

    @property
    def fingerprint(self) -> str:
        """The key id for people to compare, in groups of four hexadecimal digits."""
        digits = self.key_id.hex()
        return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))

    @cached_property
    def verifier(self) -> Ed25519PublicKey:
        """Checks this party's signatures."""
        return Ed25519PublicKey.from_public_bytes(self.ed25519)

    @cached_property
    def classic(self) -> X25519PublicKey:
        """Seals for this party with X25519 alone."""
        return X25519PublicKey.from_public_bytes(self.x25519)

    @cached_property
    def hybrid(self) -> hpke.MLKEM768X25519PublicKey:
        """Seals for this party with ML-KEM-768 and X25519 together."""
        lattice = MLKEM768PublicKey.from_public_bytes(self.mlkem768)
        return hpke.MLKEM768X25519PublicKey(lattice, self.classic)


class PrivateKeys(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A party's secrets. They are never printed and leave the process only into their own file."""

    ed25519: Raw32
    x25519: Raw32
    mlkem768: Annotated[bytes, Meta(min_length=64, max_length=64)]
    kind: Literal["passerby private keys 1"] = "passerby private keys 1"

    @classmethod
    def generate(cls) -> "PrivateKeys":
        """Return new random keys."""
        return cls(
            Ed25519PrivateKey.generate().private_bytes_raw(),
            X25519PrivateKey.generate().private_bytes_raw(),
            MLKEM768PrivateKey.generate().private_bytes_raw(),
        )

    @cached_property
    def signer(self) -> Ed25519PrivateKey:
        """Signs as this party."""
        return Ed25519PrivateKey.from_private_bytes(self.ed25519)

    @cached_property
    def classic(self) -> X25519PrivateKey:
        """Opens what was sealed with X25519 alone."""
        return X25519PrivateKey.from_private_bytes(self.x25519)

    @cached_property
    def hybrid(self) -> hpke.MLKEM768X25519PrivateKey:
        """Opens what was sealed with ML-KEM-768 and X25519 together."""
        lattice = MLKEM768PrivateKey.from_seed_bytes(self.mlkem768)
        return hpke.MLKEM768X25519PrivateKey(lattice, self.classic)

    @cached_property
    def public(self) -> PublicKeys:
        """The public half."""
        lattice = MLKEM768PrivateKey.from_seed_bytes(self.mlkem768)
        return PublicKeys(
            self.signer.public_key().public_bytes_raw(),
            self.classic.public_key().public_bytes_raw(),
            lattice.public_key().public_bytes_raw(),
        )

    def pseudonym(self, purpose: str) -> str:
        """Return a name that only the holder of these keys can know: 16 hexadecimal digits.

        For client ids and groups at a broker, which whoever knows them can take over.
        """
        return hashlib.sha256(f"passerby {purpose} 1".encode() + self.ed25519).hexdigest()[:16]

    def __repr__(self) -> str:
        return "<PrivateKeys>"


def encode_keys(keys: PublicKeys | PrivateKeys) -> bytes:
    """Return the content of a key file."""
    return msgspec.json.format(msgspec.json.encode(keys), indent=2) + b"\n"


def decode_public_keys(content: bytes) -> PublicKeys:
    """Return the keys of a public key file. Raises MessageError."""
    keys: PublicKeys = _decode(content, PublicKeys, "public")
    try:
        # Builds both, once: bytes of the right length need not be a key.
        _ = (keys.verifier, keys.hybrid)
        # Raises for a point that gives everybody the same secret.
        X25519PrivateKey.from_private_bytes(bytes(32)).exchange(keys.classic)
    except ValueError as error:
        raise MessageError(f"This file of public keys is damaged ({error}).") from error
    return keys


def decode_private_keys(content: bytes) -> PrivateKeys:
    """Return the keys of a private key file. Raises MessageError."""
    keys: PrivateKeys = _decode(content, PrivateKeys, "private")
    return keys


def _decode(content: bytes, kind: Any, name: str) -> Any:  # noqa: ANN401 - one of the two structs
    if len(content) > LARGEST_KEY_FILE_BYTES:
        raise MessageError(f"This is no file of {name} keys of Passerby: it is too long.")
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # The message of a decoder never quotes a secret: msgspec names the field, not its value.
        raise MessageError(f"This is no file of {name} keys of Passerby: {error}.") from error
