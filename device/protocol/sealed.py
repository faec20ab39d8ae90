"""`watchlist.sealed`: the list as it travels and rests, only ever as ciphertext (R46, R49, R56).

    16 bytes  PASSERBY-SEALED1
    32 bytes  salt, random at every sealing
    12 bytes  nonce, random
     n bytes  ChaCha20-Poly1305 of the content, the bytes before as associated data; 16 of tag

The content is the header as MessagePack behind its length (4 bytes, little-endian), zeros up to
`HEADER_BYTES`, and then `MOST_REFERENCES` rows of float32, those that are not used zero. So every
list of one embedder has one length, and a file's length does not tell how many are on it (R45).

Two keys come from the deployment's by HKDF-SHA256, bound to deployment, list, version and salt: one
opens the content, the other is the seed of the transformation (`device.matching.protection`). A key
of another deployment, or for another list or version, opens nothing. ChaCha20, because a Raspberry
Pi 4 has no instructions for AES.

The content holds reference ids that mean nothing outside the desk, dates and transformed templates:
no name, no picture, and no field in which one could travel.
"""

import math
import secrets
import struct
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta, Struct

from device.errors import WatchlistError
from device.memory import Key, LockedBuffer, overwrite
from device.protocol.alert import ListVersion
from device.protocol.bundle import LARGEST_TARGET_BYTES, WATCHLIST
from device.protocol.event import Sha256, Time, Uuid
from device.protocol.identifiers import utc_ns
from device.protocol.watchlist import MOST_REFERENCES

MAGIC: Final = b"PASSERBY-SEALED1"
KEY_BYTES: Final = 32
HEADER_BYTES: Final = 256 * 1024
"""Room for the ids and dates of the longest list, some 185 kB."""
_SALT_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_OPEN_BYTES: Final = len(MAGIC) + _SALT_BYTES + _NONCE_BYTES
_LENGTH: Final = struct.Struct("<I")
_FLOAT32_BYTES: Final = 4
_WIDEST: Final = 16_384

Rows = npt.NDArray[np.float32]

OpaqueReference = Annotated[str, Meta(pattern=r"^r-[0-9a-f]{12,32}\Z")]
"""Random digits, as the desk makes them: what could be a name, a number or a date is refused."""


