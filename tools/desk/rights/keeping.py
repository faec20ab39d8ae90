"""The rights key, and for whom everything about rights is encrypted: both in `rights.key.age`.

A stranger's line in `recipients.txt` would make the next command encrypt names for the stranger.
So the key's file says for whom it was made, as each register does; only who can read the key can
say so anew (`watchlist keeper admit`), and everybody else's command stops.
"""

import secrets
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import ConfigurationError, StorageError
from tools.desk.watchlist.folder import Workplace
from tools.desk.watchlist.register import decode_register
from tools.desk.watchlist.vault import KEY_BYTES, Vault, held_alone

REQUESTS: Final = "requests"
LOCK: Final = ".lock"


class RightsKey(Struct, frozen=True, forbid_unknown_fields=True):
    """What `rights.key.age` holds. key: digests subjects. recipients: who may read it."""

    key: Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
    recipients: list[str]
    kind: Literal["passerby rights key 1"] = "passerby rights key 1"

    def __repr__(self) -> str:
        return "<RightsKey>"


def rights_key_of(workplace: Workplace, vault: Vault) -> bytes:
    """Return the 32 bytes with which subjects are digested; made where there are none yet.

    Raises StorageError: lost or damaged; ConfigurationError: `recipients.txt` names others than
    the workplace was made for.
    """
    if not workplace.rights_key.exists():
        _make(workplace, vault)
    found = _read(workplace, vault)
    _refuse_others(workplace, vault, found.recipients)
    return found.key


def admit_to_workplace(workplace: Workplace, vault: Vault) -> None:
    """Encrypt all requests and the rights key anew, for everybody in `recipients.txt`.

    May be killed and repeated. Raises StorageError.
    """
    with held_alone(workplace.rights / LOCK):
        found = _read(workplace, vault) if workplace.rights_key.exists() else None
        for path in sorted((workplace.rights / REQUESTS).glob("*.age")):
            vault.write(path, vault.read(path))
        # Last: until then the next command says that something is not finished.
        if found is not None:
            kept = RightsKey(found.key, list(vault.recipients))
            vault.write(workplace.rights_key, msgspec.msgpack.encode(kept))


def _make(workplace: Workplace, vault: Vault) -> None:
    if any(workplace.manifests.glob("*.manifest")):
        raise StorageError(
            f"{workplace.rights_key} is gone: without it no manifest can be searched by name. Take "
            "it from the backup; a new one would not fit."
        )
    for deployment in workplace.deployments():
        # Nothing binds the workplace yet; what its registers were made for does.
        if deployment.register.exists():
            register = decode_register(vault.read(deployment.register))
            _refuse_others(workplace, vault, register.recipients)
    made = RightsKey(secrets.token_bytes(KEY_BYTES), list(vault.recipients))
    # Where another command was faster, its key counts.
    vault.make(workplace.rights_key, msgspec.msgpack.encode(made))


def _read(workplace: Workplace, vault: Vault) -> RightsKey:
    try:
        return msgspec.msgpack.decode(vault.read(workplace.rights_key), type=RightsKey)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{workplace.rights_key} is of another version, or damaged: take it from the backup."
        ) from error


def _refuse_others(workplace: Workplace, vault: Vault, recipients: list[str]) -> None:
    if sorted(recipients) != sorted(vault.recipients):
        raise ConfigurationError(
            f"{workplace.recipients} names other keepers than this workplace was made for. If you "
            "know all of them: `passerby-desk watchlist keeper admit`, with --workplace."
        )
