"""What the appliance says to its broker: opened as the desk would, and as an onlooker sees it.

`Tap` is a relay in front of a real broker that keeps every byte. `said` opens the cells; `faults`
judges them; `differences` compares what two runs said, `shapes` what somebody sees who can open
nothing: topics, sizes and counts.
"""

import contextlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jsonschema

from device.errors import MessageError
from device.protocol.cell import CELL_BYTES
from device.protocol.event import encode_event
from device.protocol.topics import parse_topic
from tests.conftest import ROOT
from tests.privacy.forgetting.tap import FROM_DEVICE, PUBLISH, TO_DEVICE, Tap, Told

__all__ = ["FROM_DEVICE", "TO_DEVICE", "Tap", "Told"]

_SCHEMA = re.compile(r"passerby\.([a-z-]+)\.v\d+")


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the device as the desk reads it. event: a CloudEvent."""

    at_ns: int
    topic: str
    event: dict
    will: bool = False

    @property
    def kind(self):
        return _SCHEMA.fullmatch(self.event["type"])[1]


def said(told, desk):
    """Open what the device told. desk: the desk's `Envelope`. Raises MessageError."""
    found = []
    for one in told:
        if one.direction == FROM_DEVICE:
            message = desk.open(one.payload, parse_topic(one.topic)[1]).message
            found.append(Said(one.at_ns, one.topic, json.loads(encode_event(message)), one.will))
    return found


def faults(told, desk, allowed=("status", "cover", "unlock-request")):
    """Return what is wrong with what the device told while only strangers passed, in sentences."""
    found = []
    for one in told:
        if one.direction != FROM_DEVICE:
            continue
        if len(one.payload) != CELL_BYTES:
            found.append(f"A message on {one.topic} has {len(one.payload)} bytes: no cell.")
            continue
        try:
            (message,) = said([one], desk)
        except MessageError as error:
            found.append(f"A message on {one.topic} does not open: {error}")
            continue
        if message.kind not in allowed:
            found.append(f"The device has sent of a kind that may not leave: {message.kind}.")
        found += [f"{message.kind}: {error}" for error in _against_schema(message)]
    return found


def _against_schema(message):
    try:
        schema = _schema(message.kind)
    except FileNotFoundError:
        return ["there is no schema for it"]
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(message.event)]


@cache
def _schema(kind):
    return json.loads((ROOT / f"docs/schemas/{kind}.schema.json").read_text("utf-8"))


_RUN = ("id", "time", "connection", "checkpoint", "last_order")
"""What differs from run to run though nobody passes: names of messages and times, and hashes of
the log, which holds times. All else must be alike."""


def without_the_run(event):
    """Return an event without what differs from run to run."""
    if isinstance(event, dict):
        return {name: without_the_run(part) for name, part in event.items() if name not in _RUN}
    return [without_the_run(part) for part in event] if isinstance(event, list) else event


def differences(first, second):
    """Compare what two runs said, in the order in which it was said for the first time.

    first, second: what `said` returned. Returns sentences; empty where nobody could tell the two
    runs apart by what they say. "Starting" is left out: whether it is said depends on whether the
    broker answers before the first frame has been processed.
    """
    one, other = (_distinct(messages) for messages in (first, second))
    found = [f"Only the first run says: {text}" for text in one if text not in other]
    found += [f"Only the second run says: {text}" for text in other if text not in one]
    if not found and one != other:
        found.append("Both runs say the same, but in another order.")
    return found


def _distinct(messages):
    texts = (
        f"{one.topic}{' (will)' if one.will else ''} "
        f"{json.dumps(without_the_run(one.event), sort_keys=True)}"
        for one in messages
        if one.event["data"].get("state") != "starting"
    )
    return list(dict.fromkeys(texts))


def shapes(tap):
    """Count what somebody sees who can open nothing: direction, kind of packet, topic, bytes.

    Pings are left out: their number is the run's length.
    """
    found = Counter(
        (one.direction, one.kind, len(one.body))
        for one in tap.packets()
        if one.kind not in {12, 13, PUBLISH}
    )
    found.update((one.direction, one.topic, len(one.payload)) for one in tap.told())
    return found


def per_second(tap, direction=FROM_DEVICE):
    """Return how many bytes passed in each second since the first byte: the pace of a run."""
    passed = [one for one in tap.bytes if one.direction == direction]
    if not passed:
        return []
    began = passed[0].at_ns
    counts = Counter()
    for one in passed:
        counts[(one.at_ns - began) // 1_000_000_000] += len(one.content)
    return [counts[second] for second in range(max(counts) + 1)]


def connections_of(pid):
    """Return (table, port) of who is connected to a process at this moment: /proc's own witness.

    Its sockets among themselves are left out.
    """
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            inodes.add(str(entry.readlink()).removeprefix("socket:[").rstrip("]"))
    here, there = set(), set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes:
                local, remote = (int(end.rpartition(":")[2], 16) for end in fields[1:3])
                here.add((table, local))
                there.add((table, remote))
    return {end for end in there - here if end[1]}
