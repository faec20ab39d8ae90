"""Who holds which signing key: the public half as a file, and as a key in root metadata.

The holder and the office stand in root metadata beside the key (fields that TUF keeps and signs),
so that whoever reads a root knows whose signatures it asks for (R5). No I/O here.
"""

from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec import Meta, Struct
from securesystemslib.signer import Key, SSlibKey

from device.errors import ConfigurationError
from device.protocol.event import Sha256

Role = Literal["officer", "custodian", "root", "publishing"]
"""officer and custodian sign targets, root the root, publishing the snapshot and the timestamp."""

HOLDER_FIELD: Final = "x-passerby-holder"
ROLE_FIELD: Final = "x-passerby-role"
LARGEST_BYTES: Final = 8192

Holder = Annotated[str, Meta(min_length=2, max_length=200)]
_ED25519 = "ed25519"


class PublicHalf(Struct, frozen=True, forbid_unknown_fields=True):
    """The public half of a signing key.

    role: what it is for. holder: whose it is, by office and number, as the authorisation will write
    it. keyid: TUF's, SHA-256 of the key's canonical form. keytype, scheme, public: TUF's names and
    forms, as "ed25519" with 64 hexadecimal digits, or "ecdsa" with PEM for a token.
    """

    role: Role
    holder: Holder
    keyid: Sha256
    keytype: Literal["ed25519", "ecdsa"]
    scheme: Literal["ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"]
    public: Annotated[str, Meta(min_length=64, max_length=1024)]
    kind: Literal["passerby signing key 1"] = "passerby signing key 1"

    def key(self) -> SSlibKey:
        """Return the key for root metadata, with its holder and its office."""
        extra = {HOLDER_FIELD: self.holder, ROLE_FIELD: self.role}
        return SSlibKey(self.keyid, self.keytype, self.scheme, {"public": self.public}, extra)


def public_half(key: Key, role: Role, holder: str) -> PublicHalf:
    """Return a key as the public half of a holder. Raises ConfigurationError."""
    return _half(
        {
            "role": role,
            "holder": " ".join(holder.split()),
            "keyid": key.keyid,
            "keytype": key.keytype,
            "scheme": key.scheme,
            "public": key.keyval.get("public"),
        }
    )


def half_of(key: Key) -> PublicHalf:
    """Return the public half of a key in root metadata. Raises ConfigurationError."""
    extra = key.unrecognized_fields
    fields = ("keyid", "keytype", "scheme")
    found = {name: getattr(key, name) for name in fields} | {"public": key.keyval.get("public")}
    return _half(found | {"role": extra.get(ROLE_FIELD), "holder": extra.get(HOLDER_FIELD)})


def encode_half(half: PublicHalf) -> bytes:
    """Return the public half as JSON of one line for each field."""
    return msgspec.json.format(msgspec.json.encode(half, order="sorted")) + b"\n"


def decode_half(content: bytes) -> PublicHalf:
    """Return the public half of a file's content. Raises ConfigurationError."""
    try:
        if len(content) > LARGEST_BYTES:
            raise msgspec.ValidationError("it is too long")
        return _half(msgspec.json.decode(content))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"this is no public half of a signing key: {error}") from error


def _half(fields: object) -> PublicHalf:
    try:
        half = msgspec.convert(fields, PublicHalf)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"this is no public half of a signing key: {error}") from error
    if half.holder != " ".join(half.holder.split()) or not half.holder.isprintable():
        raise ConfigurationError("the holder of this key is not written in one line of plain text")
    _check_material(half)
    return half


def _check_material(half: PublicHalf) -> None:
    """Refuse a key that is not in its one form.

    TUF counts signatures by keyid and does not look whether the keyid is that of the key: under two
    names, one key could sign for two people.
    """
    try:
        if half.keytype == _ED25519:
            found = SSlibKey.from_crypto(
                Ed25519PublicKey.from_public_bytes(bytes.fromhex(half.public))
            )
        else:
            loaded = load_pem_public_key(half.public.encode())
            found = SSlibKey.from_crypto(loaded, scheme=half.scheme)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"the key of {half.holder} is damaged ({error})") from error
    written = (half.keyid, half.keytype, half.scheme, half.public)
    if (found.keyid, found.keytype, found.scheme, found.keyval["public"]) != written:
        raise ConfigurationError(f"the key of {half.holder} does not have the keyid that it claims")
