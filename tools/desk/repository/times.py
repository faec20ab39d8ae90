"""Times and version numbers of TUF metadata. `now` is handed in."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS = 10**9


def moment(time_ns: int) -> datetime:
    """Return nanoseconds since 1970 as UTC, cut to the second as TUF writes it."""
    return _EPOCH + timedelta(seconds=time_ns // _SECOND_NS)


def nanoseconds(time: datetime) -> int:
    """Return a UTC time as nanoseconds since 1970."""
    return (time - _EPOCH) // timedelta(seconds=1) * _SECOND_NS


def shown(time: datetime) -> str:
    """Return a time for people, in UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S}Z"


def next_version(last: int, now_ns: int) -> int:
    """Return the version after `last`: seconds since 1970, or one more where that is not larger.

    Each deployment has a repository of its own, and a device takes one after the other. If each
    began at 1, the second would be a rollback of the first to it. Numbers that follow the clock
    grow over all deployments of a root without a common register.
    """
    return max(last + 1, now_ns // _SECOND_NS)
