"""`make proof-forgetting`: that everyone who is not on the list is forgotten, proved from outside.

    python -m tests.privacy.forgetting [--only PART …] [--quick] [--out FILE]

Writes JSON with the figures and what they depend on, and a picture of how long faces live. Exits
with 1 when a part fails, also because strace is not here to list all writes and peers.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from device.opencv import cv2
from device.vision import Catalogue, default_directory
from tests.privacy.forgetting import deaths, lives, onlooker, signed, trace
from tests.privacy.forgetting.leaks import CAUGHT, LEAKS, UNPROTECTED
from tests.privacy.forgetting.passage import FAULTS, Passage
from tests.privacy.forgetting.people import pool_of
from tests.privacy.forgetting.reading import no_reading
from tests.privacy.forgetting.surroundings import NOT_HERE, core_pattern, no_small_disk
from tests.reliability.proof import Proof, say, surroundings

WANTED_FACES = 10_000
_IN_A_ROOM = "PASSERBY_PROOF_IN_A_ROOM"


def main(arguments=None):
    options = _parser().parse_args(arguments)
    if (why := no_reading()) is not None:
        _start_as_root_of_a_room()
        print(f"proof-forgetting: {why}", file=sys.stderr)
        return 1
    options.cache.mkdir(parents=True, exist_ok=True)
    proofs = []
    for name in options.only or PARTS:
        say(f"--- {name}")
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="p") as folder:
            proof = PARTS[name](options, Path(folder))
        proofs.append(proof)
        print(proof.line(), f"\n      {time.monotonic() - began_s:.0f} s", flush=True)
        if options.out is not None:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(_report(proofs, options))
    failed = [proof.name for proof in proofs if not proof.held]
    print(f"{len(proofs) - len(failed)} of {len(proofs)} parts hold.", *failed)
    return 1 if failed else 0


def _start_as_root_of_a_room():
    """Start anew in a user namespace, where this user is root; return where that is impossible."""
    room = ["unshare", "--user", "--map-root-user", "--mount"]
    possible = shutil.which(room[0]) and not subprocess.run([*room, "true"], check=False).returncode
    if possible and os.environ.get(_IN_A_ROOM) is None:
        os.environ[_IN_A_ROOM] = "1"
        os.execvp(room[0], [*room, sys.executable, *sys.orig_argv[1:]])


# --- the parts ---


def _strangers(options, folder):
    """Ten thousand strangers, three seeds, every fault."""
    number = 12 if options.quick else options.frames
    work = partial(_passage, options=options, folder=folder, number=number)
    # A child that was forked would hold the parent's locks; a spawned one is clean.
    jobs = min(len(options.seeds), options.jobs)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        outcomes = list(pool.map(work, options.seeds))
    for outcome in outcomes:
        for line in (*outcome.told, *outcome.rules):
            say(f"seed {outcome.seed}: {line}")
    fired = sum((outcome.fired for outcome in outcomes), start=Counter())
    faces = sum(outcome.faces for outcome in outcomes)
    enough = options.quick or faces >= WANTED_FACES
    every = options.quick or set(fired) == set(FAULTS)
    figures = {
        "seeds": len(outcomes),
        "faces": faces,
        "compared": sum(outcome.compared for outcome in outcomes),
        "templates": sum(outcome.embedded for outcome in outcomes),
        "not known to the last bit": sum(outcome.unknown for outcome in outcomes),
        "frames": sum(outcome.frames for outcome in outcomes),
        "lost inside the camera": sum(outcome.lost for outcome in outcomes),
        "forms": sum(outcome.forms for outcome in outcomes),
        "searches of memory": sum(outcome.searches for outcome in outcomes),
        "GB read": round(sum(outcome.bytes_read for outcome in outcomes) / 1e9),
        "found": sum(sum(outcome.finds.values()) for outcome in outcomes),
        "rules broken": sum(len(outcome.rules) for outcome in outcomes),
        "faults": dict(sorted(fired.items())),
        "around": dict(sum((outcome.around for outcome in outcomes), start=Counter())),
        "planted": sum(outcome.planted for outcome in outcomes),
        "planted and not found": sum(outcome.unfound for outcome in outcomes),
        "core images": sorted({outcome.core for outcome in outcomes}),
        "bytes": {outcome.seed: outcome.sizes for outcome in outcomes},
        "skipped": sorted({one for outcome in outcomes for one in outcome.skipped}),
    }
    seen = any(one.traced for one in outcomes) and any(one.verbose for one in outcomes)
    controlled = all(one.planted for one in outcomes)
    held = all(one.clean for one in outcomes) and enough and every and seen and controlled
    claim = "nothing of anybody is in memory after the frame, on the disk, in a log or on the wire"
    return Proof("strangers", claim, held, figures)


def _passage(seed, *, options, folder, number):
    pool = _pool(seed, options.cache, quick=options.quick)
    # The list of all writes, and a core image by a debugger, exclude each other.
    first = seed % 2 == 1
    how = {"models": options.models, "verbose": first, "traced": first, "say": say}
    how["threads"] = options.threads
    return Passage(folder / str(seed), seed, number, pool=pool, **how).run()


def _signed(options, folder):
    """A device as a pilot runs it: a signed list, turned templates, TLS, a desk that opens it."""
    seed, number = options.seeds[0], 6 if options.quick else 30
    pool = _pool(seed, options.cache, quick=options.quick)
    found = [
        signed.strangers_pass(folder / mode, seed, number, pool=pool, mode=mode, say=say)
        for mode in ("silent", "alerting")
    ]
    for outcome in found:
        for line in (*outcome.told, *outcome.rules):
            say(f"{outcome.mode}: {line}")
    held = all(outcome.clean and outcome.compared and outcome.turned for outcome in found)
    claim = "a signed list's device keeps nobody, and behind its last code no list and no key"
    return Proof("signed", claim, held, {one.mode: one.figures() for one in found})


def _controls(options, folder):
    """Four leaky builds: each must be caught."""
    caught = {name: _caught(options, folder / str(n), name) for n, name in enumerate(LEAKS)}
    sound = _caught(options, folder / "sound", None)
    held = not sound and all(CAUGHT[name] in places for name, places in caught.items())
    caught["none, in the same run"] = sound
    claim = "each deliberately leaky build is caught"
    return Proof("leaky builds", claim, held, caught)


def _unprotected(options, folder):
    """What three protections buy: without any of them something is found."""
    names = UNPROTECTED
    caught = {name: _caught(options, folder / str(n), name) for n, name in enumerate(names)}
    claim = "without any one protection something is found, so none is there for nothing"
    held = all(CAUGHT[name] in places for name, places in caught.items())
    return Proof("without a protection", claim, held, caught)


def _caught(options, folder, name):
    """Return where a leaky build was caught: place → how often."""
    seed = options.seeds[0]
    pool = _pool(seed, options.cache, quick=options.quick)
    how = {"leak": name, "around": False, "traced": False, "image": False}
    one = Passage(folder, seed, 6, pool=pool, **how)
    outcome = one.run()
    return dict(outcome.finds + Counter(outcome.rules))


def _deaths(options, folder):
    """The program dies with a face in hand."""
    seed = options.seeds[0]
    pool = _pool(seed, options.cache, quick=options.quick)
    found = []
    for round_ in range(1 if options.quick else 10):
        for number, way in enumerate(deaths.WAYS):
            where = folder / f"{round_}-{number}"
            found.append(deaths.die(where, way, seed + round_ * 7, pool=pool))
    for one in found:
        for line in (*one.finds, *one.cores, *one.rules):
            say(f"{one.way}: {line}")
    figures = {
        "deaths": dict(Counter(one.way for one in found)),
        "in the middle of a frame": sum(one.in_the_middle for one in found),
        "found": sum(len(one.finds) for one in found),
        "core files": sum(len(one.cores) for one in found),
        "core pattern": core_pattern(),
    }
    claim = "a death in the middle of a face leaves nothing on the disk, and no core file"
    middle = {one.way for one in found if one.in_the_middle}
    held = all(one.clean for one in found) and (options.quick or middle == set(deaths.WAYS))
    return Proof("deaths", claim, held, figures)


def _onlooker(options, folder):
    """What leaves does not tell whether anybody was there."""
    seed, number = options.seeds[0], 8 if options.quick else 60
    pool = _pool(seed, options.cache, quick=options.quick)
    found = onlooker.compare(folder, seed, number, pool=pool)
    for line in found.differences:
        say(line)
    claim = "what leaves is the same with nobody and with a crowd; only the broker is contacted"
    return Proof("onlooker", claim, not found.differences, found.figures)


def _lives(options, folder):
    """How long a face lives."""
    seed, number = options.seeds[0], 20 if options.quick else 400
    pool = _pool(seed, options.cache, quick=options.quick)
    all_lives = [
        lives.measure(folder / str(n), run, number, seed, pool=pool)
        for n, run in enumerate(lives.RUNS)
    ]
    limit = 2000 / lives.RATE
    held = all(one.percentile(99) < limit and not one.odd for one in all_lives)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.with_suffix(".svg").write_text(lives.drawing(all_lives))
    figures = {one.run: one.figures() for one in all_lives}
    claim = (
        f"99 of 100 faces are gone within two frame times ({limit:.0f} ms at {lives.RATE:.0f}/s)"
    )
    return Proof("lives", claim, held, figures)


PARTS = {
    "strangers": _strangers,
    "signed": _signed,
    "leaky-builds": _controls,
    "without-a-protection": _unprotected,
    "deaths": _deaths,
    "onlooker": _onlooker,
    "lives": _lives,
}


def _pool(seed, cache, *, quick):
    return pool_of(seed, 12, 1, cache=cache) if quick else pool_of(seed, cache=cache)


def _report(proofs, options):
    entries = Catalogue.read(default_directory()).entries
    content = {
        "surroundings": surroundings()
        | {name: version(name) for name in ("numpy", "ai-edge-litert")}
        | {
            "opencv": cv2.__version__,
            "numpy in use": np.__version__,
            "c library": os.confstr("CS_GNU_LIBC_VERSION"),
            "strace": trace.why_not() or "here",
            "small disk": no_small_disk() or "here",
            "models": options.models,
            "threads of the networks": options.threads,
        },
        "models": {
            entry.name: entry.sha256 for entry in entries if entry.collection == options.models
        },
        "not made here": NOT_HERE,
        "proofs": [asdict(proof) for proof in proofs],
    }
    return json.dumps(content, indent=2, default=str) + "\n"


def _parser():
    parser = argparse.ArgumentParser(prog="proof-forgetting", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="a small run of each part")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N")
    parser.add_argument("--frames", type=int, default=580, help="frames of strangers per seed")
    parser.add_argument("--models", choices=("built-in", "operational"), default="built-in")
    parser.add_argument(
        "--threads",
        type=int,
        choices=range(1, 5),
        default=1,
        help="of the networks while strangers pass (models.threads)",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="seeds at once")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument(
        "--cache", type=Path, default=Path("proof-output/cache"), help="of rendered people"
    )
    return parser
