"""Drill: a thief has the card of a device, with everything on it, and all that it ever sent or got.

    python -m tests.reliability.stolen_card [--json FILE] [--doc docs/stolen-device.md]

The real programs: a list is made and signed, a device opens it with the desk's key, watches
rendered people, and has an alert waiting. Its card is copied at six moments and attacked each time:
every byte is searched for what must not be there, every window of 32 bytes is tried as the key,
letters and recorded answers are opened with the device's own keys, and the appliance is started
from copies. A second deployment shows what `unlock = "local"` gives up. Some three minutes;
docs/stolen-device.md has the tables that this prints.
"""

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from device.matching.protection import Transformation
from device.protocol.authorisation import decode_authorisation
from device.protocol.bundle import AUTHORISATION, LOCAL_KEYS, LocalKeys
from device.protocol.cell import open_letter
from device.protocol.cose import verify
from device.protocol.keys import decode_private_keys, decode_public_keys
from device.protocol.messages import decode_message
from device.protocol.unlocking import unwrap_key
from tests.simulators.estate import DEVICE, LISTED, SITE, TOPICS, Card, Estate, stop
from tests.simulators.mosquitto import Listener, wait_until
from tests.simulators.thief import SECRETS, Lock, Thief, canaries, letters, opened_with, texts


@dataclass
class Outcome:
    """What the drill found. refused, revoked: what the stolen card's appliance says in the end."""

    loot: list = field(default_factory=list)
    planted_unseen: int = 0
    right_key_found: bool = False
    desk_opens: int = 0
    memory: dict = field(default_factory=dict)
    before_report: list = field(default_factory=list)
    after_report: list = field(default_factory=list)
    after_revocation: list = field(default_factory=list)
    local: dict = field(default_factory=dict)


def drill(folder, say=print):
    """Do all of it in an empty folder. Returns the outcome; raises AssertionError when stuck."""
    outcome = Outcome()
    with ExitStack() as stack:
        (folder / "remote").mkdir(parents=True)
        estate = Estate(folder / "remote", stack)
        estate.prepare()
        say("a list of three is published and installed")
        estate.broker.start()
        stack.callback(estate.broker.stop)
        recording = Listener(estate.broker.port)
        stack.callback(recording.close)
        images = _moments(estate, folder / "images", outcome, say)
        armed = images["armed, an alert waits"]
        alert = _alert(estate, armed, outcome)
        looks_for = canaries(estate, armed.folder / "state", alert)
        outcome.planted_unseen = looks_for.missed()
        lock = Lock(armed.folder / "state")
        _, _, key = estate.truth()
        outcome.right_key_found = lock.opens(bytes(key)) and not lock.opens(os.urandom(32))
        thief = Thief(looks_for, recording, lock)
        for moment, image in images.items():
            outcome.loot.append(thief.robs(moment, image.folder))
            say(f"robbed: {moment}")
    outcome.local = local(folder / "local")
    return outcome


def _moments(estate, folder, outcome, say):
    """Live through what a device lives through; return copies of its card, by moment."""
    folder.mkdir()
    card, images = Card(estate.card), {}

    def taken(moment, of=card, running=None):
        images[moment] = of.copy(folder / str(len(images)), running)
        say(f"copied: {moment}")
        return images[moment]

    running = estate.start()
    card.wait_for("unlock asked")
    taken("started, the desk has not answered", running=running)
    estate.listen()
    card.wait_for("armed")
    estate.hush()
    card.wait_for("alert")
    # The audit log has its line first; the letter follows once it is sealed.
    wait_until(lambda: _waits(estate.card), what="a letter in the outbox")
    outcome.memory = memory_of(running)
    taken("armed, an alert waits", running=running)
    running.send_signal(signal.SIGKILL)
    running.wait()
    killed = taken("killed at the plug")
    outcome.before_report = _found(estate, killed.copy(folder / "found"), "armed", "comparing")
    running = estate.start()
    estate.listen()
    card.wait_for("armed", 2)
    estate.desk(f"order suspend --device {SITE}/{DEVICE} --config desk.toml --reason", "A drill")
    card.wait_for("disarmed")
    taken("suspended by the desk", running=running)
    estate.desk(f"devices stolen --site {SITE} --device {DEVICE} --config desk.toml")
    card.wait_for("erased")
    stop(running)
    estate.hush()
    taken("erased, reported stolen while it ran")
    late = killed.copy(folder / "late")
    outcome.after_report = _found(estate, late, "erased", "not comparing")
    taken("copied before, started after the report", late)
    estate.revoke_certificate()
    outcome.after_revocation = _shut_out(estate, killed.copy(folder / "revoked"))
    return images


