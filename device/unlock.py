"""`Unlocking`: asks the desk for the key of the list until it answers. No I/O, no clock.

A round begins at a start, after a suspension, and when a bundle of another deployment came. Its
keys live for one answer, in memory. A request is repeated with growing pauses, each time with a new
id and nonce; only the answer to the newest one counts, and only once.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

from device.errors import MessageError
from device.protocol.alert import ListVersion
from device.protocol.identifiers import utc_ns, utc_text, uuid7
from device.protocol.refusals import MisaddressedError, ReplayedError
from device.protocol.unlocking import (
    OneTimeKeys,
    Refusal,
    Unlock,
    UnlockRequest,
    UnlockRequestData,
    new_nonce,
    unwrap_key,
)

PAUSES_S: Final = (5.0, 10.0, 20.0, 40.0, 60.0, 120.0)
"""Between two requests. The last also bounds how old the desk's time can be when it arrives."""
_FINAL: Final[tuple[Refusal, ...]] = ("reported stolen", "ended")
_WAITING = "The watchlist is sealed until the desk has opened it: is the gateway running?"
_REFUSED: Final[dict[Refusal, str]] = {
    "reported stolen": (
        "The desk does not open the watchlist: this device is reported stolen. Set it up anew."
    ),
    "ended": "The desk does not open the watchlist: its deployment has ended.",
    "unknown": (
        "The desk has no key of this watchlist for this device: publish the list for it, with "
        "--config desk.toml."
    ),
}


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What the desk said. desk_ns: its clock when it answered, nanoseconds since 1970.

    waited_s: since the question was asked, so that the desk's clock now is between desk_ns and
    desk_ns + waited_s. key: the deployment's, 32 bytes, for the receiver to overwrite; None beside
    a refusal.
    """

    deployment: str
    desk_ns: int
    waited_s: float
    key: bytearray | None
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which list is to be opened: what stands in its authorisation, and SHA-256 of its file."""

    deployment: str
    watchlist: ListVersion
    sealed_sha256: str


@dataclass(frozen=True, slots=True)
class _Asked:
    id: str
    nonce: bytes
    at_s: float


class Unlocking:
    """source: URI of this device. ask: sends a request; the newest one replaces one that waits.

    on_answer: called once per round with the key, and for every refusal. on_refusal: called with a
    sentence for an answer that does not count. `take` is safe from any thread.
    """

    def __init__(
        self,
        source: str,
        ask: Callable[[UnlockRequest], None],
        on_answer: Callable[[Answer], None],
        on_refusal: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._source = source
        self._ask = ask
        self._on_answer = on_answer
        self._on_refusal = on_refusal
        self._answers: SimpleQueue[Unlock] = SimpleQueue()
        self._wanted: Wanted | None = None
        self._keys: OneTimeKeys | None = None
        self._asked: _Asked | None = None
        self._tries = 0
        self._next_s = 0.0
        self._refused: Refusal | None = None

    @property
    def reason(self) -> str | None:
        """Why the list is not open, in a sentence; None when nothing is asked."""
        if self._wanted is None:
            return None
        return _WAITING if self._refused is None else _REFUSED[self._refused]

    def begin(self, wanted: Wanted) -> None:
        """Begin a round with new keys; what was asked before counts no more."""
        self._wanted, self._keys = wanted, OneTimeKeys()
        self._asked, self._refused = None, None
        self._tries, self._next_s = 0, float("-inf")

    def stop(self) -> None:
        """Ask no more, and forget the keys."""
        self._wanted = self._keys = self._asked = self._refused = None

    def take(self, unlock: Unlock) -> None:
        """Queue an answer; safe from any thread."""
        self._answers.put(unlock)

    def tick(self, now_s: float, now_ns: int) -> None:
        """Judge what was answered, and ask if it is time to. now_s: monotonic; now_ns: wall."""
        while True:
            try:
                unlock = self._answers.get_nowait()
            except Empty:
                break
            try:
                self._judge(unlock, now_s)
            except MessageError as error:
                self._on_refusal(f"{type(error).__name__}: {error}")
        if self._wanted is not None and self._keys is not None and now_s >= self._next_s:
            self._send(self._wanted, self._keys, now_s, now_ns)

    def _send(self, wanted: Wanted, keys: OneTimeKeys, now_s: float, now_ns: int) -> None:
        asked = _Asked(uuid7(now_ns), new_nonce(), now_s)
        data = UnlockRequestData(
            wanted.deployment, wanted.watchlist, wanted.sealed_sha256, asked.nonce, keys.public
        )
        pause_s = PAUSES_S[min(self._tries, len(PAUSES_S) - 1)]
        if self._refused is not None:
            pause_s = PAUSES_S[-1]
        # Shorter, never longer, so that a fleet does not come back as one.
        self._next_s = now_s + pause_s * random.uniform(0.75, 1.0)  # noqa: S311 - no secret
        self._tries += 1
        self._asked = asked
        self._ask(UnlockRequest(asked.id, self._source, utc_text(now_ns), data))

    def _judge(self, unlock: Unlock, now_s: float) -> None:
        """Use an answer, or raise MessageError: nothing of it is used then."""
        wanted, keys, asked, data = self._wanted, self._keys, self._asked, unlock.data
        if wanted is None or keys is None or asked is None:
            raise ReplayedError("An answer of the desk came, and nothing was asked.")
        if (data.request, data.nonce) != (asked.id, asked.nonce):
            raise ReplayedError("An answer of the desk is not the one to the newest request.")
        if data.deployment != wanted.deployment:
            raise MisaddressedError("An answer of the desk is about another deployment.")
        key = None
        if data.wrapped_key is not None:
            key = bytearray(unwrap_key(data.wrapped_key, keys, self._source, wanted.deployment))
        waited_s = max(0.0, now_s - asked.at_s)
        answer = Answer(wanted.deployment, utc_ns(unlock.time), waited_s, key, data.refusal)
        self._asked = None
        if key is not None:
            self.stop()
        else:
            self._refuse(data.refusal)
        self._on_answer(answer)

    def _refuse(self, refusal: Refusal | None) -> None:
        self._refused = refusal
        if refusal in _FINAL:
            # No answer will come any more that these keys could open.
            self._keys = None
