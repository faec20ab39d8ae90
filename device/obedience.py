"""`Obedience`: orders of the desk, checked, kept on the disk, obeyed, and each noted.

Orders and refusals arrive from the courier's thread into a queue; everything else happens in the
processing thread, which calls `obey`. An order is on the disk before it takes effect, so that a
power cut neither forgets it nor lets it be replayed.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from device.errors import StorageError
from device.files import write_atomically
from device.notebook import Notebook
from device.policy.standing import Standing
from device.protocol.identifiers import utc_ns
from device.protocol.order import AdjudicationData, Order
from device.protocol.refusals import ExpiredError, MisaddressedError, ReplayedError

log = logging.getLogger(__name__)

NAME = "orders.json"
_LARGEST_BYTES = 1_000_000
_NOTE_EVERY_S = 60.0


class Obedience:
    """device: URI of this device. now_ns, now_s: wall and monotonic clock.

    Raises StorageError when what was ordered before cannot be read: then nothing is compared, for
    the device may be suspended.
    """

    def __init__(
        self,
        directory: Path,
        device: str,
        notebook: Notebook,
        now_ns: Callable[[], int] = time.time_ns,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = directory / NAME
        self._device = device
        self._notebook = notebook
        self._now_ns = now_ns
        self._now_s = now_s
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._refusals: SimpleQueue[str] = SimpleQueue()
        self._refused_noted_s = float("-inf")
        self._refused_unnoted = 0
        self.standing = read_standing(self._path)
        self.heard_ns = 0
        """The newest time that the desk has signed in an order, UTC since 1970; 0: none yet."""

    def take(self, order: Order) -> None:
        """Queue an order; safe from any thread."""
        self._orders.put(order)

    def refuse(self, reason: str) -> None:
        """Queue a refused message for the log; safe from any thread."""
        self._refusals.put(reason)

    def obey(self) -> list[Order]:
        """Check and keep what is queued; return the orders that now take effect, in their order."""
        self._note_refusals()
        return [order for order in _drained(self._orders) if self._obeyed(order)]

    def record_submitted(self) -> None:
        """Note that the record which answers the end is in the outbox."""
        # Where it cannot be kept it is submitted twice: the desk keeps both, by their ids.
        self.keep(msgspec.structs.replace(self.standing, record_owed=False))

    def keep(self, after: Standing) -> bool:
        """Put a standing into force that this device itself has changed, once it is on the disk.

        False: it could not be kept; the notebook's fault then stops comparing.
        """
        if after == self.standing:
            return True
        try:
            write_atomically(self._path, msgspec.json.encode(after))
        except StorageError as error:
            self._notebook.failed(error)
            return False
        self.standing = after
        return True

    def _obeyed(self, order: Order) -> bool:
        try:
            missing = self.standing.book(self._device).check(order, self._now_ns())
        except (MisaddressedError, ReplayedError, ExpiredError) as error:
            if order.id != self.standing.last_order:
                # The desk sends an order again until the status says that it was obeyed.
                self.refuse(f"{type(error).__name__}: {error}")
            return False
        after = self.standing.obeyed(order)
        try:
            write_atomically(self._path, msgspec.json.encode(after))
        except StorageError as error:
            # Not obeyed, so that the desk gives it again; the notebook's own fault stops comparing.
            log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback
            self._notebook.failed(error)
            return False
        self.standing = after
        self.heard_ns = max(self.heard_ns, utc_ns(order.time))
        self._note(order, missing)
        return True

    def _note(self, order: Order, missing: int) -> None:
        data = order.data
        if isinstance(data, AdjudicationData):
            details = {"alert": data.alert, "outcome": data.outcome}
            event = "adjudication received"
        else:
            details = {"action": data.action, "reason": data.reason}
            if data.reference_id is not None:
                details["reference"] = data.reference_id
            event = "order obeyed"
        details |= {"order": order.id, "number": str(data.sequence)}
        if missing:
            details["missing_before"] = str(missing)
        self._notebook.note(event, **details)

    def _note_refusals(self) -> None:
        """Note refused messages, once a minute at most: nobody shall fill the disk with them."""
        reasons = _drained(self._refusals)
        self._refused_unnoted += len(reasons)
        now_s = self._now_s()
        if not reasons or now_s - self._refused_noted_s < _NOTE_EVERY_S:
            return
        self._refused_noted_s = now_s
        self._notebook.note(
            "message refused", newest=reasons[-1], since_last_note=str(self._refused_unnoted)
        )
        self._refused_unnoted = 0


def read_standing(path: Path) -> Standing:
    """Read what was ordered before; nothing was when there is no file. Raises StorageError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Standing()
    except OSError as error:
        raise StorageError(_unreadable(path, error.strerror or str(error))) from error
    try:
        if len(content) > _LARGEST_BYTES:
            raise StorageError(_unreadable(path, "it is too long"))
        return msgspec.json.decode(content, type=Standing)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StorageError(_unreadable(path, str(error))) from error


def _unreadable(path: Path, reason: str) -> str:
    return (
        f"The orders of the desk in {path} cannot be read ({reason}), so this device may be "
        "suspended and compares nothing: ask the desk, then remove the file."
    )


def _drained(queue: "SimpleQueue[Order] | SimpleQueue[str]") -> list:  # type: ignore[type-arg]
    found = []
    while True:
        try:
            found.append(queue.get_nowait())
        except Empty:
            return found
