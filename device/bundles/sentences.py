"""What python-tuf refuses, in a technician's words: what is wrong, and what to do.

Needs tuf: imported in the verifying process only.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    UnsignedMetadataError,
)
from tuf.api.serialization import DeserializationError

from device.bundles.stick import MissingError, UnreadableError
from device.files import shown
from device.protocol.bundle import ROOT_THRESHOLD, TARGETS_THRESHOLD

_SIGNED_BY = re.compile(r"(\w+) was signed by (\d+)/(\d+) keys")
_EXPIRED = re.compile(r"(root|timestamp|snapshot|targets)")
_COPY_AGAIN: Final = (
    "copy the stick again; if it says so again, somebody has altered it: keep it, tell the desk."
)


def sentence(error: Exception, metadata: Mapping[str, bytes]) -> str:
    """Return why a bundle is refused.

    error: of tuf, RepositoryError or DownloadError. metadata: what was read, by file name.
    """
    if isinstance(error, UnreadableError):
        return str(error)
    if isinstance(error, MissingError):
        return f"The bundle is not whole: {error.place} is missing. Copy the stick again."
    if isinstance(error, DownloadLengthMismatchError):
        return f"A file of the bundle is larger than it may be ({shown(str(error))}): {_COPY_AGAIN}"
    if isinstance(error, DownloadError):
        return "The bundle cannot be read: copy the stick again, or take another one."
    return _of_repository(error, metadata)


def _of_repository(error: Exception, metadata: Mapping[str, bytes]) -> str:
    if isinstance(error, ExpiredMetadataError):
        return _expired(str(error), metadata)
    if isinstance(error, UnsignedMetadataError):
        return _unsigned(str(error))
    if isinstance(error, BadVersionNumberError):
        return _version(str(error))
    if isinstance(error, LengthOrHashMismatchError):
        what = "A file of the bundle is cut, or was changed after it was signed"
    elif isinstance(error, DeserializationError):
        what = "A file of the bundle's metadata is cut or damaged"
    else:
        what = f"The bundle's metadata contradict each other ({shown(str(error))})"
    return f"{what}: {_COPY_AGAIN}"


def _expired(message: str, metadata: Mapping[str, bytes]) -> str:
    found = _EXPIRED.search(message)
    role = found.group() if found else ""
    when = _expiry(role, metadata)
    return (
        f"The bundle expired{f' on {when}' if when else ''} ({role}.json): ask the desk for a "
        "fresh one. If it is new, the clock of this device is ahead: set it."
    )


def _expiry(role: str, metadata: Mapping[str, bytes]) -> str:
    """Return when the newest file of a role expired; its signatures were checked before that."""
    versions = [
        (int(number) if number.isdigit() else 0, content)
        for name, content in metadata.items()
        for number, _, rest in [name.partition(".")]
        if f"{role}.json" in {name, rest}
    ]
    if not versions:
        return ""
    try:
        return str(msgspec.json.decode(max(versions)[1])["signed"]["expires"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return ""


def _unsigned(message: str) -> str:
    found = _SIGNED_BY.match(message)
    role, signed, needed = found.groups() if found else ("metadata", "0", "0")
    if signed != "0":
        return (
            f"The bundle's {role} carries only {_number(signed)} of the {_number(needed)} "
            "signatures that it needs (R5): whoever has not signed it must."
        )
    if role == "root":
        return (
            "The bundle comes with a new root that too few signed: of the old root's three key "
            f"holders {_number(str(ROOT_THRESHOLD))} must, and as many of the new one's. Tell the "
            "desk."
        )
    return (
        f"The bundle's {role} is not signed by keys that this device trusts"
        f"{f' (it needs {TARGETS_THRESHOLD})' if role == 'targets' else ''}: it is another desk's, "
        "a root file is missing from the stick, or somebody has altered it. Tell the desk."
    )


def _number(digits: str) -> str:
    return {"1": "one", "2": "two", "3": "three"}.get(digits, digits)


def _version(message: str) -> str:
    if "must be >=" in message or ".json version" in message:
        return (
            "The bundle is older than what is installed: take the newest stick. Putting an older "
            "list back is refused."
        )
    return f"The bundle mixes files of different versions: {_COPY_AGAIN}"
