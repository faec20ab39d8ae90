"""What a full list costs: `python -m tests.reliability.two_thousand [--entries N] [--json FILE]`.

People who are numbers, with templates that are random directions, go through the desk's own
functions: the rules for each entry, the search for conflicts, sealing, two signatures, publishing,
copying to a stick. Then through the device's: installing (TUF, in its process), the check at each
start, opening, one comparison; each in a process of its own, whose memory the kernel tells. Only
photographs are left out: how long one takes depends on the models and not on the list.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np

from device.files import sha256_of
from device.protocol.alert import ModelHash
from device.protocol.identifiers import utc_text
from device.protocol.watchlist import Reference
from device.vision import Catalogue, default_directory
from tests.simulators.estate import EMBEDDER, Estate
from tools.desk.watchlist.admission import listed_already, over_the_cap
from tools.desk.watchlist.draft import drafted, entry_of
from tools.desk.watchlist.entry import Photograph, new_reference
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.keepers import open_identity
from tools.desk.watchlist.rules import essence, faults_of
from tools.desk.watchlist.session import Session

DIMENSION = 256
_SYLLABLES = "ba ce di fo gu ka le mi no pu ra se ti vo wu".split()  # noqa: SIM905 - legible
_HALVES = ("necessity", "proportionality")
_MB = 1e6
_LENGTHS = 30, 38
"""Of passerby-embedder's templates of rendered people."""


