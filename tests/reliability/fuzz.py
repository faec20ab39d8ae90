"""Generated input for every decoder of the protocol.

    python -m tests.reliability.fuzz --cases 1000000 --seed 1

Valid messages are damaged at each of their layers, and everything outside that layer is made anew
around it: signed with the right key, padded, sealed. So the damage reaches the decoder that it is
meant for. Nothing but a `MessageError` may come back, and what is accepted must be judged right by
a rule that stands here and not in the decoder. Exit code 1 when that fails.
"""

import argparse
import json
import random
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

from device.errors import MessageError
from device.protocol.alert import Alert, decode_alert
from device.protocol.cell import (
    CELL_BYTES,
    LARGEST_LETTER_BYTES,
    open_cell,
    open_letter,
    room,
    seal_cell,
    seal_letter,
)
from device.protocol.cose import verify
from device.protocol.cover import Cover
from device.protocol.event import encode_event
from device.protocol.identifiers import utc_text
from device.protocol.keys import decode_private_keys, decode_public_keys, encode_keys
from device.protocol.messages import decode_message
from device.protocol.order import OrderBook
from device.protocol.status import decode_status
from device.protocol.topics import KINDS, parse_source, parse_topic
from device.protocol.unlocking import unwrap_key, wrap_key
from tests.reliability.mutation import NUMBERS, TEXTS, cbor, damaged, event, noise
from tools.setup.vectors.examples import (
    DEPLOYMENT,
    DESK,
    DEVICE,
    PARTIES,
    SENT,
    SENT_AT,
    START,
    TOPICS,
    a_command,
    a_receipt,
    an_adjudication,
    an_alert,
    envelope,
    examples,
)
from tools.setup.vectors.refused import LETTER, canonical, header, padded, sealed, signature, signed

SHOWN = 3
SLOW_S = 1.0
"""No input of a cell's size may take longer: it would stop a desk."""
SUITES = ("x25519", "mlkem768-x25519")
EVENTS = tuple(encode_event(one.message) for one in examples().values())
BY_KIND = {
    kind: tuple(encode_event(one.message) for one in examples().values() if one.kind == kind)
    for kind in KINDS
}
LIMIT = room("x25519", "cell")


@dataclass
class Tally:
    """What became of the cases of one decoder."""

    cases: int = 0
    accepted: int = 0
    refused: Counter = field(default_factory=Counter)
    uncaught: int = 0
    forged: int = 0
    slowest_s: float = 0.0
    examples: list = field(default_factory=list)

    def add(self, other):
        self.cases += other.cases
        self.accepted += other.accepted
        self.refused += other.refused
        self.uncaught += other.uncaught
        self.forged += other.forged
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.examples += other.examples

    @property
    def bad(self):
        return self.uncaught + self.forged + (self.slowest_s > SLOW_S)

    def attempt(self, call, judge):
        """call: () → result. judge: whether this result may have been accepted."""
        self.cases += 1
        # Of this thread alone: what else the machine does is not the decoder's fault.
        started = time.thread_time()
        try:
            result = call()
        except MessageError as error:
            self.refused[type(error).__name__] += 1
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - a panic of a native library is none of Exception
            self.uncaught += 1
            self._show(traceback.format_exc(limit=-3), call)
        else:
            self.accepted += 1
            if not judge(result):
                self.forged += 1
                self._show(f"forged accepted: {result!r}"[:600], call)
        self.slowest_s = max(self.slowest_s, time.thread_time() - started)

    def _show(self, what, call):
        if len(self.examples) < SHOWN:
            held = [cell.cell_contents for cell in call.__closure__ or ()]
            given = [one for one in held if isinstance(one, bytes | str)]
            self.examples.append(f"{what}\n  input: {repr(given)[:2000]}")


