"""`Answers`: the receipts, and answers to requests to unlock, that wait for their moment.

A receipt leaves a fixed time after its message came, not when the work is done: opening and storing
an alert takes some milliseconds more than a dummy, and the broker could measure that.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from device.alerts.refused import FAILURE
from device.protocol.envelope import desk_source
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.receipt import Receipt, ReceiptData
from device.protocol.topics import Kind, parse_source
from device.protocol.unlocking import Unlock
from tools.desk.gateway.happenings import Received
from tools.desk.gateway.intake import Decision, Device, Envelopes, answer_to
from tools.desk.gateway.link import Link, Parcel

log = logging.getLogger(__name__)

ANSWER_AFTER_S: Final = 0.05
"""Several times what storing a message takes on a slow disk."""
_UNLOCK_EXPIRY_S = 120
"""The device has asked again by then: an older answer counts no more."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message and when it came, on the monotonic clock."""

    received: Received
    at_s: float


@dataclass(frozen=True, slots=True)
class _Answer:
    received: Received
    due_s: float
    parcel: Parcel | None


class Answers:
    """Receipts and acknowledgements, in the order of arrival. now_ns: wall clock."""

    def __init__(
        self, envelopes: Envelopes, link: Link, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._envelopes = envelopes
        self._link = link
        self._now_ns = now_ns
        self._waiting: deque[_Answer] = deque()
        self.fault: str | None = None
        """Why no receipts go out, in a sentence, or None."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(
        self,
        arrival: Arrival,
        decision: Decision,
        device: Device | None,
        unlock: Unlock | None = None,
    ) -> None:
        """Make the receipt of a message that is in the database, if it gets one.

        unlock: the answer to a request instead.
        """
        answer, received = answer_to(decision), arrival.received
        parcel = None
        if answer is not None and device is not None:
            now_ns = self._now_ns()
            outcome, digest = answer
            receipt = Receipt(
                uuid7(now_ns),
                desk_source(self._envelopes.desk),
                utc_text(now_ns),
                ReceiptData(device.source, outcome, digest),
            )
            parcel = self._parcel(received, device, receipt, "receipt")
        elif unlock is not None and device is not None:
            parcel = self._parcel(received, device, unlock, "command", _UNLOCK_EXPIRY_S)
        self._waiting.append(_Answer(received, arrival.at_s + ANSWER_AFTER_S, parcel))

    def _parcel(
        self,
        received: Received,
        device: Device,
        message: Receipt | Unlock,
        kind: Kind,
        expiry_s: int | None = None,
    ) -> Parcel:
        # First the receipt, then the acknowledgement: a kill in between repeats the message.
        return Parcel(
            parse_source(device.source).of(kind),
            self._envelopes.of(device.source, device.keys).cell(message),
            expiry_s=expiry_s,
            sent=lambda: self._link.acknowledge(received),
            answered=self._answered,
        )

    def _answered(self, code: int) -> None:
        if code >= FAILURE:
            sentence = f"The broker refuses receipts (reason {code}): check its access list."
            if self.fault is None:
                log.error("%s", sentence)
            self.fault = sentence
        elif code >= 0:
            # "No subscriber" (16) is fine: the device is away and will send its alert again.
            self.fault = None

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until the next one is due; infinity when there is none."""
        return max(0.0, self._waiting[0].due_s - now_s) if self._waiting else float("inf")

    def send(self, now_s: float) -> None:
        """Send what is due."""
        while self._waiting and self._waiting[0].due_s <= now_s:
            answer = self._waiting.popleft()
            if answer.parcel is not None:
                self._link.send(answer.parcel)
            else:
                self._link.acknowledge(answer.received)