class ListedReference(Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """One reference. From the earlier of its two dates on it is not looked for (R7)."""

    reference_id: OpaqueReference
    expires_at: Time
    review_at: Time

    @property
    def ends_ns(self) -> int:
        """When it stops counting, nanoseconds since 1970."""
        return min(utc_ns(self.expires_at), utc_ns(self.review_at))


class ListHeader(Struct, frozen=True, forbid_unknown_fields=True):
    """What a sealed list says of itself.

    embedder, embedder_sha256: the model that made it; no other may compare. dimension: numbers of a
    template. width: numbers of a stored row. entries: in the order of the rows.
    """

    watchlist: ListVersion
    deployment: Uuid
    created_at: Time
    embedder: Annotated[str, Meta(min_length=1, max_length=128)]
    embedder_sha256: Sha256
    dimension: Annotated[int, Meta(ge=8, le=4096)]
    width: Annotated[int, Meta(ge=8, le=_WIDEST)]
    entries: Annotated[list[ListedReference], Meta(min_length=1, max_length=MOST_REFERENCES)]
    kind: Literal["passerby sealed watchlist 1"] = "passerby sealed watchlist 1"


class OpenedList:
    """A sealed list in locked memory. Whoever has it wipes it.

    header: what it says of itself. content: all of the plaintext. seed: 32 bytes, of the
    transformation.
    """

    __slots__ = ("content", "header", "seed")

    def __init__(self, header: ListHeader, content: LockedBuffer, seed: LockedBuffer) -> None:
        self.header = header
        self.content = content
        self.seed = seed

    @property
    def rows(self) -> Rows:
        """The stored rows, (entries, width) little-endian float32: a view of `content`."""
        shape = len(self.header.entries), self.header.width
        used = self.content.array[HEADER_BYTES:][: math.prod(shape) * _FLOAT32_BYTES]
        return used.view("<f4").reshape(shape)

    @property
    def fault(self) -> str | None:
        """Why it may be swapped to the disk, or None."""
        return self.content.fault or self.seed.fault

    def wipe(self) -> None:
        """Overwrite all of it."""
        self.content.wipe()
        self.seed.wipe()

    def __repr__(self) -> str:
        return f"<OpenedList of {len(self.header.entries)} references>"


class Sealing:
    """The keys of one sealing, for the desk. salt: new for every sealing."""

    __slots__ = ("_content_key", "salt", "seed")

    def __init__(self, deployment_key: Key, watchlist: ListVersion, deployment: str) -> None:
        """Raises WatchlistError for a key of another length."""
        self.salt = secrets.token_bytes(_SALT_BYTES)
        self._content_key = _derive(deployment_key, self.salt, "content", watchlist, deployment)
        self.seed = _derive(deployment_key, self.salt, "transformation", watchlist, deployment)

    def seal(self, header: ListHeader, rows: Rows) -> bytes:
        """Return the file. rows: (entries, width) float32, transformed by this sealing's seed.

        Raises WatchlistError when the header breaks a rule that opening checks.
        """
        packed = msgspec.msgpack.encode(header)
        try:
            _check(_decoded(packed), len(packed))
        except WatchlistError as error:
            raise WatchlistError(f"This watchlist cannot be sealed: {error}.") from error
        if rows.shape != (len(header.entries), header.width):
            raise WatchlistError("This watchlist cannot be sealed: rows and references differ.")
        content = bytearray(_content_bytes(header.width))
        content[: _LENGTH.size + len(packed)] = _LENGTH.pack(len(packed)) + packed
        content[HEADER_BYTES : HEADER_BYTES + rows.nbytes] = np.ascontiguousarray(rows, "<f4").data
        start = MAGIC + self.salt + secrets.token_bytes(_NONCE_BYTES)
        nonce = start[-_NONCE_BYTES:]
        try:
            return start + ChaCha20Poly1305(self._content_key).encrypt(nonce, content, start)
        finally:
            overwrite(content)

    def wipe(self) -> None:
        """Overwrite the keys."""
        overwrite(self._content_key)
        overwrite(self.seed)


def open_list(
    sealed: bytes, deployment_key: Key, *, watchlist: ListVersion, deployment: str
) -> OpenedList:
    """Return the list that a file holds, decrypted straight into locked memory.

    deployment_key: 32 bytes; the caller overwrites it. watchlist, deployment: as the signed
    authorisation names them. Raises WatchlistError, in one sentence: another key, another list,
    cut, damaged, or one that breaks a rule (R12: its cap; R56: ids that could tell something).
    """
    _check_outside(sealed)
    salt = sealed[len(MAGIC) : len(MAGIC) + _SALT_BYTES]
    content = LockedBuffer(len(sealed) - _OPEN_BYTES - _TAG_BYTES)
    seed = LockedBuffer(KEY_BYTES)
    opened: OpenedList | None = None
    try:
        key = _derive(deployment_key, salt, "content", watchlist, deployment)
        _decrypt(sealed, key, content)
        header = _header_of(content)
        _check_belongs(header, watchlist, deployment)
        derived = _derive(deployment_key, salt, "transformation", watchlist, deployment)
        seed.array.data[:] = derived
        overwrite(derived)
        opened = OpenedList(header, content, seed)
    finally:
        if opened is None:
            content.wipe()
            seed.wipe()
    return opened


def _check_outside(sealed: bytes) -> None:
    if not sealed.startswith(MAGIC):
        raise WatchlistError(
            "The sealed watchlist is none of Passerby, or of a newer version: publish it again "
            "with the desk's programs of this version."
        )
    if len(sealed) <= _OPEN_BYTES + HEADER_BYTES + _TAG_BYTES:
        raise WatchlistError("The sealed watchlist is cut short: copy the bundle again.")
    if len(sealed) > LARGEST_TARGET_BYTES[WATCHLIST]:
        raise WatchlistError("The sealed watchlist is longer than any: have it published again.")


def _decrypt(sealed: bytes, key: bytearray, content: LockedBuffer) -> None:
    start, ciphertext = sealed[:_OPEN_BYTES], memoryview(sealed)[_OPEN_BYTES:]
    try:
        ChaCha20Poly1305(key).decrypt_into(
            start[-_NONCE_BYTES:], ciphertext, start, content.array.data
        )
    except InvalidTag as error:
        raise WatchlistError(
            "The sealed watchlist does not open: its key is another deployment's or has been "
            "renewed, it is another list or version than the authorisation names, or it is "
            "damaged. Copy the bundle again; if that does not help, have it published again."
        ) from error
    finally:
        overwrite(key)


def _header_of(content: LockedBuffer) -> ListHeader:
    view = content.array.data
    (length,) = _LENGTH.unpack(view[: _LENGTH.size])
    if length > HEADER_BYTES - _LENGTH.size:
        raise _broken("its header is longer than there is room for")
    try:
        header = _decoded(view[_LENGTH.size : _LENGTH.size + length])
        _check(header, length)
    except WatchlistError as error:
        raise _broken(str(error)) from error
    if content.size != _content_bytes(header.width):
        raise _broken("its size is not the one that it says")
    unused = HEADER_BYTES + len(header.entries) * header.width * _FLOAT32_BYTES
    if content.array[_LENGTH.size + length : HEADER_BYTES].any() or content.array[unused:].any():
        raise _broken("something is hidden behind its references")
    return header


def _decoded(packed: bytes | memoryview) -> ListHeader:
    try:
        return msgspec.msgpack.decode(packed, type=ListHeader)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WatchlistError(f"its header breaks a rule ({error})") from error


def _check(header: ListHeader, length: int) -> None:
    if length > HEADER_BYTES - _LENGTH.size:
        raise WatchlistError("its header is longer than there is room for")
    ids = {entry.reference_id for entry in header.entries}
    if len(ids) != len(header.entries):
        raise WatchlistError("it names a reference twice")
    try:
        for entry in header.entries:
            _ = entry.ends_ns
    except ValueError as error:
        raise WatchlistError("it has a date that there is not") from error


def _check_belongs(header: ListHeader, watchlist: ListVersion, deployment: str) -> None:
    # The key is bound to both already; a desk that mixes them up is found here.
    if (header.watchlist, header.deployment) != (watchlist, deployment):
        raise _broken("it says that it is another list than the authorisation names")


def _broken(why: str) -> WatchlistError:
    return WatchlistError(
        f"The sealed watchlist opens, but {why}: publish it again with the desk's programs."
    )


def _content_bytes(width: int) -> int:
    return HEADER_BYTES + MOST_REFERENCES * width * _FLOAT32_BYTES


def _derive(
    deployment_key: Key, salt: bytes, purpose: str, watchlist: ListVersion, deployment: str
) -> bytearray:
    if memoryview(deployment_key).nbytes != KEY_BYTES:
        raise WatchlistError(f"A deployment's key has {KEY_BYTES} bytes: this is none.")
    # Lengths are told, so that no two lists share an info.
    info = msgspec.json.encode(
        ["passerby sealed watchlist 1", purpose, deployment, watchlist.id, watchlist.version]
    )
    derived = bytearray(KEY_BYTES)
    HKDF(SHA256(), KEY_BYTES, salt, info).derive_into(deployment_key, derived)
    return derived
