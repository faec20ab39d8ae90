"""`Notebook`: the state directory. Audit log and local status, and whether they can be written.

Without a place to write, nothing is compared: a search that leaves no line in the audit log must
not happen (R42). What cannot be written now is kept in memory and written first when it can be.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.audit import AuditLog
from device.audit.events import Value, checked
from device.errors import StorageError
from device.files import shown
from device.protocol.identifiers import utc_text
from device.protocol.status import StatusData
from device.statusfile import STATUS_EVERY_S, LocalStatus, write_status

log = logging.getLogger(__name__)

_RETRY_S = 5.0
_MOST_UNWRITTEN = 1000
CHECKPOINT_EVERY_S = 3600.0
"""While the appliance runs; its start and its stop have one of their own."""


class Notebook:
    """Writes what must be written and remembers when that failed.

    now_s: monotonic clock in seconds. signer: the device's own key, which signs the log; without
    one there are no signatures and no checkpoints. fault: why nothing can be written, in a
    sentence, or None. anchor: hash of the newest checkpoint of this process, for the desk to hold.
    """

    def __init__(
        self,
        directory: Path,
        now_s: Callable[[], float] = time.monotonic,
        signer: Ed25519PrivateKey | None = None,
    ) -> None:
        self._directory = directory
        self._audit = AuditLog(directory / "audit.jsonl", signer)
        self._now_s = now_s
        self._unwritten: deque[tuple[int, str, dict[str, Value]]] = deque()
        self._forgotten = 0
        self._checkpoint_at_s = float("inf")
        self._retry_at_s = 0.0
        self._rewrite_at_s = 0.0
        self._shown: LocalStatus | None = None
        self._to_erase: Path | None = None
        self.fault: str | None = None
        self.anchor: str | None = None

    def note(self, event: str, **details: Value) -> None:
        """Append a line to the audit log; one that cannot be written now is written later.

        A start and a stop get a checkpoint. Raises ValueError for what device/audit/events.py does
        not know.
        """
        told = checked(event, details)
        if len(self._unwritten) >= _MOST_UNWRITTEN:
            self._unwritten.popleft()
            self._forgotten += 1
        self._unwritten.append((time.time_ns(), event, told))
        try:
            self._write_all()
        except StorageError as error:
            self.failed(error)
            return
        if event in ("start", "stop"):
            self.checkpoint()
        if event == "stop":
            self._checkpoint_at_s = float("inf")

    def checkpoint(self) -> str | None:
        """Set a checkpoint. Returns its hash; None without a signer, or when it cannot be written.

        From then on one is set every hour, until a stop.
        """
        try:
            anchor = self._audit.checkpoint(time.time_ns())
        except StorageError as error:
            self.failed(error)
            return None
        self._checkpoint_at_s = self._now_s() + CHECKPOINT_EVERY_S
        self.anchor = anchor or self.anchor
        return anchor

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
                self._write_all()
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
            lost = {"unwritten": self._forgotten} if self._forgotten else {}
            self._forgotten = 0
            self.note("storage works again", **lost)
        if now_s >= self._checkpoint_at_s:
            self.checkpoint()
        self._shown = local
        self._rewrite_at_s = now_s + STATUS_EVERY_S

    def _write_all(self) -> None:
        """Write what is not written yet, in its order. Raises StorageError."""
        while self._unwritten:
            now_ns, event, details = self._unwritten[0]
            self._audit.write(now_ns, event, details)
            self._unwritten.popleft()

    def failed(self, error: StorageError) -> None:
        """Note that something that must be written could not be: nothing is compared for now."""
        if self.fault is None:
            log.error("%s", error)
        self.fault = str(error)
        self._retry_at_s = self._now_s() + _RETRY_S
