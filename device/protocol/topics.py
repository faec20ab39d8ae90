"""MQTT topics: opaque ids, no name, no subject, no count (R45)."""

from dataclasses import dataclass
from typing import Literal

ROOT = "passerby/v1"
Kind = Literal["alert", "status", "receipt", "command", "record"]


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
