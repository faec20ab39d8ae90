"""The last line of an export: which lines it holds, signed, so that none can be taken from it."""

from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from device.audit.line import Number, Signature, authentic, signed
from device.protocol.event import Sha256, Time

_END: Final = b"passerby audit export 1\n"


class Ending(Struct, frozen=True, forbid_unknown_fields=True):
    """The signed end of an export.

    at: when it was made. first, last: numbers of its lines. hash: of its last line. from_at, to_at:
    what was asked for; None is everything. newest: number of the log's newest line then.
    """

    at: Time
    first: Number
    from_at: Time | None
    hash: Sha256
    last: Number
    newest: Number
    to_at: Time | None
    kind: Literal["passerby audit export 1"] = "passerby audit export 1"
    signature: Signature | None = None


def signed_ending(ending: Ending, signer: Ed25519PrivateKey) -> Ending:
    """Return it with the device's signature."""
    return signed(ending, signer, _END)


def authentic_ending(ending: Ending, key: Ed25519PublicKey) -> bool:
    """Say whether the key's owner signed this end."""
    return authentic(ending, ending.signature, key, _END)