class Fuzzer:
    """One generator of cases per decoder: each returns (call, judge)."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.cells = {
            suite: tuple(
                envelope(one.sender, suite).cell(one.message)
                if not one.in_letter
                else envelope(one.sender, suite).dispatch(
                    envelope(one.sender, suite).letter(one.message), 1, delayed=True
                )
                for one in examples().values()
                if one.sender == "device"
            )
            for suite in SUITES
        }
        self.letters = {suite: envelope("device", suite).letter(an_alert()) for suite in SUITES}
        self.signed = tuple(signed(payload) for payload in EVENTS)
        keys = [json.loads(encode_keys(one)) for one in PARTIES.values()]
        publics = [json.loads(encode_keys(one.public)) for one in PARTIES.values()]
        self.key_files = tuple(json.dumps(one).encode() for one in keys + publics)

    # Names.

    def topic(self):
        text = self._text([*(TOPICS.of(kind) for kind in KINDS), TOPICS.of("bundle", 317)])
        return (
            lambda: parse_topic(text),
            lambda found: (
                text
                in (
                    found[0].of(found[1]),
                    found[0].of(
                        found[1], int(text.rpartition("/")[2]) if found[1] == "bundle" else 1
                    ),
                )
            ),
        )

    def source(self):
        text = self._text([TOPICS.source, "urn:passerby:a:b", "a:b"])
        return lambda: parse_source(text), lambda found: found.source == text

    def _text(self, seeds):
        if self.rng.random() < 0.1:
            return self.rng.choice(TEXTS)
        raw = damaged(
            self.rng, self.rng.choice(seeds).encode(), (b"/alert", b"+", b"#", b":", b"-")
        )
        return raw.decode("utf-8", self.rng.choice(("replace", "surrogateescape", "ignore")))

    # Keys.

    def public_keys(self):
        content = self._key_file()
        return (
            lambda: decode_public_keys(content),
            lambda found: (
                decode_public_keys(encode_keys(found)) == found and len(found.key_id) == 16
            ),
        )

    def private_keys(self):
        content = self._key_file()
        return (
            lambda: decode_private_keys(content),
            lambda found: decode_private_keys(encode_keys(found)) == found,
        )

    def _key_file(self):
        return event(self.rng, self.rng.choice(self.key_files), self.key_files)

    # Messages.

    def message(self, kind):
        payload = event(self.rng, self.rng.choice(BY_KIND[kind]), EVENTS)
        return lambda: decode_message(payload, kind), lambda found: canonical_event(found, payload)

    def plain(self, decode, seeds):
        payload = event(self.rng, self.rng.choice(seeds), EVENTS)
        return lambda: decode(payload), lambda found: decode(encode_event(found)) == found

    def order(self):
        rng = self.rng
        number = rng.choice((1, 2, 3, 7, 2**53 - 1, rng.randrange(1, 2**53)))
        hours = rng.choice((0.01, 1, 24, 168))
        until = utc_text(SENT_NS + int(hours * 3600e9))
        order = rng.choice((a_command(number, START, until), an_adjudication()))
        payload = encode_event(order)
        if rng.random() < 0.5:
            payload = event(rng, payload, EVENTS)
        book = OrderBook(
            rng.choice((TOPICS.source, TOPICS.source, "urn:passerby:a:b")),
            rng.choice((0, 0, 1, 2, number - 1, number, 2**53 - 1)),
        )
        now_ns = SENT_NS + rng.choice((-301, -300, -299, -1, 0, 1, 36, 3600, 86_400, 10**6)) * 10**9

        def call():
            found = decode_message(payload, "command")
            return found, book.check(found, now_ns)

        return call, lambda result: obeyed_rightly(result[0], book, now_ns, result[1])

    def wrapped_key(self):
        """A key that was wrapped for one request: damaged, or for something else."""
        rng, suite = self.rng, self.rng.choice(SUITES)
        deployment = rng.choice((DEPLOYMENT, DEPLOYMENT, TEXTS[0], ""))
        source = rng.choice((TOPICS.source, TOPICS.source, "urn:passerby:a:b"))
        to = rng.choice(("one answer", "one answer", "device"))
        key = rng.randbytes(32)
        whole = wrap_key(key, PARTIES[to].public, source, deployment, suite)
        data = damaged(rng, whole, (whole,)) if rng.random() < 0.6 else whole
        meant = (deployment, source, to) == (DEPLOYMENT, TOPICS.source, "one answer")
        return (
            lambda: unwrap_key(data, PARTIES["one answer"], TOPICS.source, DEPLOYMENT),
            lambda found: meant and data == whole and found == key,
        )

    # Signed messages.

    def cose(self):
        """Mostly signed again, so that the damage gets past the signature."""
        rng, way = self.rng, self.rng.randrange(5)
        payload, sender = rng.choice(EVENTS), DEVICE
        known = None
        if way == 0:
            whole = rng.choice(self.signed)
            message = damaged(rng, whole, self.signed)
            known = message in self.signed
        elif way == 1:
            message, known = (noise(rng) if rng.random() < 0.3 else cbor(rng)), False
        else:
            message = self._signed_anew(payload)
            if rng.random() < 0.1:
                sender, known = PARTIES["other device"], False
                message = signed(payload, header(), sender)

        def call():
            return verify(message, DEVICE.public, DESK.public, LIMIT)

        def judge(found):
            if known is not None:
                return known
            # It was signed with the device's own key: then it must say so in the one form.
            said = {} if found.dispatch is None else {
                "sent": found.dispatch.sent_ms, "delayed": found.dispatch.delayed
            }  # fmt: skip
            return message == signed(found.payload, header(kind=found.content_type, **said))

        return call, judge

    def _signed_anew(self, payload):
        """Return a message that the device signed, with a header or parts that are odd."""
        rng = self.rng
        way = rng.randrange(5)
        if way == 0:
            protected = damaged(rng, canonical(header()), (canonical(header(kind=LETTER)),))
            return signed(payload, protected)
        if way == 1:
            return signed(payload, cbor(rng))
        if way == 2:
            labels = header(kind=rng.choice((LETTER, LETTER, "application/json")))
            labels |= {"sent": rng.choice(NUMBERS), "delayed": rng.choice((True, False, 1, None))}
            labels[2] = sorted(key for key in labels if isinstance(key, str))
            key = rng.choice(list(labels))
            if rng.random() < 0.3:
                labels[key] = rng.choice((*NUMBERS, *TEXTS, b"", bytes(16), None, True, [], {}))
            return signed(payload, labels)
        protected = canonical(header())
        parts = [canonical(one) for one in (protected, {}, payload, signature(protected, payload))]
        if way == 3:
            if rng.random() < 0.7:
                parts[rng.randrange(4)] = cbor(rng)
            return rng.choice((b"\xd2\x84", b"\xd2\x9f", b"\x84", b"\xd8\x12\x84")) + b"".join(
                parts
            )
        whole = b"\xd2\x84" + b"".join(parts)
        return whole + rng.choice((b"", b"\0", whole))

    # Cells and letters.

    def cell(self):
        """A third each: damaged; sealed anew with any content; sealed with odd padding."""
        rng, suite, way = self.rng, self.rng.choice(SUITES), self.rng.randrange(3)
        if way == 0:
            data = self._like_a_cell(rng.choice(self.cells[suite]))
            # Unchanged is right; changed and opened would be a forgery.
            return (
                lambda: open_cell(data, DESK, TOPICS.source),
                lambda _: any(data in cells for cells in self.cells.values()),
            )
        content = noise(rng)[: room(suite, "cell")]
        if way == 1:
            data = seal_cell(content, DESK.public, TOPICS.source, suite)
            return lambda: open_cell(data, DESK, TOPICS.source), lambda found: found == content
        content = content[:1000]
        said = rng.choice((len(content), 0, 1, 999, 12_214, 12_215, 2**31, 2**32 - 1))
        fill = rng.choice((b"\0", b"\0", b"\1"))
        data = sealed(padded(content, said, fill))
        return (
            lambda: open_cell(data, DESK, TOPICS.source),
            lambda found: padded(found) == padded(content, said, fill) and len(found) == said,
        )

    def letter(self):
        rng, suite = self.rng, self.rng.choice(SUITES)
        if rng.random() < 0.6:
            data = damaged(rng, self.letters[suite], tuple(self.letters.values()))
            return (
                lambda: open_letter(data, DESK, TOPICS.source),
                lambda _: data in self.letters.values(),
            )
        content = noise(rng)[:1000]
        data = seal_letter(content, DESK.public, TOPICS.source, suite)
        return lambda: open_letter(data, DESK, TOPICS.source), lambda found: found == content

    def _like_a_cell(self, data):
        data = damaged(self.rng, data, self.cells["x25519"])
        return data if self.rng.random() < 0.2 else data[:CELL_BYTES].ljust(CELL_BYTES, b"\0")

    # Whole envelopes.

    def envelope(self):
        """Damaged at one of its layers, from the event within to the cell, and closed again."""
        rng, kind = self.rng, self.rng.choice(("alert", "alert", "status", "record", "request"))
        way, suite = rng.randrange(6), rng.choice(SUITES)
        desk = envelope("desk")
        if way == 0:
            data = self._like_a_cell(rng.choice(self.cells[suite]))
            known = {*self.cells["x25519"], *self.cells["mlkem768-x25519"]}
            return lambda: desk.open(data, kind), lambda _: data in known
        payload = rng.choice(BY_KIND[kind])
        if way <= 2:
            payload = event(rng, payload, EVENTS)
        message = self._signed_anew(payload) if way == 3 else signed(payload)
        forger = way == 4
        if forger:
            message = signed(payload, header(), PARTIES["other device"])
        bare = ("status", "request")
        in_letter = kind not in bare and rng.random() < 0.7 and len(message) < 9000
        if in_letter:
            inner = seal_letter(message, DESK.public, TOPICS.source, suite)
            if way == 5:
                whole, inner = inner, damaged(rng, inner)[:LARGEST_LETTER_BYTES]
                forger = inner != whole
            message = signed(inner, header(kind=LETTER, sent=SENT.sent_ms, delayed=True))
        if len(message) > room(suite, "cell"):
            message = message[: room(suite, "cell")]
        data = seal_cell(message, DESK.public, TOPICS.source, suite)

        def judge(found):
            if forger or (kind not in bare and not in_letter and not is_cover(found.message)):
                return False
            if not isinstance(found.message, Alert):
                return canonical_event(found.message, payload)
            tree = json.loads(payload)
            tree["data"] |= {"sent_at": SENT_AT, "delayed": SENT.delayed}
            return tree == json.loads(encode_event(found.message)) and in_order(payload)

        return lambda: desk.open(data, kind), judge

    def envelope_of_orders(self):
        """What a device receives: receipts and orders, signed by the desk or by somebody else."""
        rng, kind = self.rng, self.rng.choice(("receipt", "command", "command", "bundle"))
        payload = rng.choice((*BY_KIND[kind], encode_event(a_receipt("stored"))))
        if rng.random() < 0.7:
            payload = event(rng, payload, EVENTS)
        sender = rng.choice((DESK, DESK, DESK, PARTIES["other desk"]))
        labels = header(rng.choice((DESK, sender)).public, DEVICE.public)
        message = signed(payload, labels, sender)[: room("x25519", "cell")]
        data = seal_cell(message, DEVICE.public, TOPICS.source, "x25519")
        return (
            lambda: envelope("device").open(data, kind),
            lambda found: sender is DESK and canonical_event(found.message, payload)
            and found.message.data.device == TOPICS.source,
        )  # fmt: skip


SENT_NS = 1_789_997_600_000_000_000
"""START, in nanoseconds."""


def canonical_event(message, payload):
    """Judge whether these bytes are the only way to write the message."""
    return in_order(payload) and encode_event(message) == payload


def in_order(payload):
    """Judge whether all keys are sorted and none comes twice, and no blank is outside of a text."""

    def pairs(found):
        keys = [key for key, _ in found]
        return dict(found) if keys == sorted(set(keys)) else {"": json.JSONEncoder}

    tree = json.loads(payload, object_pairs_hook=pairs)
    try:
        text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False)
    except TypeError:
        return False
    return len(text.encode()) == len(payload) or b"e-" in payload or b".0000" in payload


def is_cover(message):
    return isinstance(message, Cover)


def obeyed_rightly(order, book, now_ns, missing):
    """Judge with another clock and another arithmetic whether an order may be obeyed."""
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now_ns // 1000)
    given, until = (
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        for text in (order.time, order.data.expires_at)
    )
    return (
        order.data.device == book.device
        and order.data.sequence == book.sequence + 1 + missing
        and missing >= 0
        and given - timedelta(minutes=5) <= now < until
    )


def decoders(fuzzer):
    """Return (name, share of the cases, generator of a case)."""
    statuses, alerts = BY_KIND["status"], BY_KIND["alert"][:1]
    return [
        ("parse_topic", 10, fuzzer.topic),
        ("parse_source", 6, fuzzer.source),
        *[
            (f"decode_message: {kind}", 10, lambda kind=kind: fuzzer.message(kind))
            for kind in KINDS
        ],
        ("decode_alert", 6, lambda: fuzzer.plain(decode_alert, alerts)),
        ("decode_status", 6, lambda: fuzzer.plain(decode_status, statuses)),
        ("OrderBook.check", 8, fuzzer.order),
        ("decode_public_keys", 3, fuzzer.public_keys),
        ("decode_private_keys", 3, fuzzer.private_keys),
        ("cose.verify", 10, fuzzer.cose),
        ("unwrap_key", 3, fuzzer.wrapped_key),
        ("open_cell", 3, fuzzer.cell),
        ("open_letter", 3, fuzzer.letter),
        ("Envelope.open: desk", 6, fuzzer.envelope),
        ("Envelope.open: device", 3, fuzzer.envelope_of_orders),
    ]


def run(cases, seed):
    """Return the tally of every decoder, by name."""
    found = decoders(Fuzzer(seed))
    shares = sum(share for _, share, _ in found)
    tallies = {}
    for name, share, case in found:
        tally = tallies[name] = Tally()
        for _ in range(-(-cases * share // shares)):
            tally.attempt(*case())
    return tallies


def _run(job):
    return run(*job)


def report(tallies, seconds):
    """Return the table."""
    lines = [
        f"{'decoder':26}{'cases':>10}{'accepted':>10}{'uncaught':>10}{'forged':>8}{'slowest':>10}"
    ]
    for name, tally in tallies.items():
        lines.append(
            f"{name:26}{tally.cases:>10,}{tally.accepted:>10,}{tally.uncaught:>10}{tally.forged:>8}"
            f"{tally.slowest_s * 1e3:>7.1f} ms"
        )
        lines += ["    " + ", ".join(f"{k} {n:,}" for k, n in tally.refused.most_common())]
        lines += tally.examples[:SHOWN]
    total = sum(tally.cases for tally in tallies.values())
    bad = [sum(getattr(t, name) for t in tallies.values()) for name in ("uncaught", "forged")]
    lines.append(
        f"{total:,} cases in {seconds:.0f} s ({total / seconds:,.0f}/s): {bad[0]} uncaught, "
        f"{bad[1]} forged accepted"
    )
    return "\n".join(lines)


def together(cases, seed, processes):
    """Return the tallies of all cases, shared out to processes."""
    jobs = [(-(-cases // processes), f"{seed}/{number}") for number in range(processes)]
    tallies = {}
    with get_context("spawn").Pool(processes) as pool:
        for part in pool.imap_unordered(_run, jobs):
            for name, tally in part.items():
                tallies.setdefault(name, Tally()).add(tally)
    return tallies


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    started = time.perf_counter()
    tallies = together(given.cases, given.seed, given.processes)
    sys.stdout.write(report(tallies, time.perf_counter() - started) + "\n")
    return 1 if any(tally.bad for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
