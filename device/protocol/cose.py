"""COSE_Sign1 (RFC 9052, 4.2) with Ed25519, in deterministic CBOR (RFC 8949, 4.2.1).

There is one way to write a signed message, and no other is accepted: the tag, four items, an empty
unprotected header, exactly the labels below, each marked as critical that RFC 9052 does not define.
What was decoded is encoded again and must give the same bytes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import cbor2
from cryptography.exceptions import InvalidSignature

from device.protocol.keys import KEY_ID_BYTES, PrivateKeys, PublicKeys
from device.protocol.refusals import (
    ForgedError,
    MisaddressedError,
    NotCanonicalError,
    OversizeError,
    TruncatedError,
    UnknownVersionError,
)

VERSION: Final = 1
EVENT: Final = "application/cloudevents+json"
LETTER: Final = "application/vnd.passerby.letter"

_TAG = 18
_ALGORITHM, _CRITICAL, _CONTENT_TYPE, _KEY_ID = 1, 2, 3, 4
_EDDSA = -8
_TO, _VERSION, _SENT, _DELAYED = "to", "v", "sent", "delayed"
_CONTEXT = "Signature1"
_EXTERNAL = b"passerby/v1"
_PARTS = 4
_MAX_DEPTH = 4
_SIGNATURE_BYTES = 64
_LATEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, the last that RFC 3339 can write."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """When a letter left the device: milliseconds since 1970, and whether it had to wait."""

    sent_ms: int
    delayed: bool


@dataclass(frozen=True, slots=True)
class Signed:
    """The content of a message whose signature holds. dispatch: for a letter, else None."""

    content_type: str
    payload: bytes
    dispatch: Dispatch | None = None


def sign(content: Signed, sender: PrivateKeys, to: PublicKeys) -> bytes:
    """Return the signed message, for one recipient."""
    protected = _canonical(_header(content, sender.public.key_id, to.key_id))
    signature = sender.signer.sign(_to_be_signed(protected, content.payload))
    return _canonical(cbor2.CBORTag(_TAG, [protected, {}, content.payload, signature]))


def verify(message: bytes, sender: PublicKeys, to: PublicKeys, limit: int) -> Signed:
    """Return the content of a signed message. limit: most bytes.

    Raises OversizeError, TruncatedError, NotCanonicalError, UnknownVersionError, MisaddressedError,
    ForgedError.
    """
    if len(message) > limit:
        raise OversizeError(f"A signed message of {len(message)} bytes is refused ({limit}).")
    protected, payload, signature = _parts(message)
    header = _decoded(protected)
    content = _content(header, payload)
    if header[_TO] != to.key_id:
        raise MisaddressedError("A signed message is for somebody else.")
    if header[_KEY_ID] != sender.key_id:
        raise MisaddressedError("A signed message is from somebody else.")
    if _canonical(_header(content, header[_KEY_ID], header[_TO])) != protected:
        raise NotCanonicalError("The header of a signed message is not in its one form.")
    try:
        sender.verifier.verify(signature, _to_be_signed(protected, payload))
    except InvalidSignature as error:
        raise ForgedError("The signature of a message is not its sender's.") from error
    return content


def _header(content: Signed, key_id: bytes, to: bytes) -> dict[int | str, Any]:
    labels: dict[int | str, Any] = {
        _ALGORITHM: _EDDSA,
        _CONTENT_TYPE: content.content_type,
        _KEY_ID: key_id,
        _TO: to,
        _VERSION: VERSION,
    }
    if content.dispatch is not None:
        labels[_SENT] = content.dispatch.sent_ms
        labels[_DELAYED] = content.dispatch.delayed
    labels[_CRITICAL] = sorted(label for label in labels if isinstance(label, str))
    return labels


def _parts(message: bytes) -> tuple[bytes, bytes, bytes]:
    tagged = _decoded(message)
    parts = tagged.value if isinstance(tagged, cbor2.CBORTag) and tagged.tag == _TAG else None
    if not isinstance(parts, list | tuple) or len(parts) != _PARTS or parts[1] != {}:
        raise NotCanonicalError("This is no COSE_Sign1 message as Passerby writes it.")
    protected, _, payload, signature = parts
    if not all(isinstance(part, bytes) for part in (protected, payload, signature)):
        raise NotCanonicalError("A part of a signed message is no byte string.")
    if len(signature) != _SIGNATURE_BYTES:
        raise NotCanonicalError("The signature of a message has not the length of Ed25519.")
    if _canonical(cbor2.CBORTag(_TAG, [protected, {}, payload, signature])) != message:
        raise NotCanonicalError("A signed message is not in deterministic CBOR.")
    return protected, payload, signature


def _content(header: Any, payload: bytes) -> Signed:  # noqa: ANN401 - whatever CBOR held
    if not isinstance(header, dict) or header.get(_VERSION) != VERSION:
        raise UnknownVersionError("A signed message is of another version of the protocol.")
    kind = header.get(_CONTENT_TYPE)
    ids = (header.get(_KEY_ID), header.get(_TO))
    if not all(isinstance(one, bytes) and len(one) == KEY_ID_BYTES for one in ids):
        raise NotCanonicalError("A signed message names no sender or no recipient.")
    if kind == EVENT:
        return Signed(EVENT, payload)
    if kind != LETTER:
        raise NotCanonicalError("A signed message has a content that Passerby does not know.")
    sent, delayed = header.get(_SENT), header.get(_DELAYED)
    if type(sent) is not int or not 0 <= sent <= _LATEST_MS or not isinstance(delayed, bool):
        raise NotCanonicalError("A letter does not say when it was sent.")
    return Signed(LETTER, payload, Dispatch(sent, delayed))


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure of RFC 9052, 4.4."""
    return _canonical([_CONTEXT, protected, _EXTERNAL, payload])


def _canonical(value: object) -> bytes:
    return cbor2.dumps(value, canonical=True)


class _NoTags(Mapping[int, Callable[..., Any]]):
    """For cbor2: no tag but ours means anything. It would compile patterns and parse e-mails."""

    def __getitem__(self, tag: int) -> Callable[..., Any]:
        if tag == _TAG:
            raise KeyError(tag)
        return self._refuse

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 1

    @staticmethod
    def _refuse(*_: object) -> None:
        raise ValueError("a tag that has no business here")


_NO_TAGS = _NoTags()


def _decoded(data: bytes) -> Any:  # noqa: ANN401 - whatever CBOR holds
    stream = BytesIO(data)
    decoder = cbor2.CBORDecoder(
        stream,
        max_depth=_MAX_DEPTH,
        allow_indefinite=False,
        allow_duplicate_keys=False,
        semantic_decoders=_NO_TAGS,
        read_size=1,
    )
    try:
        value = decoder.decode()
    except cbor2.CBORDecodeEOF as error:
        raise TruncatedError("A signed message ends too early.") from error
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise NotCanonicalError(f"A signed message cannot be read ({error}).") from error
    if stream.tell() != len(data):
        raise NotCanonicalError("Something follows a signed message.")
    return value
