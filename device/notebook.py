"""`Notebook`: the state directory. Audit log and local status, and whether they can be written.

Without a place to write, nothing is compared: a search that leaves no line in the audit log must
not happen (R42).
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from device.audit import AuditLog
from device.errors import StorageError
from device.files import shown
from device.protocol.identifiers import utc_text
from device.protocol.status import StatusData
from device.statusfile import STATUS_EVERY_S, LocalStatus, write_status

log = logging.getLogger(__name__)

_RETRY_S = 5.0


class Notebook:
    """Writes what must be written and remembers when that failed.

    now_s: monotonic clock in seconds. fault: why nothing can be written, in a sentence, or None.
    """

    def __init__(self, directory: Path, now_s: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._audit = AuditLog(directory / "audit.jsonl")
        self._now_s = now_s
        self._retry_at_s = 0.0
        self._rewrite_at_s = 0.0
        self._shown: LocalStatus | None = None
        self._to_erase: Path | None = None
        self.fault: str | None = None

    def note(self, event: str, **details: str) -> None:
        """Append a line to the audit log."""
        try:
            self._audit.write(time.time_ns(), event, details)
        except StorageError as error:
            self.failed(error)

    def erase(self, path: Path) -> None:
        """Erase a file and note it; as long as it cannot be, that is a fault and tried again."""
        self._to_erase = path
        try:
            path.unlink()
        except FileNotFoundError:
            self._to_erase = None
            return
        except OSError as error:
            self.failed(
                StorageError(
                    f"{path} must be erased and cannot be ({error.strerror or error}): erase it by "
                    "hand, and correct the rights of its folder."
                )
            )
            return
        self._to_erase = None
        self.note("erased", file=shown(path.name))

    def show(self, status: StatusData, camera: str, broker: str) -> None:
        """Write the local status when it changed, and now and then, so that its age tells.

        After a fault both files are tried every few seconds; the fault ends when both can be
        written.
        """
        now_s = self._now_s()
        if self.fault is not None and now_s < self._retry_at_s:
            return
        local = LocalStatus("", os.getpid(), camera, broker, status)
        if self.fault is None and local == self._shown and now_s < self._rewrite_at_s:
            return
        try:
            if self.fault is not None:
                self._audit.check()
            if self._to_erase is not None:
                self.erase(self._to_erase)
            stamped = msgspec.structs.replace(local, at=utc_text(time.time_ns()))
            write_status(self._directory, stamped)
        except StorageError as error:
            self._shown = None
            self.failed(error)
            return
        if self.fault is not None and self._to_erase is None:
            self.fault = None
            self.note("storage works again")
        self._shown = local
        self._rewrite_at_s = now_s + STATUS_EVERY_S

    def failed(self, error: StorageError) -> None:
        """Note that something that must be written could not be: nothing is compared for now."""
        if self.fault is None:
            log.error("%s", error)
        self.fault = str(error)
        self._retry_at_s = self._now_s() + _RETRY_S
