"""The audit log: no kill and no power cut breaks it, and nothing that was done to it goes unseen.

    python -m tests.reliability.audit [--quick] [--seed N]

Three proofs. `kills`: real processes are killed with SIGKILL while they write. `cuts`: the last
write is cut at every byte, as a power cut can, with zeros behind it or not, and the recovery from
that is cut again. `tampering`: every class of change, at every place, of random logs.
"""

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.audit import AuditLog
from device.audit.head import encode_head
from device.audit.line import Line, decode, encode, hash_of, signed
from device.audit.reading import Snapshot
from device.audit.verify import verify
from tests.reliability.proof import Proof

SIGNER = Ed25519PrivateKey.from_private_bytes(b"7" * 32)
KEY = SIGNER.public_key()
NOON_NS = 1_800_000_000_000_000_000
_LIVES = 25
"""Kills that one log has to live through; then another one is begun."""


def prove(options):
    """All three in one, for a list of proofs."""
    proofs = [kills(options), cuts(options), tampering(options)]
    figures = {f"{p.name}: {key}": value for p in proofs for key, value in p.figures.items()}
    claim = "; ".join(proof.claim for proof in proofs)
    return Proof("audit log", claim, all(proof.held for proof in proofs), figures)


# --- kill -9 --------------------------------------------------------------------------------------


def kills(options):
    """Kill writers at random moments. No line that was acknowledged may be missing."""
    number = 20 if options.quick else 1000
    rng = random.Random(options.seed)
    counted = Counter(dict.fromkeys(("kills", "acknowledged", "lost", "twice", "not clean"), 0))
    counted |= Counter({"found one line ahead of its head": 0})
    for first in range(0, number, _LIVES):
        folder = options.work / f"kills-{first}"
        acknowledged = set()
        for life in range(first, min(first + _LIVES, number)):
            acknowledged |= _killed(folder / "audit.jsonl", life, 1 + (life % 4 == 0), rng)
            counted["kills"] += 1
            _look(folder / "audit.jsonl", acknowledged, counted)
        counted["acknowledged"] += len(acknowledged)
    held = not (counted["lost"] or counted["twice"] or counted["not clean"])
    claim = "a kill -9 at any moment leaves a log that verifies, with every acknowledged line"
    return Proof("kills", claim, held and counted["acknowledged"] > number, dict(counted))


def _killed(path, life, writers, rng):
    """Let writers write until they are killed. Returns what they were promised."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["device.audit"])
    running = []
    for writer in range(writers):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_writing, args=(path, f"{life}-{writer}", theirs))
        process.start()
        theirs.close()
        running.append((process, ours))
    acknowledged = {running[0][1].recv()}  # it is under way
    time.sleep(rng.uniform(0, 0.15))
    for process, _ in running:
        os.kill(process.pid, signal.SIGKILL)
    for process, ours in running:
        process.join()
        acknowledged |= _received(ours)
        process.close()
    return acknowledged


def _received(pipe):
    got = set()
    try:
        while pipe.poll(0):
            got.add(pipe.recv())
    except (EOFError, OSError):
        pass  # the writer died while it told us
    pipe.close()
    return got


def _writing(path, name, told):
    log = AuditLog(path, SIGNER)
    number = 0
    while True:
        number += 1
        log.write(time.time_ns(), "erased", {"file": f"{name}-{number}"})
        told.send(f"{name}-{number}")


def _look(path, acknowledged, counted):
    report = verify(Snapshot.of(path), KEY)
    counted["not clean"] += not report.ok
    counted["found one line ahead of its head"] += any(
        "does not name" in note.text for note in report.notes
    )
    there = Counter(line.details.get("file") for _, line in Snapshot.of(path).lines())
    counted["lost"] += len(acknowledged - set(there))
    counted["twice"] += sum(count > 1 for count in there.values())


# --- Power cuts -----------------------------------------------------------------------------------


def cuts(options):
    """Cut the newest write at every byte; go on; cut that again; all must verify."""
    with _fast_folder() as folder:
        return _cuts(options, Path(folder))


def _fast_folder():
    """Return a folder in memory, where there is one: here the test says what reaches the disk."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="p", dir=memory if memory.is_dir() else None)