def templates(entries, seed=7):
    """Return (entries, 256) float32: random directions, of the lengths of passerby-embedder."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(entries, DIMENSION))
    rows *= rng.uniform(*_LENGTHS, (entries, 1)) / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def word(number):
    """Return a number as a word: rationales that differ in digits only count as one (R4)."""
    digits = []
    while number or not digits:
        number, digit = divmod(number, len(_SYLLABLES))
        digits.append(_SYLLABLES[digit])
    return "".join(digits)


class Full(Estate):
    """An estate whose list holds so many entries. seconds: of each step, in order."""

    def __init__(self, folder, stack, entries):
        super().__init__(folder, stack)
        self.entries = entries
        self.evaluated = entries
        self.seconds = {}

    def desk(self, line, *more):
        begun = time.perf_counter()
        said = super().desk(line, *more)
        name = " ".join(part for part in line.split()[:2] if not part.startswith("-"))
        name += (
            f" ({line.partition('keys/')[2].partition('.')[0]})" if "watchlist sign" in line else ""
        )
        self.seconds[name] = time.perf_counter() - begun
        return said

    def passerby(self, line, card=None):
        begun = time.perf_counter()
        said = super().passerby(line, card)
        self.seconds[f"passerby {line.split()[0]}"] = time.perf_counter() - begun
        return said

    def _pictures(self):
        """Nobody is photographed."""

    def _enter(self):
        with contextlib.redirect_stderr(sys.stdout):
            identity = open_identity(self.folder / "custodian.age", self.folder / "passphrase")
        session = Session(Deployment.at(self.deployment), identity, time.time_ns())
        begun = time.perf_counter()
        entries, references = self._entries(session)
        self.seconds["the rules, for every entry"] = time.perf_counter() - begun
        begun = time.perf_counter()
        embedder = Catalogue.read(default_directory()).entry(EMBEDDER, "embedder")
        session.keep_templates(references)
        session.keep(
            msgspec.structs.replace(
                session.register,
                entries=entries,
                embedder=ModelHash("embedder", EMBEDDER, embedder.sha256),
                dimension=DIMENSION,
            )
        )
        self.seconds["write register and templates (age)"] = time.perf_counter() - begun

    def _entries(self, session):
        today, offences, at = session.today, session.register.offences, utc_text(session.now_ns)
        entries, references, seen = [], [], set()
        for number, row in enumerate(templates(self.entries)):
            draft = drafted(self._fields(number))
            faults = [*draft.faults, *faults_of(draft, today, offences, seen)]
            faults += [*listed_already(draft, entries), *over_the_cap(len(entries) + 1)]
            if faults:
                raise AssertionError(faults)
            seen |= {essence(draft, half) for half in _HALVES}
            photograph = Photograph(f"{number:064x}", at)
            entries.append(entry_of(draft, new_reference(), at, [photograph]))
            references.append(Reference(entries[-1].reference_id, [row.tobytes()]))
        return entries, references

    def _fields(self, number):
        today = self.now.date()
        born_on = today - timedelta(days=7000 + number * 5)
        tried = f"visits by {word(number)} and letters to everybody who is known"
        fields = self._entry(f"Number Q{word(number)}", str(born_on), tried)
        return {name.replace("-", "_"): str(value) for name, value in fields.items()}


def measure(folder, entries):
    """Return what it cost: seconds by step, sizes, memory, and what the device found."""
    with ExitStack() as stack:
        estate = Full(folder, stack, entries)
        estate.prepare()
        _, references, key = estate.truth()
        own = np.stack([np.frombuffer(one.templates[0], "<f4") for one in references])
        np.save(folder / "own.npy", own)
        (folder / "ids.json").write_text(json.dumps([one.reference_id for one in references]))
        steps = {
            step: _alone(step, estate.card, folder, bytes(key))
            for step in ("check", "open", "find")
        }
        stick = [path.stat().st_size for path in (folder / "stick").rglob("*") if path.is_file()]
        lists = list((folder / "stick").rglob("*watchlist.sealed"))
    return {
        "entries": entries,
        "versions": _versions(),
        "desk and device, seconds": estate.seconds,
        "bundle": {
            "files": len(stick),
            "bytes": sum(stick),
            "watchlist.sealed, bytes": lists[0].stat().st_size,
        },
        **steps,
    }


def _versions():
    embedder = Catalogue.read(default_directory()).entry(EMBEDDER, "embedder")
    packages = ("numpy", "cryptography", "tuf", "securesystemslib", "pyrage", "msgspec")
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **{name: version(name) for name in packages},
        EMBEDDER: sha256_of(default_directory() / embedder.file),
    }


def _alone(step, card, folder, key):
    """Run one step of the device in a process of its own; the key comes by a pipe."""
    command = [sys.executable, "-m", "tests.reliability.two_thousand", "--step", step]
    done = subprocess.run(
        [*command, "--card", str(card), "--folder", str(folder)],
        input=key,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    return json.loads(done.stdout)


# --- on the device, in a process of its own ---


def resident():
    """Return the memory of this process that is in use, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def step_check(options):
    """Verify what is installed, as at each start: TUF in its process, every target's digest."""
    from device.bundles import installed  # noqa: PLC0415 - after this process has begun

    begun = time.perf_counter()
    found = installed(options.card / "state", options.card / "root.json", time.time_ns())
    seconds = time.perf_counter() - begun
    # Kilobytes on Linux, and no less than this process had when it began the other one.
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {
        "seconds": seconds,
        "most memory of the verifying process, bytes": most,
        "targets version": found.targets_version,
    }


def _opened(options):
    from device.bundles import installed  # noqa: PLC0415
    from device.matching import Gallery  # noqa: PLC0415
    from device.protocol.sealed import open_list  # noqa: PLC0415

    key = bytearray(sys.stdin.buffer.read())
    found = installed(options.card / "state", options.card / "root.json", time.time_ns())
    signed = found.authorisation
    sha256 = next(one.sha256 for one in signed.models if one.role == "embedder")
    before, begun = resident(), time.perf_counter()
    sealed = found.watchlist_path.read_bytes()
    opened = open_list(sealed, key, watchlist=signed.watchlist, deployment=signed.deployment)
    gallery = Gallery.opened(opened, sha256, DIMENSION)
    del sealed
    return gallery, time.perf_counter() - begun, resident() - before, before


def step_open(options):
    """Open the list into locked memory; return seconds and bytes."""
    gallery, seconds, more, before = _opened(options)
    fault = gallery.fault
    return {
        "seconds": seconds,
        "resident before, bytes": before,
        "more resident, bytes": more,
        "locked": fault is None,
        "references": len(gallery),
    }


