"""Wrapped keys: what a device opens with the keys of one request, and what it must refuse."""

from dataclasses import dataclass

from device.protocol.hpke import SuiteName, seal
from device.protocol.unlocking import wrap_key
from tools.setup.vectors.examples import DEPLOYMENT, DEPLOYMENT_KEY, PARTIES, TOPICS, Party, uuid

_ONE = PARTIES["one answer"].public
_SOURCE = TOPICS.source
_ELSEWHERE = "urn:passerby:site-1:camera-2"


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A wrapped key, who opens it, and what comes out: the key in hexadecimal, or a refusal."""

    name: str
    wrapped: bytes
    refusal: str | None = None
    to: Party = "one answer"

    @property
    def key(self) -> str | None:
        """The key that comes out, or None."""
        return DEPLOYMENT_KEY.hex() if self.refusal is None else None


def cases() -> list[Wrapped]:
    """Return new wrapped keys."""
    good = {suite: _wrap(suite) for suite in ("mlkem768-x25519", "x25519")}
    small = good["x25519"]
    as_letter = seal(DEPLOYMENT_KEY, _ONE, _SOURCE, "x25519", "letter")
    short = seal(DEPLOYMENT_KEY[:31], _ONE, _SOURCE, "x25519", "list key", DEPLOYMENT)
    return [
        *(Wrapped(suite, content) for suite, content in good.items()),
        Wrapped("for another deployment", _wrap(deployment=uuid(0xDF)), "ForgedError"),
        Wrapped("for another device", _wrap(source=_ELSEWHERE), "ForgedError"),
        Wrapped("the device's own keys do not open it", small, "MisaddressedError", "device"),
        Wrapped("nor do another's", small, "MisaddressedError", "other device"),
        Wrapped("for another purpose", as_letter, "ForgedError"),
        Wrapped("a flipped bit", small[:-1] + bytes((small[-1] ^ 1,)), "ForgedError"),
        Wrapped("cut", small[:60], "TruncatedError"),
        Wrapped("a key of 31 bytes", short, "NotCanonicalError"),
    ]


def _wrap(
    suite: SuiteName = "x25519", source: str = _SOURCE, deployment: str = DEPLOYMENT
) -> bytes:
    return wrap_key(DEPLOYMENT_KEY, _ONE, source, deployment, suite)