def _cuts(options, folder):
    counted = Counter(dict.fromkeys(("cuts", "cuts of a recovery", "not clean", "missed"), 0))
    for number in range(1 if options.quick else 12):
        rng = random.Random(f"{options.seed} {number}")
        path = folder / f"cuts-{number}" / "audit.jsonl"
        _random_log(path, rng, lines=rng.randrange(1, 6))
        before, after = _around(path, lambda path=path, rng=rng: _write(path, rng))
        for tail in _tails(before[0], after[0]):
            for content in {tail, tail + b"\0" * (len(after[0]) - len(tail))}:
                counted["cuts"] += 1
                _restore(path, content, before[1])
                counted["not clean"] += not _clean(path)
                # The same with the new head: the line had been promised, so this is no power cut.
                _restore(path, content, after[1])
                counted["missed"] += content != after[0] and _clean(path)
                _restore(path, content, before[1])
                again = _around(path, lambda path=path, rng=rng: _write(path, rng))
                counted["not clean"] += not _clean(path)
                _cut_again(path, again, rng, counted)
    held = not (counted["not clean"] or counted["missed"])
    claim = "a power cut at any byte is no finding, and a cut of a promised line is one"
    return Proof("cuts", claim, held, dict(counted))


def _around(path, change):
    """Do it; return the files before and after it."""
    states = []
    for step in (lambda: None, change):
        step()
        head = path.with_suffix(".head")
        states.append((path.read_bytes(), head.read_bytes() if head.exists() else None))
    return states


def _tails(before, after):
    return [after[:size] for size in range(len(before), len(after) + 1)]


def _cut_again(path, states, rng, counted):
    """Cut the recovery too, at one place; between its lines heads were written: take the newest."""
    (before, head), (after, _) = states
    cut = rng.randrange(len(before), len(after) + 1)
    _restore(path, after[:cut], head)
    # Of lines that were whole before the cut, all but the newest had their head.
    whole = [c for c in after[:cut].split(b"\n") if decode(c, Line) is not None]
    if len(whole) > 1 and (head is None or decode(whole[-1], Line).number > _number(head) + 1):
        content = encode_head(len(whole) - 1, hash_of(whole[-2]), SIGNER)
        path.with_suffix(".head").write_bytes(content)
    counted["cuts of a recovery"] += 1
    counted["not clean"] += not _clean(path)
    _write(path, rng)
    counted["not clean"] += not _clean(path)


def _number(head):
    return int(head.partition(b'"number":')[2].partition(b",")[0])


def _restore(path, content, head):
    path.write_bytes(content)
    if head is None:
        path.with_suffix(".head").unlink(missing_ok=True)
    else:
        path.with_suffix(".head").write_bytes(head)


def _clean(path):
    return verify(Snapshot.of(path), KEY).ok


# --- Tampering ------------------------------------------------------------------------------------


def tampering(options):
    """Change random logs in every way; the verifier must find every change."""
    with _fast_folder() as folder:
        return _tampering(options, Path(folder))


def _tampering(options, folder):
    counted = Counter()
    missed = []
    for number in range(1 if options.quick else 10):
        rng = random.Random(f"{options.seed} tampering {number}")
        path = folder / f"tampering-{number}" / "audit.jsonl"
        other = folder / f"tampering-{number}-other" / "audit.jsonl"
        lines = 5 if options.quick else rng.randrange(6, 14)
        for place in (path, other):
            _random_log(place, rng, lines=lines, torn=True)
        content, head = path.read_bytes(), path.with_suffix(".head").read_bytes()
        stride = 9 if options.quick else 1
        for kind, changed, its_head in _changes(content, head, other, rng, stride):
            if (changed, its_head) == (content, head):
                continue
            name = kind
            _restore(path, changed, its_head)
            report = verify(Snapshot.of(path), KEY)
            if report.ok and its_head == head and changed.startswith(content):
                # It looks like a line that a power cut left unfinished, and is told as such.
                name = "unfinished line added at the end, noted"
                seen = any(note.line == content.count(b"\n") + 1 for note in report.notes)
            else:
                seen = not report.ok
            counted[name] += 1
            if not seen:
                missed.append(name)
    figures = dict(counted) | {"changes": sum(counted.values()), "missed": len(missed)}
    claim = "every edit, cut, insertion, reorder and forgery is found"
    return Proof("tampering", claim, not missed and sum(counted.values()) > 0, figures)


