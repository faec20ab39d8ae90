"""Writes and checks the published test vectors of the protocol, docs/vectors.

`python -m tools.setup.vectors` makes new ones, `--check` tells whether those that are there still
open to the same messages and are still refused for the same reasons. Sealing is random: two runs
give different cells, so vectors are made when the protocol changes, and not by `make docs`.
"""

import json
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import msgspec

from device.errors import MessageError
from device.protocol.alert import Alert
from device.protocol.cell import SuiteName
from device.protocol.cose import EVENT, LETTER, Signed, sign
from device.protocol.envelope import digest_of
from device.protocol.event import encode_event
from device.protocol.identifiers import utc_ns, utc_text
from device.protocol.messages import decode_message
from device.protocol.order import Adjudication, Command, OrderBook
from device.protocol.topics import Kind, parse_topic
from device.protocol.unlocking import unwrap_key
from tools.setup.vectors import wrapped
from tools.setup.vectors.examples import (
    DEPLOYMENT,
    PARTIES,
    SENT,
    SENT_AT,
    START,
    TOPICS,
    Example,
    Party,
    a_command,
    envelope,
    examples,
)
from tools.setup.vectors.refused import cases

FOLDER = Path(__file__).resolve().parents[3] / "docs/vectors"
WARNING = "Test keys: their secrets are public. Never use them for anything else."
SUITES: tuple[SuiteName, ...] = ("x25519", "mlkem768-x25519")


def opens(suite: SuiteName) -> dict[str, Any]:
    """Return new vectors of one suite."""
    return {
        "warning": WARNING,
        "suite": suite,
        "vectors": [_vector(name, one, suite) for name, one in examples().items()],
    }


def _vector(name: str, example: Example, suite: SuiteName) -> dict[str, Any]:
    sender = example.sender
    to: Party = "desk" if sender == "device" else "device"
    own, other = PARTIES[sender], PARTIES[to].public
    seal = envelope(sender, suite)
    event = encode_event(example.message)
    signed = sign(Signed(EVENT, event), own, other)
    vector: dict[str, Any] = {
        "name": name,
        "from": sender,
        "to": to,
        "topic": TOPICS.of(example.kind),
        "event": event.decode(),
    }
    if not example.in_letter:
        return vector | {"signed": _text(signed), "cell": _text(seal.cell(example.message))}
    letter = seal.letter(example.message)
    return vector | {
        "letter": {
            "signed": _text(signed),
            "sealed": _text(letter),
            "sha256": digest_of(letter),
            "sent_ms": SENT.sent_ms,
            "delayed": SENT.delayed,
        },
        "signed": _text(sign(Signed(LETTER, letter, SENT), own, other)),
        "cell": _text(seal.dispatch(letter, SENT.sent_ms, delayed=SENT.delayed)),
    }


def refused() -> dict[str, Any]:
    """Return new vectors that must be refused, each with the class of its refusal."""
    return {
        "warning": WARNING,
        "vectors": [
            {
                "name": case.name,
                "to": case.to,
                "topic": TOPICS.of(case.kind),
                "refusal": case.refusal,
                "cell": _text(case.cell),
            }
            for case in cases()
        ],
    }


def orders() -> dict[str, Any]:
    """Return orders that come one at a time to a device, and what it does with each."""
    day, hour = 86_400, 3600
    # name, number, seconds from giving to coming, seconds it holds, number obeyed before
    timetable: list[tuple[str, int, int, int, int]] = [
        ("the first", 1, 1, day, 0),
        ("the next", 8, 1, day, 7),
        ("after three that are missing", 11, 1, day, 7),
        ("the same again", 7, 1, day, 7),
        ("older than one that was obeyed", 3, 1, day, 7),
        ("on the last second", 8, hour - 1, hour, 7),
        ("too late", 8, hour, hour, 7),
        ("the clock of the device is five minutes slow", 8, -300, day, 7),
        ("from the future", 8, -301, day, 7),
        ("the largest number", 2**53 - 1, 1, day, 2**53 - 2),
    ]
    vectors = []
    for name, number, later_s, holds_s, obeyed in timetable:
        event = encode_event(a_command(number, START, _later(holds_s)))
        missing, refusal = outcome_of(event, obeyed, _later(later_s))
        vectors.append(
            {
                "name": name,
                "obeyed": obeyed,
                "now": _later(later_s),
                "event": event.decode(),
                "missing": missing,
                "refusal": refusal,
            }
        )
    return {"warning": WARNING, "device": TOPICS.source, "vectors": vectors}