def _waits(folder):
    """Return whether a letter waits in the outbox of a running appliance."""
    with contextlib.suppress(sqlite3.Error, OSError):
        return bool(letters(folder))
    return False


def _found(estate, card, event, state):
    """Start the appliance of a copy with the desk there. Returns [state, its reasons]."""
    before = card.events().count(event)
    estate.listen()
    running = estate.start(card.folder)
    card.wait_for(event, before + 1)
    card.wait_for_state(state)
    told = [card.told("state"), *card.told("reasons")]
    stop(running)
    estate.hush()
    return told


def _shut_out(estate, card):
    """Start a copy after its certificate was revoked. Returns what its journal says."""
    estate.listen()
    running = estate.start(card.folder)
    file = card.folder / "state/status.json"
    told = []

    def refused():
        with contextlib.suppress(OSError, ValueError):
            status = json.loads(file.read_text())
            if status["process"] == running.pid and "certificate" in status["broker"]:
                told[:] = [status["status"]["state"], status["broker"]]
        return bool(told)

    wait_until(refused, 120, "a refusal by the broker")
    stop(running)
    estate.hush()
    return told


def _alert(estate, image, outcome):
    """Open the waiting letters as the desk does: they are whole, and for the desk."""
    desk = decode_private_keys((estate.folder / "desk.key").read_bytes())
    device = decode_public_keys((estate.card / "device.pub").read_bytes())
    alerts = []
    for _, letter in letters(image.folder):
        signed = verify(open_letter(letter, desk, TOPICS.source), device, desk.public, len(letter))
        alerts.append(decode_message(signed.payload, "alert"))
    outcome.desk_opens = len(alerts)
    return alerts[0]


def memory_of(process):
    """Return what others than root see of the running appliance's memory."""
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if "core file" in line).split()[4:6]
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    tried = subprocess.run(
        ["head", "-c", "1", f"/proc/{process.pid}/mem"], capture_output=True, check=False, **nobody
    )
    return {"core": core, "refused": b"ermission denied" in tried.stderr, "as": "another user"
            if nobody else "its own user"}  # fmt: skip


def local(folder):
    """Show what a card with its own key gives up: everything but names."""
    folder.mkdir()
    with ExitStack() as stack:
        estate = Estate(folder, stack, "local")
        estate.prepare()
        register, references, _ = estate.truth()
    card = estate.card
    targets = next((card / "state").glob(f"bundle/**/{AUTHORISATION}")).parent
    signed = decode_authorisation((targets / AUTHORISATION).read_bytes())
    wrapped = msgspec.json.decode((targets / LOCAL_KEYS).read_bytes(), type=LocalKeys).wrapped
    own = decode_private_keys((card / "state/identity.key").read_bytes())
    key = unwrap_key(wrapped[TOPICS.source], own, TOPICS.source, signed.deployment)
    opened, _ = opened_with(card / "state", key)
    turned = Transformation(opened.seed.array.data, opened.header.dimension, len(opened.rows))
    plain = (opened.rows @ turned.rotations[0].T)[:, : opened.header.dimension]
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    truth = {one.reference_id: np.frombuffer(one.templates[0], "<f4") for one in references}
    rows = [truth[entry.reference_id] for entry in opened.header.entries]
    rows = [row / np.linalg.norm(row) for row in rows]
    words = texts([word for name in LISTED for word in (name, *name.split())])
    days = texts([born_on for born_on, _, _ in LISTED.values()])
    blobs = [path.read_bytes() for path in card.rglob("*") if path.is_file()]
    blobs.append(opened.content.array.tobytes())
    return {
        "references": len(register.entries),
        "ids": sum(entry.reference_id in truth for entry in opened.header.entries),
        "lowest cosine of a recovered template": round(
            min(float(a @ b) for a, b in zip(plain, rows, strict=True)), 6
        ),
        "names and birth dates": sum(word in blob for word in (*words, *days) for blob in blobs),
    }


