"""MQTT topics: opaque ids, no name, no subject, no count (R45)."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from device.protocol.part import MOST_PARTS
from device.protocol.refusals import MisaddressedError

ROOT = "passerby/v1"
Kind = Literal["alert", "status", "receipt", "command", "record", "request", "bundle"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_ID = r"([a-z0-9][a-z0-9-]{0,31})"
_TOPIC = re.compile(rf"{ROOT}/{_ID}/{_ID}/([a-z]+)(?:/([1-9][0-9]{{0,4}}))?")
_SOURCE = re.compile(rf"urn:passerby:{_ID}:{_ID}")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one device."""

    site: str
    device: str

    def of(self, kind: Kind, part: int = 1) -> str:
        """Return `passerby/v1/<site>/<device>/<kind>`; of a bundle with a part's number behind.

        The number tells a broker which retained messages there are; what counts stands in the part.
        """
        topic = f"{ROOT}/{self.site}/{self.device}/{kind}"
        return f"{topic}/{part}" if kind == "bundle" else topic

    @property
    def every_part(self) -> str:
        """What a device subscribes to for the parts of its bundle."""
        return f"{ROOT}/{self.site}/{self.device}/bundle/+"

    @property
    def source(self) -> str:
        """The device as a URI, the `source` of its CloudEvents."""
        return f"urn:passerby:{self.site}:{self.device}"


def parse_topic(topic: str) -> tuple[Topics, Kind]:
    """Return whose topic it is, and of which kind. Raises MisaddressedError."""
    match = _TOPIC.fullmatch(topic)
    for kind in KINDS:
        if match is not None and match[3] == kind and _numbered_rightly(kind, match[4]):
            return Topics(match[1], match[2]), kind
    raise MisaddressedError("This is no topic of Passerby.")


def _numbered_rightly(kind: Kind, part: str | None) -> bool:
    """Only the parts of a bundle have a number, and no more than there can be."""
    if kind != "bundle":
        return part is None
    return part is not None and int(part) <= MOST_PARTS


def parse_source(source: str) -> Topics:
    """Return the topics of the device that a CloudEvents source names. Raises MisaddressedError."""
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise MisaddressedError("This is no device of Passerby.")
    return Topics(match[1], match[2])
