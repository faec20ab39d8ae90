"""Sealing and opening whole messages: event → signature → padding → HPKE, and back.

A device has one correspondent, its desk; a desk has many devices and makes one `Envelope` for each.
An alert or a record is sealed twice: as a *letter* when it is raised, before it touches the disk,
and each time it is sent as a *cell*, with the time of sending. Nobody but the desk can open the
letter, not even the device that wrote it, and two sendings of one letter do not look alike.
"""

import hashlib
from dataclasses import dataclass

from device.errors import MessageError
from device.protocol.alert import Alert
from device.protocol.cell import (
    LARGEST_LETTER_BYTES,
    SuiteName,
    open_cell,
    open_letter,
    room,
    seal_cell,
    seal_letter,
)
from device.protocol.cose import EVENT, LETTER, Dispatch, Signed, sign, verify
from device.protocol.event import encode_event
from device.protocol.identifiers import utc_text
from device.protocol.keys import PrivateKeys, PublicKeys
from device.protocol.messages import Message, decode_message
from device.protocol.order import Adjudication, Command
from device.protocol.part import BundlePart
from device.protocol.receipt import Receipt
from device.protocol.record import Record
from device.protocol.refusals import MisaddressedError, NotCanonicalError, WrongTopicError
from device.protocol.topics import Kind, Topics
from device.protocol.unlocking import Unlock


class DamagedLetterError(NotCanonicalError):
    """The sender is authentic, but what it kept on its disk can no longer be opened."""

    def __init__(self, digest: str, reason: Exception) -> None:
        super().__init__(f"A letter is damaged: {reason}")
        self.digest = digest


@dataclass(frozen=True, slots=True)
class Opened:
    """A message that was opened, and what was learnt on the way.

    digest: SHA-256 of the letter, which its receipt names; None for what came without a letter.
    """

    message: Message
    digest: str | None = None


def desk_source(keys: PublicKeys) -> str:
    """Return the desk as a URI, the `source` of what it sends."""
    return f"urn:passerby:desk:{keys.key_id.hex()}"


def digest_of(letter: bytes) -> str:
    """Return the name of a letter in its receipt."""
    return hashlib.sha256(letter).hexdigest()


class Envelope:
    """Seals from one party to the other, and opens what comes back.

    own: whose secrets this side has. other: the correspondent. topics: of the device among the two.
    suite: what to seal with; either is opened.
    """

    def __init__(
        self, own: PrivateKeys, other: PublicKeys, topics: Topics, suite: SuiteName
    ) -> None:
        self._own = own
        self._other = other
        self._topics = topics
        self._suite: SuiteName = suite

    @property
    def client_id(self) -> str:
        """This side's client id at the broker; nobody else can know it, and so take it over."""
        return f"passerby-{self._own.pseudonym('client id')}"

    def letter(self, message: Message) -> bytes:
        """Seal a message for the disk. Raises OversizeError."""
        signed = sign(Signed(EVENT, encode_event(message)), self._own, self._other)
        return seal_letter(signed, self._other, self._topics.source, self._suite)

    def dispatch(self, letter: bytes, sent_ms: int, *, delayed: bool) -> bytes:
        """Return the cell with a letter. sent_ms: milliseconds since 1970."""
        content = Signed(LETTER, letter, Dispatch(sent_ms, delayed))
        return self._cell(sign(content, self._own, self._other))

    def cell(self, message: Message) -> bytes:
        """Return the cell with a message that needs no letter. Raises OversizeError."""
        return self._cell(sign(Signed(EVENT, encode_event(message)), self._own, self._other))

    def open(self, cell: bytes, kind: Kind) -> Opened:
        """Open what came on a topic of this kind.

        An alert's `sent_at` and `delayed` are those of the sending. Raises MessageError and its
        kinds; DamagedLetterError when the sender can do nothing but give up the letter.
        """
        content = open_cell(cell, self._own, self._topics.source)
        signed = verify(content, self._other, self._own.public, room("x25519", "cell"))
        if signed.dispatch is None:
            message = self._checked(decode_message(signed.payload, kind))
            if isinstance(message, Alert | Record):
                raise NotCanonicalError("An alert or a record travels in a letter.")
            return Opened(message)
        digest = digest_of(signed.payload)
        try:
            message = self._open_letter(signed.payload, kind)
        except WrongTopicError:
            # The letter is sound and was moved: a receipt that refuses it would lose it.
            raise
        except MessageError as error:
            # Nothing else: a fault of this side, as no memory, must not cost the sender its alert.
            raise DamagedLetterError(digest, error) from error
        if isinstance(message, Alert):
            sent_at = utc_text(signed.dispatch.sent_ms * 1_000_000)
            message = message.sent(sent_at, delayed=signed.dispatch.delayed)
        return Opened(message, digest)

    def _open_letter(self, letter: bytes, kind: Kind) -> Message:
        content = open_letter(letter, self._own, self._topics.source)
        signed = verify(content, self._other, self._own.public, LARGEST_LETTER_BYTES)
        if signed.dispatch is not None:
            raise NotCanonicalError("A letter holds another letter.")
        message = self._checked(decode_message(signed.payload, kind))
        if not isinstance(message, Alert | Record):
            raise NotCanonicalError("Only an alert or a record travels in a letter.")
        return message

    def _checked(self, message: Message) -> Message:
        """Refuse a message that says that it is from somebody else, or for another device."""
        device = self._topics.source
        if isinstance(message, Receipt | Command | Adjudication | Unlock | BundlePart):
            expected, about = desk_source(self._other), message.data.device
        else:
            expected, about = device, device
        if (message.source, about) != (expected, device):
            raise MisaddressedError("A message speaks for somebody else.")
        return message

    def _cell(self, signed: bytes) -> bytes:
        return seal_cell(signed, self._other, self._topics.source, self._suite)
