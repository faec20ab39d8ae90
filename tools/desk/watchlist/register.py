"""The register of a deployment: its entries, its templates apart from them, and what was sealed."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import ConfigurationError, StorageError
from device.protocol.alert import ModelHash
from device.protocol.event import Sha256, Source, Time, Uuid
from device.protocol.watchlist import Reference
from tools.desk.watchlist.entry import Entry
from tools.desk.watchlist.offences import Offences


class Sealed(Struct, frozen=True, forbid_unknown_fields=True):
    """One version of the list as it was sealed. template_sha256: by reference id, transformed."""

    version: Annotated[int, Meta(ge=1)]
    at: Time
    sealed_sha256: Sha256
    template_sha256: dict[str, Sha256]


class Register(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything with a name in it. version: of the list that was sealed last; 0: none yet.

    recipients: for whom it is encrypted; another `recipients.txt` is not taken in silence.
    embedder, dimension: that made the templates; null before the first photograph. devices: all
    that any published version named. dropped: those of them that were told that it is over for
    them. at_gateway: whether a gateway ever got the deployment's key.
    """

    deployment: Uuid
    list_id: Uuid
    offences: Offences
    recipients: list[str]
    version: Annotated[int, Meta(ge=0)] = 0
    embedder: ModelHash | None = None
    dimension: Annotated[int, Meta(ge=8, le=4096)] | None = None
    entries: list[Entry] = []
    sealed: Sealed | None = None
    devices: list[Source] = []
    dropped: list[Source] = []
    at_gateway: bool = False
    kind: Literal["passerby register 1"] = "passerby register 1"

    def entry(self, reference_id: str) -> Entry:
        """Return an entry. Raises ConfigurationError."""
        for entry in self.entries:
            if entry.reference_id == reference_id:
                return entry
        raise ConfigurationError(
            f"No entry has the reference {reference_id}: `passerby-desk watchlist show` lists all."
        )

    def with_entry(self, entry: Entry) -> "Register":
        """Return the register with an entry replaced, or added at the end."""
        there = any(one.reference_id == entry.reference_id for one in self.entries)
        entries = [entry if one.reference_id == entry.reference_id else one for one in self.entries]
        return msgspec.structs.replace(self, entries=entries if there else [*entries, entry])

    def without(self, reference_id: str) -> "Register":
        """Return the register without an entry."""
        kept = [one for one in self.entries if one.reference_id != reference_id]
        return msgspec.structs.replace(self, entries=kept)

    def __repr__(self) -> str:
        # A traceback or a log must not carry names.
        return f"<Register {self.deployment}>"


def encode_register(register: Register) -> bytes:
    """Return the register as JSON, to be encrypted at once."""
    return msgspec.json.encode(register)


def decode_register(content: bytes) -> Register:
    """Return the register of its JSON. Raises StorageError."""
    try:
        return msgspec.json.decode(content, type=Register)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StorageError(f"The register is of another version, or damaged: {error}.") from error


def encode_templates(references: list[Reference]) -> bytes:
    """Return templates by reference id, to be encrypted at once."""
    return msgspec.msgpack.encode(references)


def decode_templates(content: bytes) -> list[Reference]:
    """Return the references of `encode_templates`. Raises StorageError."""
    try:
        return msgspec.msgpack.decode(content, type=list[Reference])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StorageError(f"The templates are damaged: {error}.") from error
