"""`Post`: the outbox as the rest of the appliance sees it, which goes on when the disk does not.

Drafts come in, are numbered, sealed and kept: on the disk, or, while the disk fails, in memory,
from where they move to the disk as soon as it works again. `alarms` says what is wrong.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from device.alerts.maker import Draft
from device.alerts.outbox import (
    Connect,
    DamagedOutboxError,
    Entry,
    Outbox,
    Sealed,
    connect_file,
    connect_memory,
)
from device.alerts.salvage import (
    damaged_files,
    mark_saved,
    saved_files,
    set_aside,
    whole_letters,
)
from device.errors import PasserbyError, StorageError
from device.protocol.envelope import Envelope
from device.protocol.identifiers import utc_ns, utc_text
from device.protocol.record import Record

Result = TypeVar("Result")

log = logging.getLogger(__name__)

_RETRY_S = 5.0
_EXPIRE_EVERY_S = 60.0
_MEMORY_BYTES = 2_000_000
_NOTES = 3
_LOST_SHOWN_S = 600.0
"""So long the status says that alerts were lost: with cover it leaves once a minute only."""
_CLOCK_JUMP_MS = 60_000
_FULL = (
    "Alerts were lost: the outbox is full and keeps the oldest. Bring the broker or the desk back, "
    "or raise alerts.outbox_mb."
)


@dataclass(frozen=True, slots=True)
class Limits:
    """outbox_bytes: most on the disk. keep_s: seconds after which a letter is erased."""

    outbox_bytes: int
    keep_s: float


class Post:
    """Takes drafts, hands out letters, forgets receipted ones.

    path: the outbox's file. connect: how to open it (tests hand in a failing disk). now_ns: wall
    clock. now_s: monotonic clock.
    """

    def __init__(  # noqa: PLR0913 - two clocks and a disk are handed in
        self,
        path: Path,
        limits: Limits,
        envelope: Envelope,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        now_s: Callable[[], float] = time.monotonic,
        connect: Connect | None = None,
    ) -> None:
        self._path = path
        self._limits = limits
        self._envelope = envelope
        self._now_ns = now_ns
        self._now_s = now_s
        self._connect = connect or (lambda: connect_file(path))
        self._disk: Outbox | None = None
        self._memory: Outbox | None = None
        self._retry_at_s = self._expire_at_s = 0.0
        self._disk_alarm: str | None = None
        self._notes: list[str] = []
        # The processing thread submits, the courier's thread does all the rest.
        self._lock = threading.RLock()
        self._lost_shown_until_s = float("-inf")
        self._offset_ms = self._clock_offset_ms()
        self._queued_before = 0
        self._receipted: set[str] = set()
        self._waited = 0
        self.openings = 0
        """How often the file was opened: its numbers may have begun anew each time."""
        self._tend()

    @property
    def alarms(self) -> list[str]:
        """What is wrong, a sentence each; empty when all is well."""
        full = self._now_s() < self._lost_shown_until_s
        found = [self._disk_alarm, _FULL if full else None, *self._notes]
        return [alarm for alarm in found if alarm]

    def submit(self, draft: Draft) -> bool:
        """Keep an alert. False when there was no room, on the disk or in memory."""

        def seal(epoch: str, sequence: int) -> Sealed:
            alert = draft.numbered(epoch, sequence, utc_text(self._now_ns()))
            captured_ms = utc_ns(draft.captured_at) // 1_000_000
            return Sealed("alert", captured_ms, self._envelope.letter(alert))

        return self._keep(seal, numbered=True)

    def submit_record(self, record: Record) -> bool:
        """Keep the record of a deployment. False when there was no room."""
        now_ms = self._now_ms()
        letter = self._envelope.letter(record)
        kept = self._keep(lambda _e, _s: Sealed("record", now_ms, letter), numbered=False)
        if not kept:
            self._note("The record of the deployment had no room in the outbox.")
        return kept

    def tend(self) -> None:
        """Do what time asks for: try a failed disk again, erase what is too old."""
        with self._lock:
            self._do_what_is_due()

    def _do_what_is_due(self) -> None:
        now_s = self._now_s()
        self._mind_the_clock()
        if self._disk is None and now_s >= self._retry_at_s:
            self._tend()
        if now_s >= self._expire_at_s:
            self._expire_at_s = now_s + _EXPIRE_EVERY_S
            self._expire()

    def in_memory(self) -> list[Entry]:
        """Return the letters that no disk keeps; they are the ones to send first."""
        found: list[Entry] = []
        with self._lock:
            while self._memory is not None:
                entry = self._memory.after(found[-1].number if found else 0)
                if entry is None:
                    break
                found.append(entry)
        return found

    @property
    def readable(self) -> bool:
        """True while the disk can be asked: None from it then means that there is none."""
        return self._disk is not None

    def after(self, number: int) -> Entry | None:
        """Return the oldest letter on the disk with a greater number."""
        with self._lock:
            return self._on_disk(lambda disk: disk.after(number))

    def find(self, digest: str) -> Entry | None:
        """Return a letter that still waits."""
        with self._lock:
            entry = self._memory.find(digest) if self._memory is not None else None
            return entry or self._on_disk(lambda disk: disk.find(digest))

    def remove(self, digest: str) -> bool:
        """Forget a letter: its receipt has come. False: not known, or it could not be removed."""
        with self._lock:
            # In both, when moving from memory to the disk was cut short.
            in_memory = self._memory is not None and self._memory.remove(digest) is not None
            gone = self._on_disk(lambda disk: disk.remove(digest)) is not None
            if not self.readable:
                # It must not be sent again, and goes as soon as the disk works.
                self._receipted.add(digest)
            return gone or in_memory

    def receipted(self, digest: str) -> bool:
        """Return whether a letter has its receipt, but could not be removed yet."""
        return digest in self._receipted

    def bury(self, digest: str, reason: str) -> None:
        """Give up on a letter that the desk has refused for good; it stays until it is too old."""
        log.error("a letter is given up: %s", reason)
        self._note(f"An alert cannot be delivered and is kept aside: {reason}")
        with self._lock:
            self._on_disk(lambda disk: disk.bury(digest, reason))
            if self._memory is not None:
                self._memory.bury(digest, reason)

    def waiting(self) -> int:
        """Return how many letters wait; at least one when the disk cannot be asked."""
        with self._lock:
            in_memory = self._memory.waiting() if self._memory is not None else 0
            on_disk = self._on_disk(lambda disk: disk.waiting())
            # What cannot be asked is not taken for empty.
            self._waited = on_disk if on_disk is not None else max(1, self._waited)
            return in_memory + self._waited

    def close(self) -> None:
        """Give the file free."""
        with self._lock:
            if self._disk is not None:
                self._disk.close()
                self._disk = None

    def _keep(self, seal: Callable[[str, int], Sealed], *, numbered: bool) -> bool:
        try:
            with self._lock:
                return self._append(seal, numbered=numbered) is not None
        except PasserbyError as error:
            # A message that no letter has room for, for example: a bug, but not the camera's end.
            log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback
            self._note(f"An alert could not be sealed: {error}")
            return False

    def _append(self, seal: Callable[[str, int], Sealed], *, numbered: bool) -> int | None:
        if self._disk is not None:
            try:
                number = self._disk.append(seal, numbered=numbered)
            except StorageError as error:
                self._failed(error)
            else:
                return self._noted(number)
        if self._memory is None:
            self._memory = Outbox(connect_memory, _MEMORY_BYTES, self._now_ms)
        number = self._memory.append(seal, numbered=numbered)
        return self._noted(number)

    def _noted(self, number: int | None) -> int | None:
        if number is None:
            self._lost_shown_until_s = self._now_s() + _LOST_SHOWN_S
        return number

    def _tend(self) -> None:
        """Open the outbox on the disk, saving what a damaged one still holds."""
        self._retry_at_s = self._now_s() + _RETRY_S
        try:
            damaged_files(self._path)  # finishes a move that a power cut interrupted
            try:
                self._disk = self._open()
            except DamagedOutboxError as error:
                log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback
                set_aside(self._path)
                self._disk = self._open()
            self._take_in(self._disk)
            self._disk_alarm = None
        except StorageError as error:
            self._failed(error)

    def _open(self) -> Outbox:
        disk = Outbox(self._connect, self._limits.outbox_bytes, self._now_ms)
        self.openings += 1
        return disk

    def _take_in(self, disk: Outbox) -> None:
        """Bring what was opened up to date: saved letters, those in memory, late receipts."""
        if self.openings == 1:
            self._queued_before = disk.newest()
        for damaged in damaged_files(self._path):
            self._note(
                "The outbox was damaged; what could be read of it is delivered. The card may be "
                "worn out: replace it."
            )
            disk.adopt(whole_letters(damaged))
            mark_saved(self._path, damaged)
        if self._memory is not None:
            disk.adopt(self.in_memory())
            self._memory = None
        while self._receipted:
            digest = next(iter(self._receipted))
            disk.remove(digest)
            self._receipted.discard(digest)

    def _on_disk(self, use: Callable[[Outbox], Result | None]) -> Result | None:
        """Use the outbox on the disk; None when it fails, which an alarm then says."""
        if self._disk is None:
            return None
        try:
            return use(self._disk)
        except StorageError as error:
            self._failed(error)
            return None

    def _failed(self, error: StorageError) -> None:
        if self._disk_alarm is None:
            log.error("%s", error)
        self._disk_alarm = str(error)
        self._retry_at_s = self._now_s() + _RETRY_S
        if self._disk is not None:
            # A connection that failed is not trusted; a new one starts with what is on the disk.
            self._disk.close()
            self._disk = None

    def keep_for(self, keep_s: float) -> None:
        """Keep letters for so many seconds from now on; safe from any thread."""
        self._limits = replace(self._limits, keep_s=keep_s)

    def _expire(self) -> None:
        before_ms = self._now_ms() - int(self._limits.keep_s * 1000)
        expired = self._on_disk(lambda disk: disk.expire(before_ms)) or 0
        if self._memory is not None:
            expired += self._memory.expire(before_ms)
        if expired:
            self._note(
                "Alerts were erased without a receipt: they had waited as long as alerts may be "
                "kept."
            )
        self._erase_damaged(before_ms)

    def _erase_damaged(self, before_ms: int) -> None:
        for old in saved_files(self._path):
            with suppress(OSError):
                if old.stat().st_mtime * 1000 < before_ms:
                    old.unlink(missing_ok=True)

    def _clock_offset_ms(self) -> int:
        return self._now_ms() - int(self._now_s() * 1000)

    def _mind_the_clock(self) -> None:
        """Correct the ages of what was queued by a wrong clock: a Pi starts with one."""
        shift_ms = self._clock_offset_ms() - self._offset_ms
        if abs(shift_ms) < _CLOCK_JUMP_MS or self._disk is None:
            return
        self._offset_ms += shift_ms
        try:
            self._disk.correct_clock(self._queued_before, shift_ms, self._now_ms())
        except StorageError as error:
            self._offset_ms -= shift_ms
            self._failed(error)

    def _note(self, sentence: str) -> None:
        if sentence not in self._notes:
            self._notes = [*self._notes, sentence][-_NOTES:]

    def _now_ms(self) -> int:
        return self._now_ns() // 1_000_000
