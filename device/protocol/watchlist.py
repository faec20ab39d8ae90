"""The unsigned demonstration watchlist as bytes (MessagePack).

The operational list arrives signed and sealed in a bundle; this format is what `passerby-desk
enrol` writes and what a device refuses unless its configuration says `demonstration = true`. It
holds no name and no picture: opaque reference ids and templates only (R56).
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import WatchlistError

MAGIC = b"PASSERBY-LIST-1\n"
MOST_REFERENCES = 2000
"""The cap of R12."""
_LARGEST_BYTES = 64 * 1024 * 1024
_FLOAT32_BYTES = 4


class Reference(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry. templates: one per photograph, each `dimension` little-endian float32 values.

    A template's direction is what is compared. Its length is that of the embedder's output: a weak
    photograph has a short one.
    """

    reference_id: Annotated[str, Meta(min_length=1, max_length=128)]
    templates: Annotated[list[bytes], Meta(min_length=1, max_length=32)]

    def __repr__(self) -> str:
        return f"<Reference {self.reference_id}>"


class DemonstrationList(Struct, frozen=True, forbid_unknown_fields=True):
    """An unsigned list. embedder_sha256: the model that made it; no other may compare."""

    list_id: str
    version: Annotated[int, Meta(ge=1)]
    created_at: str
    embedder: str
    embedder_sha256: str
    dimension: Annotated[int, Meta(ge=8, le=4096)]
    references: list[Reference]
    signed: Literal[False] = False


def encode_list(watchlist: DemonstrationList) -> bytes:
    """Return the list as bytes."""
    return MAGIC + msgspec.msgpack.encode(watchlist)


def decode_list(data: bytes) -> DemonstrationList:
    """Return the list of a file's bytes. Raises WatchlistError: damaged, foreign, too long."""
    if not data.startswith(MAGIC):
        msg = "it is no Passerby watchlist; make one with `passerby-desk enrol`"
        raise WatchlistError(msg)
    if len(data) > _LARGEST_BYTES:
        msg = f"it has {len(data)} bytes, more than any list of {MOST_REFERENCES} references"
        raise WatchlistError(msg)
    try:
        watchlist = msgspec.msgpack.decode(data[len(MAGIC) :], type=DemonstrationList)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        msg = f"it is damaged or cut ({error}); copy it again"
        raise WatchlistError(msg) from error
    _check(watchlist)
    return watchlist


def _check(watchlist: DemonstrationList) -> None:
    if not watchlist.references:
        msg = "it holds no reference"
        raise WatchlistError(msg)
    if len(watchlist.references) > MOST_REFERENCES:
        msg = f"it holds {len(watchlist.references)} references, {MOST_REFERENCES} at most (R12)"
        raise WatchlistError(msg)
    ids = [reference.reference_id for reference in watchlist.references]
    if len(set(ids)) != len(ids):
        msg = "it names a reference twice"
        raise WatchlistError(msg)
    expected = watchlist.dimension * _FLOAT32_BYTES
    for reference in watchlist.references:
        if any(len(template) != expected for template in reference.templates):
            msg = f"reference {reference.reference_id} has a template of the wrong length"
            raise WatchlistError(msg)
