"""UUIDv7 identifiers and UTC times, as text."""

import secrets
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def uuid7(now_ns: int) -> str:
    """Return a UUIDv7 (RFC 9562, 5.7) for a wall-clock time in nanoseconds since 1970."""
    milliseconds = (now_ns // 1_000_000) & (2**48 - 1)
    bits = secrets.randbits(74)
    value = milliseconds << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | bits & (2**62 - 1)
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def utc_text(time_ns: int) -> str:
    """Return RFC 3339 UTC with milliseconds, as 2026-01-31T12:00:00.000Z."""
    moment = _EPOCH + timedelta(milliseconds=time_ns // 1_000_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_ns(text: str) -> int:
    """Return nanoseconds since 1970 of an RFC 3339 time. Raises ValueError."""
    elapsed = datetime.fromisoformat(text) - _EPOCH
    return elapsed // timedelta(milliseconds=1) * 1_000_000
