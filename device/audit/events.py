"""The closed list of what the audit log can say: event names, and the details of each (R41, R44).

What is not here cannot be logged. No event has a field for a picture, a template or a score; no
field is as long as a template; numbers are whole. So whoever reads the log sees no biometrics. A
name of a person has no field either; `purpose`, `case`, `reason` and `file` are people's own words,
and whoever fills them in keeps names out of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from device.files import shown

LONGEST_TEXT: Final = 300
"""Characters. The smallest template, 256 bytes in base64, has 344."""
LARGEST_COUNT: Final = 2**53 - 1

Kind = Literal["text", "name", "digest", "count"]
"""text: people's words, cut after `LONGEST_TEXT`. name: an id or a word of a closed list, cut after
128 characters. digest: SHA-256, 64 hexadecimal digits. count: a whole number from 0."""
Value = str | int
Details = Mapping[str, Value]

_LONGEST: Final = {"text": LONGEST_TEXT, "name": 128}
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Event:
    """Which details an event has: `always`, and `sometimes`."""

    always: Mapping[str, Kind] = field(default_factory=dict)
    sometimes: Mapping[str, Kind] = field(default_factory=dict)

    def kind_of(self, name: str) -> Kind | None:
        """Return what kind of value a detail has; None when the event has no such detail."""
        return self.always.get(name) or self.sometimes.get(name)


_LIST: Final[Mapping[str, Kind]] = {"watchlist": "name", "version": "count"}
_ORDER: Final[Mapping[str, Kind]] = {"order": "name", "number": "name"}
_COUNTS: Final = (
    "frames",
    "faces",
    "appearances",
    "compared",
    "destroyed",
    "attacks",
    "alerts",
    "faults",
)

EVENTS: Final[Mapping[str, Event]] = {
    # The appliance. A start that names a watchlist compares from then on; one without waits.
    "start": Event(sometimes={"watchlist": "name", "version": "count", "purpose": "text"}),
    "stop": Event(),
    "armed": Event(_LIST, {"mode": "name", "purpose": "text", "authorisation": "name"}),
    "disarmed": Event(sometimes={"reason": "text"}),
    "suspended": Event({"reason": "text"}),
    # The list.
    "bundle installed": Event({"version": "count"}, {"deployment": "name", "sha256": "digest"}),
    "bundle refused": Event({"reason": "text"}),
    "unlocked": Event({"deployment": "name", "how": "name"}, {"request": "name"}),
    "unlock asked": Event({"deployment": "name"}, {"request": "name"}),
    "unlock refused": Event({"reason": "text"}, {"deployment": "name"}),
    "list loaded": Event(_LIST, {"deployment": "name", "references": "count", "sha256": "digest"}),
    "list refused": Event({"reason": "text"}, _LIST),
    "list wiped": Event(sometimes={**_LIST, "reason": "text"}),
    "key destroyed": Event({"deployment": "name"}, {"reason": "text"}),
    "list erased": Event({"deployment": "name"}, {**_LIST, "reason": "text", "sha256": "digest"}),
    "manifest kept": Event({"deployment": "name"}, {"version": "count", "sha256": "digest"}),
    "erased": Event(
        sometimes={
            "file": "text",
            "reason": "text",
            "deployment": "name",
            "not overwritten": "text",
        }
    ),
    # Searches and what comes of them.
    "search": Event({"purpose": "text", "case": "text", "watchlist": "name", "file": "text"}),
    "searched": Event(
        {**_LIST, "purpose": "text", **dict.fromkeys(_COUNTS, "count")}, {"late": "count"}
    ),
    "slowed by heat": Event({"step": "count", "reason": "text"}),
    "alert": Event(
        {"alert": "name", "reference": "name"},
        {"sent": "name", "band": "name", "margin_band": "name"},
    ),
    "alert lost: there was no room for it": Event({"alert": "name"}),
    "presentation attack judged": Event(),
    # The desk.
    "order obeyed": Event(
        {**_ORDER, "action": "name", "reason": "text"},
        {"reference": "name", "missing_before": "name"},
    ),
    "adjudication received": Event(
        {**_ORDER, "alert": "name", "outcome": "name"}, {"missing_before": "name"}
    ),
    "message refused": Event({"newest": "text", "since_last_note": "name"}),
    # The log itself.
    "checkpoint": Event({"key": "name"}),
    "export": Event({"from_at": "name", "to_at": "name"}),
    "line cut short": Event({"bytes": "count"}),
    "log damaged": Event({"fault": "text", "found": "count", "head": "count"}),
    "storage works again": Event(sometimes={"unwritten": "count"}),
}
"""Every event of the log. A new one is added here, with the kinds of its details, or not logged."""


def checked(event: str, details: Details) -> dict[str, Value]:
    """Return the details as they are logged: words printable and cut.

    Raises ValueError for whatever is not in `EVENTS`: that is a fault of the program.
    """
    known = EVENTS.get(event, Event())
    told = {name: _cut(value, known.kind_of(name)) for name, value in details.items()}
    fault = fault_of(event, told)
    if fault is not None:
        raise ValueError(fault)
    return told


def fault_of(event: str, details: Details) -> str | None:
    """Return why this may not be logged, in a sentence; None when it may."""
    known = EVENTS.get(event)
    if known is None:
        return f'"{event[:60]}" is no event of the audit log.'
    for name in known.always:
        if name not in details:
            return f'The event "{event}" must say "{name}".'
    for name, value in details.items():
        kind = known.kind_of(name)
        if kind is None:
            return f'The event "{event}" has no "{name[:60]}".'
        if not _fits(kind, value):
            return f'"{name}" of the event "{event}" is no {kind}.'
    return None


def _fits(kind: Kind, value: object) -> bool:
    if kind == "count":
        return type(value) is int and 0 <= value <= LARGEST_COUNT
    if not isinstance(value, str):
        return False
    if kind == "digest":
        return _DIGEST.fullmatch(value) is not None
    return len(value) <= _LONGEST[kind]


def _cut(value: Value, kind: Kind | None) -> Value:
    if kind not in _LONGEST or not isinstance(value, str):
        return value
    text, longest = shown(value), _LONGEST[kind]
    return text if len(text) <= longest else text[: longest - 1] + "…"
