"""The bundle: what a TUF repository of Passerby holds, and where. Names only; no I/O.

    metadata/1.root.json … N.root.json, N.targets.json, N.snapshot.json, timestamp.json
    targets/<sha256>.watchlist.sealed …

Consistent snapshots, so that a stick that is copied while it is published is whole or refused. Root
is signed by two of three, targets by the authorising officer and the custodian (R5), snapshot and
timestamp by the desk's publishing key.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import MessageError
from device.protocol.alert import ModelHash
from device.protocol.event import Source

METADATA: Final = "metadata"
TARGETS: Final = "targets"

WATCHLIST: Final = "watchlist.sealed"
AUTHORISATION: Final = "authorisation.json"
CONFIGURATION: Final = "configuration.toml"
MODELS: Final = "models.json"
LOCAL_KEYS: Final = "local-keys.json"

TARGET_NAMES: Final = (WATCHLIST, AUTHORISATION, CONFIGURATION, MODELS, LOCAL_KEYS)
"""Every bundle has exactly these."""

LARGEST_TARGET_BYTES: Final = {
    WATCHLIST: 16 * 1024 * 1024,
    AUTHORISATION: 65_536,
    CONFIGURATION: 65_536,
    MODELS: 65_536,
    LOCAL_KEYS: 2 * 1024 * 1024,
}

ROOT_KEYS: Final = 3
ROOT_THRESHOLD: Final = 2
TARGETS_KEYS: Final = 2
TARGETS_THRESHOLD: Final = 2

CONFIGURABLE: Final = ("vision", "matching", "models", "retention")
"""The tables of device.toml that the signed configuration sets; it may have no other. They replace
the device's own as a whole: what a technician writes there counts only in a demonstration."""


class ModelList(Struct, frozen=True, forbid_unknown_fields=True):
    """The target `models.json`: the models that the bundle's list was made with and may run."""

    models: Annotated[list[ModelHash], Meta(min_length=2, max_length=16)]
    kind: Literal["passerby models 1"] = "passerby models 1"


class LocalKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """The target `local-keys.json`: the list's key, wrapped for devices that unlock locally.

    wrapped: by device, base64 in JSON; empty where every device unlocks remotely. What this gives
    up: a stolen card of such a device holds all that opens its list.
    """

    wrapped: dict[Source, bytes]
    kind: Literal["passerby local keys 1"] = "passerby local keys 1"


def encode_part(part: ModelList | LocalKeys) -> bytes:
    """Return the canonical JSON of a small target."""
    return msgspec.json.encode(part, order="sorted")


def decode_models(content: bytes) -> ModelList:
    """Return the target `models.json`. Raises MessageError."""
    found: ModelList = _decode(content, ModelList, MODELS)
    return found


def decode_local_keys(content: bytes) -> LocalKeys:
    """Return the target `local-keys.json`. Raises MessageError."""
    found: LocalKeys = _decode(content, LocalKeys, LOCAL_KEYS)
    return found


def _decode(content: bytes, kind: Any, name: str) -> Any:  # noqa: ANN401 - one of the two structs
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"The bundle's {name} is damaged: {error}.") from error