def unlocking() -> dict[str, Any]:
    """Return new wrapped keys: of both suites, and some that must be refused."""
    return {
        "warning": WARNING,
        "device": TOPICS.source,
        "deployment": DEPLOYMENT,
        "vectors": [
            {"name": one.name, "to": one.to, "refusal": one.refusal, "key": one.key}
            | {"wrapped": _text(one.wrapped)}
            for one in wrapped.cases()
        ],
    }


def unwrapping_of(to: Party, content: bytes) -> tuple[str | None, str | None]:
    """Return the key in hexadecimal, or the class of the refusal."""
    try:
        return unwrap_key(content, PARTIES[to], TOPICS.source, DEPLOYMENT).hex(), None
    except MessageError as error:
        return None, type(error).__name__


def outcome_of(event: bytes, obeyed: int, now: str) -> tuple[int | None, str | None]:
    """Return how many orders are missing before this one, or why it must do nothing."""
    order = decode_message(event, "command")
    if not isinstance(order, Command | Adjudication):
        raise TypeError(order)
    try:
        return OrderBook(TOPICS.source, obeyed).check(order, utc_ns(now)), None
    except MessageError as error:
        return None, type(error).__name__


def keys() -> dict[str, Any]:
    """Return the keys of all parties, in the form of their files."""
    parties = {
        name: {
            "key_id": own.public.key_id.hex(),
            "private": msgspec.to_builtins(own),
            "public": msgspec.to_builtins(own.public),
        }
        for name, own in PARTIES.items()
    }
    return {"warning": WARNING, "device": TOPICS.source, "parties": parties}


def failures() -> list[str]:
    """Return what is wrong with the vectors in docs/vectors, a sentence each."""
    wrong = [] if _read("keys") == keys() else ["keys.json has other keys."]
    wrong += [] if _read("orders") == orders() else ["orders.json has other outcomes."]
    for suite in SUITES:
        found = _read(suite)["vectors"]
        if [vector["name"] for vector in found] != list(examples()):
            wrong.append(f"{suite}.json has not all messages.")
        wrong += [f"{suite}: {v['name']}: {why}" for v in found for why in _judged(v)]
    for vector in _read("refused")["vectors"]:
        cell, kind = b64decode(vector["cell"]), parse_topic(vector["topic"])[1]
        refusal = refusal_of(vector["to"], cell, kind)
        if refusal != vector["refusal"]:
            wrong.append(f"refused: {vector['name']}: {refusal} instead of {vector['refusal']}")
    for vector in _read("unlocking")["vectors"]:
        found_key = unwrapping_of(vector["to"], b64decode(vector["wrapped"]))
        if found_key != (vector["key"], vector["refusal"]):
            wrong.append(f"unlocking: {vector['name']}: {found_key}")
    return wrong


def refusal_of(to: Party, cell: bytes, kind: Kind) -> str | None:
    """Return the class of the refusal of a cell; None when it is accepted."""
    try:
        envelope(to).open(cell, kind)
    except MessageError as error:
        return type(error).__name__
    return None


def _judged(vector: dict[str, Any]) -> list[str]:
    kind = parse_topic(vector["topic"])[1]
    example = examples()[vector["name"]]
    expected, digest = example.message, None
    own, other = PARTIES[example.sender], PARTIES[vector["to"]].public
    content = Signed(EVENT, vector["event"].encode())
    wrong = []
    if encode_event(expected).decode() != vector["event"]:
        wrong.append("the event has another text")
    if "letter" in vector:
        letter = b64decode(vector["letter"]["sealed"])
        digest = vector["letter"]["sha256"]
        if isinstance(expected, Alert):
            expected = expected.sent(SENT_AT, delayed=SENT.delayed)
        if b64decode(vector["letter"]["signed"]) != sign(content, own, other):
            wrong.append("the letter is signed otherwise")
        content = Signed(LETTER, letter, SENT)
    if b64decode(vector["signed"]) != sign(content, own, other):
        wrong.append("it is signed otherwise")
    opened = envelope(vector["to"]).open(b64decode(vector["cell"]), kind)
    if (opened.message, opened.digest) != (expected, digest):
        wrong.append("it opens to something else")
    return wrong


def _later(seconds: int) -> str:
    return utc_text(utc_ns(START) + seconds * 1_000_000_000)


def _text(content: bytes) -> str:
    return b64encode(content).decode()


def _read(name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def main() -> int:
    """Write or check the vectors; 1 when `--check` finds a wrong one."""
    if "--check" in sys.argv[1:]:
        wrong = failures()
        print("\n".join(wrong) or "The vectors hold.")
        return 1 if wrong else 0
    content = {"keys": keys(), "orders": orders(), "refused": refused(), "unlocking": unlocking()}
    for name, value in (content | {suite: opens(suite) for suite in SUITES}).items():
        text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        (FOLDER / f"{name}.json").write_text(text, "utf-8")
        print(f"written: {name}.json, {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