def _changes(content, head, other, rng, stride):
    """Yield name, log, head of every change."""
    lines = content.splitlines(keepends=True)
    for name, changed in _of_bytes(content, rng, stride):
        yield name, changed, head
    for name, changed in _of_lines(lines, other.read_bytes().splitlines(keepends=True), rng):
        yield name, b"".join(changed), head
    for name, changed in _of_bytes(head, rng, stride):
        yield f"head: {name}", content, changed
    yield "head: deleted", content, None
    yield "head: of another log", content, other.with_suffix(".head").read_bytes()
    for kept in range(1, len(lines)):
        yield "end and head deleted", b"".join(lines[:kept]), None
        yield "end cut, head forged", *_forged(lines[:kept], None)
    for at in range(len(lines)):
        for signer in (None, Ed25519PrivateKey.generate()):
            yield "forged with a whole chain", *_forged(lines[:at] + lines[at + 1 :], signer)


def _of_bytes(content, rng, stride):
    for at in range(0, len(content), stride):
        yield "byte edited", content[:at] + _other_byte(content[at], rng) + content[at + 1 :]
        yield "bit flipped", _flipped(content, at, rng)
        yield "byte removed", content[:at] + content[at + 1 :]
        yield "byte added", content[:at] + bytes([rng.randrange(256)]) + content[at:]
        yield "cut at a byte", content[:at]
        yield "beginning cut at a byte", content[at + 1 :]
    for byte in (b"\n", b" ", b"x", b"{", b"\0"):
        yield "byte added", content + byte


def _other_byte(byte, rng):
    return bytes([(byte + rng.randrange(1, 256)) % 256])


def _flipped(content, at, rng):
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


def _of_lines(lines, foreign, rng):
    for at in range(len(lines)):
        yield "line removed", lines[:at] + lines[at + 1 :]
        yield "front removed", lines[at + 1 :]
        yield "end removed", lines[:at]
        yield "order reversed from here", lines[:at] + lines[at:][::-1]
        for to in range(len(lines) + 1):
            yield "line inserted twice", [*lines[:to], lines[at], *lines[to:]]
            moved = lines[:at] + lines[at + 1 :]
            yield "line moved", [*moved[:to], lines[at], *moved[to:]]
        for to in range(at):
            swapped = list(lines)
            swapped[at], swapped[to] = lines[to], lines[at]
            yield "lines exchanged", swapped
        for one in foreign:
            yield "line of another log put in its place", [*lines[:at], one, *lines[at + 1 :]]
            yield "line of another log inserted", [*lines[:at], one, *lines[at:]]
        yield "garbage inserted", [*lines[:at], rng.randbytes(40) + b"\n", *lines[at:]]
        yield "unfinished line inserted", [*lines[:at], lines[at][:30] + b"\n", *lines[at:]]


def _forged(lines, signer):
    """Return a log with a whole chain and a fitting head, made without the device's key."""
    before, result, number = "0" * 64, [], 0
    for one in lines:
        line = decode(one.removesuffix(b"\n"), Line)
        if line is None:
            continue
        number += 1
        content = _remade(line, number, before, signer)
        before = hash_of(content)
        result.append(content + b"\n")
    return b"".join(result), encode_head(max(number, 1), before, signer)


def _remade(line, number, before, signer):
    bare = msgspec.structs.replace(line, number=number, previous=before, signature=None)
    return encode(signed(bare, signer))


# --- Logs -----------------------------------------------------------------------------------------


def _random_log(path, rng, *, lines, torn=False):
    """Write a log of our events. torn: with an unfinished line in the middle."""
    path.parent.mkdir(parents=True)
    for number in range(lines):
        _write(path, rng)
        if torn and number == lines // 2:
            last = path.read_bytes().splitlines()[-1]
            with path.open("ab") as file:
                file.write(last[: rng.randrange(1, len(last))])
    _checkpointed(path)


def _write(path, rng):
    texts = {"file": "".join(rng.choices("ab é\n", k=rng.randrange(1, 20)))}
    events = [
        ("erased", texts),
        ("search", {"purpose": "p", "case": "c", "watchlist": "l"} | texts),
        ("storage works again", {}),
        ("bundle installed", {"version": rng.randrange(1000)}),
    ]
    AuditLog(path, SIGNER).write(NOON_NS + rng.randrange(10**15), *rng.choice(events))


def _checkpointed(path):
    AuditLog(path, SIGNER).checkpoint(NOON_NS + 10**15)


def main(arguments=None):
    """Run all three; 1 when one fails."""
    parser = argparse.ArgumentParser(prog="audit", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small run of each")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    failed = 0
    for one in (kills, cuts, tampering):
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="p") as folder:
            proof = one(argparse.Namespace(work=Path(folder), **vars(options)))
        print(proof.line(), f"\n      {time.monotonic() - began_s:.0f} s", flush=True)
        failed += not proof.held
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
