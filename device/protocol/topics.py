"""MQTT topics: opaque ids, no name, no subject, no count (R45)."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from device.protocol.refusals import MisaddressedError

ROOT = "passerby/v1"
Kind = Literal["alert", "status", "receipt", "command", "record"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_ID = r"([a-z0-9][a-z0-9-]{0,31})"
_TOPIC = re.compile(rf"{ROOT}/{_ID}/{_ID}/([a-z]+)")
_SOURCE = re.compile(rf"urn:passerby:{_ID}:{_ID}")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one device."""

    site: str
    device: str

    def of(self, kind: Kind) -> str:
        """Return `passerby/v1/<site>/<device>/<kind>`."""
        return f"{ROOT}/{self.site}/{self.device}/{kind}"

    @property
    def source(self) -> str:
        """The device as a URI, the `source` of its CloudEvents."""
        return f"urn:passerby:{self.site}:{self.device}"


def parse_topic(topic: str) -> tuple[Topics, Kind]:
    """Return whose topic it is, and of which kind. Raises MisaddressedError."""
    match = _TOPIC.fullmatch(topic)
    for kind in KINDS:
        if match is not None and match[3] == kind:
            return Topics(match[1], match[2]), kind
    raise MisaddressedError("This is no topic of Passerby.")


def parse_source(source: str) -> Topics:
    """Return the topics of the device that a CloudEvents source names. Raises MisaddressedError."""
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise MisaddressedError("This is no device of Passerby.")
    return Topics(match[1], match[2])
