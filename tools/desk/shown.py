"""Devices and times in the tables of the desk's commands."""

from device.protocol.topics import parse_source


def shown_device(source: str) -> str:
    """Return a device as SITE/DEVICE, the way `--device` takes it."""
    topics = parse_source(source)
    return f"{topics.site}/{topics.device}"


def shown_time(text: str | None) -> str:
    """Return an RFC 3339 time to the second, in UTC; "-" where there is none."""
    return f"{text[:10]} {text[11:19]}Z" if text else "-"
