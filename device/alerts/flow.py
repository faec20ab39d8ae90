"""Which letter to send next, and when again. Rules only: no thread, no socket, no clock, no disk.

A letter goes through: waiting → sent (the broker has not answered) → taken (it has) → receipted.
The broker's answer proves nothing, so a letter that stays without a receipt is sent again, more and
more seldom. The number of unanswered messages stays under the broker's Receive Maximum, which paho
does not look at.
"""

from dataclasses import dataclass

_LONGEST_S = 600.0
_COVER = ""
"""Stands for the digest of a dummy, which has none."""


@dataclass(slots=True)
class _Underway:
    """message: the broker's answer is awaited; None: it has taken the letter. due_s: send again."""

    message: int | None
    due_s: float
    tries: int


class Flow:
    """Letters by digest. window: most unanswered. unreceipted: most without a receipt.

    timeout_s: first wait for a receipt; doubled with every try up to ten minutes.
    """

    def __init__(self, unreceipted: int, timeout_s: float) -> None:
        self._unreceipted = unreceipted
        self._timeout_s = timeout_s
        self._window = 1
        self._underway: dict[str, _Underway] = {}
        self._messages: dict[int, str] = {}
        self.cursor = 0
        """Letters on the disk up to this number were sent, or need not be."""
        self._openings = 0

    @property
    def unanswered(self) -> int:
        """How many letters the broker has not answered yet."""
        return len(self._messages)

    @property
    def unreceipted(self) -> int:
        """How many letters were sent and have no receipt yet."""
        return len(self._underway)

    def connected(self, window: int, *, same_session: bool) -> None:
        """Start on a new connection. same_session: the broker still has what it had taken.

        What it had not answered goes again at once; if it has forgotten everything, all does.
        """
        self._window = max(1, window)
        self.disconnected()
        if not same_session:
            self._underway.clear()
            self.cursor = 0
            return

    def disconnected(self) -> None:
        """Nothing is answered any more on a connection that is gone."""
        for digest in self._messages.values():
            if digest in self._underway:
                self._underway[digest].message = None
                self._underway[digest].due_s = 0.0
        self._messages.clear()

    def read_from(self, openings: int) -> None:
        """Begin with the oldest letter again when the outbox was opened anew."""
        if openings != self._openings:
            self._openings, self.cursor = openings, 0

    def may_send(self) -> bool:
        """True while the broker's window has room."""
        return len(self._messages) < self._window

    def may_send_new(self) -> bool:
        """True while one more letter may be without a receipt."""
        return self.may_send() and len(self._underway) < self._unreceipted

    def knows(self, digest: str) -> bool:
        """True when a letter was sent already and waits for its receipt."""
        return digest in self._underway

    def overdue(self, now_s: float) -> str | None:
        """Return the letter that has waited longest past its time for a receipt, or None."""
        late = [
            (letter.due_s, digest)
            for digest, letter in self._underway.items()
            if letter.message is None and letter.due_s <= now_s
        ]
        return min(late)[1] if late else None

    def sent(self, digest: str, message: int, now_s: float) -> None:
        """Note that a letter left as this message."""
        before = self._underway.get(digest)
        tries = before.tries + 1 if before is not None else 0
        wait_s = min(self._timeout_s * 2 ** min(tries, 16), max(_LONGEST_S, self._timeout_s))
        self._underway[digest] = _Underway(message, now_s + wait_s, tries)
        self._messages[message] = digest

    def sent_cover(self, message: int) -> None:
        """Note that a dummy left as this message: it takes a place in the window, nothing else."""
        self._messages[message] = _COVER

    def answered(self, message: int) -> str | None:
        """Note that the broker has taken a message; return its letter, None if it is not ours."""
        digest = self._messages.pop(message, None)
        if digest is not None and digest in self._underway:
            self._underway[digest].message = None
        return digest

    def refused(self, message: int, again_s: float) -> bool:
        """Note that the broker has not taken a message: it goes again then. False: not ours."""
        digest = self.answered(message)
        if digest is None:
            return False
        if digest in self._underway:
            # It never arrived, so that it counts as no try: the wait for its receipt stays short.
            self._underway[digest].due_s = again_s
            self._underway[digest].tries -= 1
        return True

    def finished(self, digest: str) -> None:
        """Note that a letter has its receipt, or is gone."""
        # Its message stays counted until the broker answers: the window is the broker's.
        self._underway.pop(digest, None)
