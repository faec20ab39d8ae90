"""Who got which certificate: the authority's register, one JSON file.

It is written before the certificate that it names. So after a power cut it may know a certificate
that was never made, which does no harm, but never miss one that was.
"""

import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import StorageError
from device.files import write_atomically

_FILE = "register.json"
Moment = Annotated[datetime, Meta(tz=True)]
"""A point in time with its zone; UTC here."""


class Kind(StrEnum):
    """What a certificate is for."""

    BROKER = "broker"
    GATEWAY = "gateway"
    DEVICE = "device"


class Issued(Struct, frozen=True, forbid_unknown_fields=True):
    """One certificate. serial: hexadecimal; revoked: since when, or None."""

    serial: Annotated[str, Meta(pattern=r"^[0-9a-f]{1,40}$")]
    kind: Kind
    name: Annotated[str, Meta(min_length=1)]
    since: Moment
    until: Moment
    revoked: Moment | None = None

    def valid(self, now: datetime) -> bool:
        """Return whether the certificate opens the broker's door now."""
        return self.revoked is None and now < self.until


class Register(Struct, frozen=True, forbid_unknown_fields=True):
    """All certificates, oldest first, and the number of the last revocation list."""

    certificates: tuple[Issued, ...] = ()
    lists: Annotated[int, Meta(ge=0)] = 0
    format: Literal[1] = 1

    def of(self, kind: Kind, name: str) -> tuple[Issued, ...]:
        """Return the certificates that `name` ever got. A broker may be called as a device is."""
        return tuple(one for one in self.certificates if (one.kind, one.name) == (kind, name))

    def with_one(self, issued: Issued) -> "Register":
        """Return the register with one certificate more."""
        return msgspec.structs.replace(self, certificates=(*self.certificates, issued))

    def with_revoked(self, kind: Kind, name: str, now: datetime) -> "Register":
        """Return the register with every certificate of `name` revoked."""
        meant = [one for one in self.of(kind, name) if one.revoked is None]
        marked = tuple(
            msgspec.structs.replace(one, revoked=now) if one in meant else one
            for one in self.certificates
        )
        return msgspec.structs.replace(self, certificates=marked)

    def with_list(self) -> "Register":
        """Return the register with the next revocation list counted."""
        return msgspec.structs.replace(self, lists=self.lists + 1)

    def revoked(self) -> list[tuple[int, datetime]]:
        """Return the serial numbers of the revoked certificates, and since when they are.

        Also those that have run out: a broker whose clock is wrong would take them again.
        """
        return [(int(one.serial, 16), one.revoked) for one in self.certificates if one.revoked]


def read_register(folder: Path) -> Register:
    """Return an authority's register. Raises StorageError when it is missing or damaged."""
    path = folder / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Register)
    except OSError as error:
        raise StorageError(
            f"The register {path} cannot be read ({error.strerror or error}): name the folder of "
            "`pki init` with --dir, or bring the file back from the backup."
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            f"The register {path} is damaged ({error}): bring it back from the backup. Nothing is "
            "issued or revoked without it."
        ) from error


def write_register(folder: Path, register: Register) -> None:
    """Write the register in one step. Raises StorageError; the old one is then untouched."""
    write_atomically(
        folder / _FILE, msgspec.json.format(msgspec.json.encode(register), indent=2) + b"\n"
    )
    # What follows must not reach the disk before the register does.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
