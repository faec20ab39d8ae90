"""What the officer and the custodian are shown before they sign: the very files that they sign.

The authorisation is that of the staged bundle, by its hash. Only the counts come from a file of
their own, `sealed.json`: nobody who signs can open the list, so whoever sealed it has counted.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from device.errors import StorageError
from device.protocol.authorisation import decode_authorisation
from device.protocol.bundle import AUTHORISATION, LOCAL_KEYS, decode_local_keys
from device.protocol.event import Sha256
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.public import refuse_other, staged_parts
from tools.desk.watchlist.register import Register
from tools.desk.watchlist.to_sign import lines_to_sign

_LARGEST_BYTES = 1 << 20


class Counted(Struct, frozen=True, forbid_unknown_fields=True):
    """`sealed.json`: of the list that is ready. digests: SHA-256 by target. No name, no id."""

    entries: int
    categories: dict[str, int]
    offences: dict[str, int]
    digests: dict[str, Sha256]
    kind: Literal["passerby sealed summary 2"] = "passerby sealed summary 2"


def counted(register: Register, targets: Mapping[str, bytes]) -> bytes:
    """Return the content of `sealed.json`."""
    entries = register.entries
    shown = Counted(
        entries=len(entries),
        categories=dict(sorted(Counter(entry.category for entry in entries).items())),
        offences=dict(sorted(Counter(entry.offence_class for entry in entries).items())),
        digests={name: hashlib.sha256(content).hexdigest() for name, content in targets.items()},
    )
    return msgspec.json.format(msgspec.json.encode(shown))


def read_counted(deployment: Path) -> Counted:
    """Return what was sealed. Raises StorageError: nothing was, or it is damaged."""
    path = Deployment.at(deployment).shown
    try:
        return msgspec.json.decode(path.read_bytes()[:_LARGEST_BYTES], type=Counted)
    except FileNotFoundError as error:
        raise StorageError(
            f"Nothing is sealed in {deployment}: `passerby-desk watchlist seal` comes first."
        ) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StorageError(f"{path} is damaged: seal the list again.") from error


def digests(deployment: Path) -> dict[str, str]:
    """Return the SHA-256 of each target that `summary` speaks of. Raises StorageError."""
    return dict(read_counted(deployment).digests)


def summary(deployment: Path) -> list[str]:
    """Return what the officer and the custodian read before they sign.

    Raises StorageError when the counts are not of the very files that wait for their signatures.
    """
    shown = read_counted(deployment)
    staged, contents = staged_parts(Deployment.at(deployment))
    refuse_other(shown.digests, staged.targets)
    signed = decode_authorisation(contents[AUTHORISATION])
    local = sorted(decode_local_keys(contents[LOCAL_KEYS]).wrapped)
    return [
        *lines_to_sign(signed, local, shown.entries, shown.categories, shown.offences),
        *(f"SHA-256         {digest}  {name}" for name, digest in sorted(shown.digests.items())),
    ]
