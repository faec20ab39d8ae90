"""What a connection to a broker tells its owner.

connection: which one, so that late news of one that is gone does not count for the present one.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker answered. window: messages that it takes unanswered."""

    connection: Any
    accepted: bool
    reason: str
    unsupported_version: bool
    window: int


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker answered a subscription. refused: why not, or None."""

    connection: Any
    refused: str | None


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection ended."""

    connection: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker answered a publish. code: MQTT 5 reason code; 0 where there is none (3.1.1)."""

    connection: Any
    message: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    """A message came. message: its number, to acknowledge it; None at QoS 0."""

    connection: Any
    topic: str
    payload: bytes
    message: int | None