def step_find(options):
    """Compare: every reference's own template, and as many directions that nobody has."""
    from device.matching.comparison import scores_of  # noqa: PLC0415

    gallery = _opened(options)[0]
    own = np.load(options.folder / "own.npy")
    lengths = np.linalg.norm(own, axis=1)
    own /= lengths[:, np.newaxis]
    ids = json.loads((options.folder / "ids.json").read_text())
    strangers = templates(len(own), seed=99)
    strangers /= np.linalg.norm(strangers, axis=1, keepdims=True)
    scores, others = scores_of(gallery, own), scores_of(gallery, strangers)
    # A stored row is longer for a weak photograph (`device.matching.gallery`).
    cosines = gallery.cosines(own) * np.sqrt(lengths / lengths.mean())[:, np.newaxis]
    taken = []
    for probe in own[:200]:
        begun = time.perf_counter()
        scores_of(gallery, probe[np.newaxis])
        taken.append(time.perf_counter() - begun)
    best = [gallery.ids[column] for column in scores.argmax(axis=1)]
    return {
        "found as themselves": sum(a == b for a, b in zip(best, ids, strict=True)),
        "lowest cosine with oneself": min(
            float(row[column]) for row, column in zip(cosines, scores.argmax(axis=1), strict=True)
        ),
        "lowest score of oneself": float(scores.max(axis=1).min()),
        "highest score of a stranger": float(others.max()),
        "one comparison, median seconds": float(np.median(taken)),
    }


_STEPS = {"check": step_check, "open": step_open, "find": step_find}


def lines(found):
    """Return the table, as docs have it."""
    said = found["desk and device, seconds"]
    signing = [name for name in said if name.startswith(("watchlist sign", "watchlist publish"))]
    together = sum(said[name] for name in signing)
    rows = [
        ("the rules, for every entry", said["the rules, for every entry"]),
        ("write register and templates (age)", said["write register and templates (age)"]),
        ("`watchlist authorise`", said["watchlist authorise"]),
        (
            "`watchlist seal`: rules and conflicts again, transform, encrypt, stage",
            said["watchlist seal"],
        ),
        *((f"`{name}`", said[name]) for name in signing),
        ("**two signatures and publishing**", together),
        ("`watchlist copy` to a stick, and read back", said["watchlist copy"]),
        ("`passerby update`, the whole program", said["passerby update"]),
        ("the check at each start", found["check"]["seconds"]),
        ("opening: decrypt, check, derive rotations", found["open"]["seconds"]),
        ("one comparison with the whole list", found["find"]["one comparison, median seconds"]),
    ]
    yield f"{found['entries']} entries"
    yield "| step | seconds |\n|---|---|"
    for name, seconds in rows:
        yield f"| {name} | {seconds:.3f} |" if seconds > 0.01 else f"| {name} | {seconds:.5f} |"
    size, opened = found["bundle"], found["open"]
    yield "\n| size | MB |\n|---|---|"
    yield f"| the sealed list | {size['watchlist.sealed, bytes'] / _MB:.2f} |"
    yield f"| the bundle on a stick, {size['files']} files | {size['bytes'] / _MB:.2f} |"
    yield f"| more resident memory once open | {opened['more resident, bytes'] / _MB:.1f} |"
    yield (
        "| memory of the process that verifies, at most | "
        f"{found['check']['most memory of the verifying process, bytes'] / _MB:.1f} |"
    )
    there = found["find"]
    yield (
        f"\nFound as themselves: {there['found as themselves']} of {found['entries']}, lowest "
        f"cosine {there['lowest cosine with oneself']:.4f}, lowest score "
        f"{there['lowest score of oneself']:.3f}; highest score of a stranger "
        f"{there['highest score of a stranger']:.3f}. "
        f"Locked against swap: {'yes' if opened['locked'] else 'NO'}."
    )
    yield ", ".join(f"{name} {value}" for name, value in found["versions"].items())


def main():
    """Measure and print, or run one step for the process that measures."""
    parser = argparse.ArgumentParser(description="What a full list costs.")
    parser.add_argument("--entries", type=int, default=2000, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--step", choices=_STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--card", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(_STEPS[options.step](options)))
        return 0
    with tempfile.TemporaryDirectory(prefix="many") as folder:
        found = measure(Path(folder), options.entries)
    for line in lines(found):
        print(line)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