def failures(outcome):
    """Return what a stolen card gave away, or what made the drill worth nothing; empty is good."""
    found = [
        f"{loot.moment}: {kind} found" for loot in outcome.loot for kind in SECRETS
        if loot.found[kind]
    ]  # fmt: skip
    for loot in outcome.loot:
        for what in ("letters_opened", "keys_found", "unwrapped"):
            found += [f"{loot.moment}: {what}"] if getattr(loot, what) else []
    checks = {
        "the search does not see what was planted": outcome.planted_unseen == 0,
        "the right key is not recognised": outcome.right_key_found,
        "no alert waited": outcome.desk_opens > 0,
        "no wrapped key was recorded": any(loot.wrapped for loot in outcome.loot),
        "others read the appliance's memory": outcome.memory["refused"],
        "the appliance dumps core": outcome.memory["core"] == ["0", "0"],
        "a copy was not erased after the report": outcome.after_report[0] == "not comparing",
        "a copy whose certificate is revoked compares": outcome.after_revocation[0] != "comparing",
        "names came with a locally unlocked list": outcome.local["names and birth dates"] == 0,
    }
    return found + [wrong for wrong, holds in checks.items() if not holds]


def lines(outcome):
    """Return the tables of docs/stolen-device.md."""
    yield (
        "| copied | files | names, birth dates | templates, plain or stored | keys "
        "| alerts, pictures | letters: waiting, opened | tried as key: windows, right |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for loot in outcome.loot:
        found = loot.found
        cells = (
            loot.moment,
            f"{loot.files}, {loot.size / 1000:,.0f} kB",
            found["names"] + found["birth dates"],
            found["templates"] + found["stored rows"],
            found["keys"],
            found["alert pictures"] + found["alerts"],
            f"{' '.join(loot.letters) or 'none'}, {loot.letters_opened}",
            f"{loot.windows:,}, {loot.keys_found}",
        )
        yield "| " + " | ".join(map(str, cells)) + " |"
    last = outcome.loot[-1]
    yield (
        f"\nRecorded traffic: {last.recorded} messages; the device's own keys open "
        f"{last.orders_read} of them, which the desk had sent to it; {last.wrapped} of those hold "
        f"a wrapped key, of which {last.unwrapped} opened."
    )
    yield f"\nReference ids stand in: {', '.join(_places(outcome))}."
    yield "\n| the appliance is started from a copy | it says |\n|---|---|"
    for when, said in (
        ("the desk does not know of the theft", outcome.before_report),
        ("reported stolen", outcome.after_report),
        ("its certificate is revoked", outcome.after_revocation),
    ):
        yield f"| {when} | {': '.join(filter(None, said))} |"
    found = outcome.local
    yield (
        f'\n`unlock = "local"`: {found["ids"]} of {found["references"]} reference ids read, '
        f"{found['references']} templates recovered (lowest cosine with the enrolled one "
        f"{found['lowest cosine of a recovered template']:.6f}), names and birth dates found: "
        f"{found['names and birth dates']}."
    )


def _places(outcome):
    """Return the files that hold reference ids, of all copies, without ids in their names."""
    names = {Path(place).parent.name + "/" if "manifests" in place else Path(place).name
             for loot in outcome.loot for place in loot.ids_in}  # fmt: skip
    return sorted(f"`{name}`" for name in names)


_MARKS = "<!-- the drill's tables -->\n", "<!-- end of the drill's tables -->\n"


def main():
    """Do the drill and print its tables; exit 1 when a card gave something away."""
    parser = argparse.ArgumentParser(description="A thief has a device's card.")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--doc", type=Path, metavar="FILE.md", help="write the tables into it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="card") as folder:
        outcome = drill(Path(folder), lambda line: print(line, file=sys.stderr))
    table = "\n".join(lines(outcome)) + "\n"
    print(table)
    if options.json:
        options.json.write_text(json.dumps(asdict(outcome), indent=1))
    if options.doc:
        before, _, rest = options.doc.read_text().partition(_MARKS[0])
        after = rest.partition(_MARKS[1])[2]
        options.doc.write_text(f"{before}{_MARKS[0]}\n{table}\n{_MARKS[1]}{after}")
    for failure in failures(outcome):
        print(f"FAILED: {failure}")
    return 1 if failures(outcome) else 0


if __name__ == "__main__":
    sys.exit(main())
