"""The status on this device, for `passerby status`: one small file, replaced in one step."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from device.errors import StorageError
from device.files import write_atomically
from device.protocol.event import Time
from device.protocol.identifiers import utc_ns
from device.protocol.status import StatusData

NAME = "status.json"
STATUS_EVERY_S = 30.0
"""How often a status that does not change is written again, so that its age tells."""


class LocalStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """The published status, and what only a technician on the device needs.

    at: when it was written, RFC 3339. process: number of the appliance's process.
    """

    at: Time
    process: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    camera: str
    broker: str
    status: StatusData

    def running(self, now_ns: int) -> bool:
        """True while the process that wrote it lives and keeps writing.

        After a power cut another process may have its number; then the status is old.
        """
        if abs(now_ns - utc_ns(self.at)) > 3 * STATUS_EVERY_S * 1e9:
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def write_status(directory: Path, status: LocalStatus) -> None:
    """Replace the status file. Raises StorageError."""
    write_atomically(directory / NAME, msgspec.json.encode(status) + b"\n", mode=0o644)


def read_status(directory: Path) -> LocalStatus:
    """Read the status file. Raises StorageError with what to do."""
    path = directory / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=LocalStatus)
    except FileNotFoundError as error:
        msg = f"There is no status in {directory}: the appliance has not run here yet."
        raise StorageError(msg) from error
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        msg = f"The status {path} cannot be read ({error}); restart the appliance."
        raise StorageError(msg) from error
