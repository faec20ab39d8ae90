"""Unlocking: how a device gets the key of its watchlist without ever keeping it (R49).

At a start the device makes keys that live for one answer, asks the desk with their public half, and
the desk wraps the deployment's key to them, unless the device was reported stolen or the deployment
has ended. Both are cells like everything else; the wrapped key inside is sealed once more, for keys
that no disk has ever seen: who steals a device and has recorded everything opens nothing.

The answer is bound to its question by id and nonce, so its `time` is also a fresh, trusted one.
"""

import secrets
from typing import Annotated, Final, Literal

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec import Meta, Struct

from device.errors import MessageError
from device.protocol.alert import ListVersion
from device.protocol.event import DeskSource, Sha256, Source, Time, Uuid
from device.protocol.hpke import Opener, SuiteName, seal, unseal
from device.protocol.keys import PublicKeys, decode_public_keys, encode_keys
from device.protocol.refusals import NotCanonicalError

UNLOCK_REQUEST_TYPE: Final = "passerby.unlock-request.v1"
UNLOCK_REQUEST_SCHEMA: Final = "urn:passerby:schema:unlock-request:1"
UNLOCK_TYPE: Final = "passerby.unlock.v1"
UNLOCK_SCHEMA: Final = "urn:passerby:schema:unlock:1"

DEPLOYMENT_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 32
_LARGEST_WRAPPED_BYTES = 2_048

Nonce = Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Wrapped = Annotated[bytes, Meta(min_length=1, max_length=_LARGEST_WRAPPED_BYTES)]
Refusal = Literal["reported stolen", "ended", "unknown"]
"""Why the desk gives no key. "ended": the key was destroyed. "unknown": it has none for this device
and this deployment."""


class UnlockRequestData(Struct, frozen=True, forbid_unknown_fields=True):
    """Which list a device wants to open, and for whose eyes the answer is.

    sealed_sha256: of the file that it holds. nonce: 32 random bytes, new in every request. keys:
    the public half of keys that live for one answer, in memory only; their Ed25519 key signs
    nothing.
    """

    deployment: Uuid
    watchlist: ListVersion
    sealed_sha256: Sha256
    nonce: Nonce
    keys: PublicKeys


class UnlockRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A request as a CloudEvents 1.0 event. time: the device's clock, which may be wrong."""

    id: Uuid
    source: Source
    time: Time
    data: UnlockRequestData
    specversion: Literal["1.0"] = "1.0"
    type: Literal["passerby.unlock-request.v1"] = UNLOCK_REQUEST_TYPE
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:passerby:schema:unlock-request:1"] = UNLOCK_REQUEST_SCHEMA


class UnlockData(Struct, frozen=True, forbid_unknown_fields=True):
    """The answer to one request, named by its id and nonce.

    wrapped_key: the deployment's key, sealed for the request's keys; null in a refusal. refusal:
    why not; null beside a key.
    """

    device: Source
    request: Uuid
    nonce: Nonce
    deployment: Uuid
    wrapped_key: Wrapped | None
    refusal: Refusal | None


class Unlock(Struct, frozen=True, forbid_unknown_fields=True):
    """An answer as a CloudEvents 1.0 event. source: the desk. time: the desk's clock, trusted."""

    id: Uuid
    source: DeskSource
    time: Time
    data: UnlockData
    specversion: Literal["1.0"] = "1.0"
    type: Literal["passerby.unlock.v1"] = UNLOCK_TYPE
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:passerby:schema:unlock:1"] = UNLOCK_SCHEMA


class OneTimeKeys:
    """Keys for one answer. They are never written down and never leave the libraries that use them.

    No secret of theirs becomes a Python object, which nobody could overwrite: OpenSSL clears its
    own memory when the last reference to this goes.
    """

    def __init__(self) -> None:
        self.classic = X25519PrivateKey.generate()
        lattice = MLKEM768PrivateKey.generate()
        self.hybrid = hpke.MLKEM768X25519PrivateKey(lattice, self.classic)
        self.public = PublicKeys(
            # Nobody signs with it: its private half is gone at the end of this line.
            Ed25519PrivateKey.generate().public_key().public_bytes_raw(),
            self.classic.public_key().public_bytes_raw(),
            lattice.public_key().public_bytes_raw(),
        )

    def __repr__(self) -> str:
        return "<OneTimeKeys>"


def new_nonce() -> bytes:
    """Return 32 random bytes."""
    return secrets.token_bytes(NONCE_BYTES)


def wrap_key(
    deployment_key: bytes,
    to: PublicKeys,
    source: str,
    deployment: str,
    suite: SuiteName = "mlkem768-x25519",
) -> bytes:
    """Seal a deployment's key, 32 bytes, for one recipient.

    source: URI of the device that shall use it (of the desk, where the desk keeps it for itself).
    Raises MessageError when it is no such key.
    """
    if len(deployment_key) != DEPLOYMENT_KEY_BYTES:
        raise MessageError(f"The key of a deployment has {DEPLOYMENT_KEY_BYTES} bytes.")
    return seal(bytes(deployment_key), to, source, suite, "list key", deployment)


def unwrap_key(wrapped: bytes, own: Opener, source: str, deployment: str) -> bytes:
    """Return the deployment's key that was wrapped for these keys, this device, this deployment.

    Raises TruncatedError, UnknownVersionError, MisaddressedError, ForgedError, NotCanonicalError.
    """
    key = unseal(wrapped, own, source, "list key", deployment)
    if len(key) != DEPLOYMENT_KEY_BYTES:
        raise NotCanonicalError(f"The key of a deployment has {DEPLOYMENT_KEY_BYTES} bytes.")
    return key


def check_request(request: UnlockRequest) -> None:
    """Raise MessageError when nobody could seal an answer for the keys of a request."""
    decode_public_keys(encode_keys(request.data.keys))


def check_unlock(unlock: Unlock) -> None:
    """Raise MessageError when an answer gives a key and refuses it, or neither."""
    if (unlock.data.wrapped_key is None) == (unlock.data.refusal is None):
        raise MessageError("An answer gives a key or says why not, and only one of them.")
